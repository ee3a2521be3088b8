"""Set aside: after a failed transform, find the registered files that moved or that nobody can read (P6, P12, P14)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from lakeray.ports.events import EventSink
from lakeray.ports.storage import ObjectStore
from lakeray.values.errors import LeaseLostError, ModelTestError, TransformError, TryAgainError
from lakeray.values.events import FileRejected, FilesReread, Noted
from lakeray.values.keys import file_day
from lakeray.values.model import (
    Changed,
    LedgerEntry,
    PendingTransform,
    Plan,
    QuarantineEntry,
    Rejected,
    RejectReason,
    Removal,
    SourceFile,
    StreamName,
    Unreadable,
)

_OF_THE_MODEL = ("Compilation Error", "Parser Error", "Binder Error", "Catalog Error", "selected no model")
"""What dbt and DuckDB say of a model before a byte of a file is read."""
_TELL_EVERY = 50
_BY_READING = (
    RejectReason.CORRUPT,
    RejectReason.BREAKS_READER,
    RejectReason.ENCRYPTED,
    RejectReason.UNSUPPORTED_CODEC,
    RejectReason.UNSUPPORTED_TYPE,
)
"""What reading a registered file can come to."""


class Reader(Protocol):
    """The part of the catalog reader that tells what is pending."""

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet."""

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of a range of days."""

    def quarantined(self, stream: StreamName | None) -> Sequence[QuarantineEntry]:
        """The record of rejected files."""


class Committer(Protocol):
    """The part of the committer that reads files and sets them aside."""

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> Unreadable | None:
        """Why the file cannot be read, when the reason is the file itself."""

    def quarantine(self, stream: StreamName, rejected: Sequence[Rejected]) -> None:
        """Record files that were taken in as rejected."""

    def forget(
        self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: Removal
    ) -> int:
        """Take files out of catalog and ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Pending files whose objects are not what was registered."""

    changed: tuple[Changed, ...] = ()
    vanished: tuple[Rejected, ...] = ()
    looked: Plan | None = None
    """What the listing of their days found, for the question whether it is believed (P3)."""


def may_be_a_file(failed: TransformError) -> bool:
    """Whether a damaged file can be the cause; else, as for a model that does not compile, nothing is read for it."""
    if isinstance(failed, ModelTestError):
        return False
    return not any(text in failed.found or text in failed.about for text in _OF_THE_MODEL)


def half_done(live: Sequence[LedgerEntry], held: Sequence[QuarantineEntry]) -> list[LedgerEntry]:
    """Live entries that an earlier run put into quarantine and did not come to forget."""
    begun = {(item.key, item.etag) for item in held}
    return [entry for entry in live if (entry.key, entry.etag) in begun]


def finish(stream: StreamName, *, reader: Reader, committer: Committer) -> int:
    """End what an earlier run began to set aside, before dbt reads it (P15). Returns how many files that were."""
    held = reader.quarantined(stream)
    if not held or reader.pending_transform(stream) is None:
        return 0
    finished = 0
    for reasons, removal in ((_BY_READING, Removal.CORRUPT), ((RejectReason.VANISHED,), Removal.VANISHED)):
        left = half_done(_live(stream, reader), [entry for entry in held if entry.reason in reasons])
        _forget(stream, left, committer, reason=removal)
        finished += len(left)
    return finished


def moved(
    stream: StreamName,
    failed: TransformError,
    *,
    store: ObjectStore,
    list_since: Callable[[date], Iterable[SourceFile]],
    reader: Reader,
    events: EventSink,
) -> Moved:
    """Pending files that were overwritten or deleted since they were registered: dbt cannot read those (P14).

    By one listing of their days, not by a request for each. A converted copy stands for itself.

    Args:
        list_since: the stream's files from a day on.
    """
    if not may_be_a_file(failed):
        return Moved()
    raw = [entry for entry in _suspects(stream, reader) if entry.registered_path == store.url(entry.key)]
    if not raw:
        return Moved()
    try:
        since = min(entry.day for entry in raw)
        now = {file.key: file for file in list_since(since)}
    except TryAgainError as error:
        events.emit(Noted(message=f"{stream}: whether files moved cannot be told now: {error}"))
        return Moved()
    there = [(entry, now[entry.key]) for entry in raw if entry.key in now]
    looked = Plan(
        stream=stream,
        vanished=tuple(entry.key for entry in raw if entry.key not in now),
        listed_files=len(now),
        newest_day=max(map(file_day, now.values()), default=None),
        live_files=sum(entry.day >= since for entry in _live(stream, reader)),
    )
    return Moved(
        looked=looked,
        changed=tuple(
            Changed(file=file, registered_etag=entry.etag, registered_size_bytes=entry.size_bytes)
            for entry, file in there
            if (file.etag, file.size_bytes) != (entry.etag, entry.size_bytes)
        ),
        vanished=tuple(
            _rejected(entry, RejectReason.VANISHED, "expected the object that was registered, found none")
            for entry in raw
            if entry.key not in now
        ),
    )


def set_aside(
    stream: StreamName,
    failed: TransformError,
    *,
    reader: Reader,
    committer: Committer,
    events: EventSink,
    stop: Callable[[], bool],
) -> int:
    """Read the pending files one by one; quarantine and forget those that cannot be read. Returns how many.

    First the quarantine, then the forgetting: cut off in between, the next feed knows from the record what is left to
    forget. A storage or a catalog that fails proves nothing against a file: nothing is set aside then.

    Raises:
        LeaseLostError: another committer took over.
        CatalogError: the catalog failed while files were set aside.
    """
    if not may_be_a_file(failed):
        return 0
    return reread(stream, lambda: _suspects(stream, reader), committer=committer, events=events, stop=stop)


def reread(
    stream: StreamName,
    suspects: Callable[[], Sequence[LedgerEntry]],
    *,
    committer: Committer,
    events: EventSink,
    stop: Callable[[], bool],
) -> int:
    """Read registered files one by one; quarantine and forget those that cannot be read. Returns how many.

    Args:
        suspects: says which; asked here, for the catalog may fail.

    Raises: as ``set_aside``.
    """
    try:
        found = _damaged(stream, suspects(), committer=committer, events=events, stop=stop)
    except LeaseLostError:
        raise
    except TryAgainError as error:
        events.emit(Noted(message=f"{stream}: whether files can be read cannot be told now: {error}"))
        return 0
    if found:
        committer.quarantine(stream, [_rejected(entry, why.reason, why.detail) for entry, why in found])
        _forget(stream, [entry for entry, _ in found], committer, reason=Removal.CORRUPT)
    for entry, why in found:
        events.emit(FileRejected(stream=str(stream), key=entry.key, reason=str(why.reason), detail=why.detail))
    return len(found)


def _damaged(
    stream: StreamName,
    suspects: Sequence[LedgerEntry],
    *,
    committer: Committer,
    events: EventSink,
    stop: Callable[[], bool],
) -> list[tuple[LedgerEntry, Unreadable]]:
    found = []
    for number, entry in enumerate(suspects, start=1):
        if stop():
            return []
        why = committer.unreadable(stream, entry)
        if why is not None:
            found.append((entry, why))
        if number % _TELL_EVERY == 0 or number == len(suspects):
            events.emit(FilesReread(stream=str(stream), done=number, total=len(suspects), unreadable=len(found)))
    return found


def _suspects(stream: StreamName, reader: Reader) -> list[LedgerEntry]:
    """Live entries that dbt has not merged."""
    pending = reader.pending_transform(stream)
    if pending is None:
        return []
    live = _live(stream, reader)
    return [entry for entry in live if pending.from_snapshot <= entry.snapshot <= pending.to_snapshot]


def _live(stream: StreamName, reader: Reader) -> Sequence[LedgerEntry]:
    return reader.registered(stream, first=date.min, last=date.max)


def _forget(stream: StreamName, entries: Sequence[LedgerEntry], committer: Committer, *, reason: Removal) -> None:
    if entries:
        paths = [entry.registered_path for entry in entries]
        committer.forget(stream, paths=paths, entries=entries, reason=reason)


def _rejected(entry: LedgerEntry, reason: RejectReason, detail: str) -> Rejected:
    file = SourceFile(key=entry.key, etag=entry.etag, size_bytes=entry.size_bytes, last_modified=entry.taken_at)
    return Rejected(file=file, reason=reason, detail=detail)
