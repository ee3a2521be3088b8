"""Discover: what storage has that the ledger lacks (P3, P4, P14)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from lakeray.keys import day_of, file_day, is_source_file, natural_order
from lakeray.model import Changed, Cursor, Discovery, QuarantineEntry, RejectReason, SourceFile, StreamName
from lakeray.ports import Known, ObjectStore

_YEAR_PREFIX = re.compile(r"(?:^|/)year=\d{4}/$")


def horizon(cursor: Cursor, *, lookback_days: int, retention_days: int) -> date | None:
    """The oldest day whose new files are taken in (inclusive): cursor − max(lookback, retention) (P4).

    None before the first batch: everything is taken in.
    """
    if cursor.path is None:
        return None
    newest = day_of(cursor.path, otherwise=date.max)
    if newest == date.max:
        return None
    return newest - timedelta(days=max(lookback_days, retention_days))


def list_since(store: ObjectStore, stream: StreamName, *, since: date | None) -> Iterator[SourceFile]:
    """The stream's source files from day ``since`` on, and perhaps some older ones; streamed.

    One request shows the top level: flat files, and the years. Each year at or after ``since`` is then listed in one
    go from the padded spelling of that day. An unpadded spelling of the same or a later day sorts after the padded
    one, so nothing is missed; what is older is sifted out later, by its parsed day.
    """
    root = f"{stream}/"
    top = store.list_level(root)
    yield from (file for file in top.files if is_source_file(file.key))
    for prefix in top.prefixes:
        yield from (file for file in _below(store, prefix, since=since) if is_source_file(file.key))


def _below(store: ObjectStore, prefix: str, *, since: date | None) -> Iterator[SourceFile]:
    name = prefix.rstrip("/").rsplit("/", 1)[-1]
    if name.startswith("__airbyte"):
        return iter(())
    if since is None or _YEAR_PREFIX.search(prefix) is None:
        return store.list_files(prefix)
    year = int(name.removeprefix("year="))
    if year < since.year:
        return iter(())
    if year > since.year:
        return store.list_files(prefix)
    return store.list_files(prefix, start_after=f"{prefix}month={since.month:02d}/day={since.day:02d}")


def sift(
    listed: Iterable[SourceFile],
    *,
    known: Mapping[str, Known],
    quarantine: Sequence[QuarantineEntry],
    since: date | None,
    looked_since: date | None,
    head: Callable[[str], SourceFile | None] | None = None,
) -> Discovery:
    """Sort a listing out. ``known`` holds the ledger of every day that was listed.

    Args:
        since: the horizon; new files of older days are too late (P4).
        looked_since: the day from which the listing is complete; only from there can a key be missed as vanished.
        head: looks one object up, for quarantined files to retry that the listing did not cover.
    """
    records = {entry.key: entry for entry in quarantine}
    new: list[SourceFile] = []
    too_late: list[SourceFile] = []
    skipped: list[SourceFile] = []
    changed: list[Changed] = []
    seen: set[str] = set()
    for file in listed:
        if file.key in seen:
            continue  # a listing may show an object twice: it is one file
        seen.add(file.key)
        entry = known.get(file.key)
        if entry is not None and entry.live and (entry.etag, entry.size_bytes) != (file.etag, file.size_bytes):
            changed.append(Changed(file=file, registered_etag=entry.etag, registered_size_bytes=entry.size_bytes))
        elif entry is not None and (entry.etag, entry.size_bytes) == (file.etag, file.size_bytes):
            continue
        elif _is_held(file, records.get(file.key)):
            skipped.append(file)
        elif since is not None and file_day(file) < since and not _is_retried(records.get(file.key)):
            if looked_since is None or file_day(file) >= looked_since:
                too_late.append(file)  # listed by the way, below the look: the ledger was not asked about it
        else:
            new.append(file)
    new.extend(_retried(records, seen=seen, head=head))
    return Discovery(
        new=tuple(sorted(new, key=lambda file: (file_day(file), natural_order(file.key), file.key))),
        too_late=tuple(too_late),
        skipped=tuple(skipped),
        changed=tuple(changed),
        vanished=tuple(_vanished(known, seen=seen, looked_since=looked_since)),
        listed_files=len(seen),
    )


def _is_held(file: SourceFile, record: QuarantineEntry | None) -> bool:
    if record is None or record.status == "retry" or record.etag != file.etag:
        return False
    return record.status == "ignored" or record.reason != RejectReason.VANISHED  # it is listed: so it is back


def _is_retried(record: QuarantineEntry | None) -> bool:
    return record is not None and record.status == "retry"


def _retried(
    records: Mapping[str, QuarantineEntry], *, seen: set[str], head: Callable[[str], SourceFile | None] | None
) -> Iterator[SourceFile]:
    if head is None:
        return
    for key, record in records.items():
        if record.status == "retry" and key not in seen:
            file = head(key)
            if file is not None:
                yield file


def _vanished(known: Mapping[str, Known], *, seen: set[str], looked_since: date | None) -> Iterator[str]:
    for key, entry in known.items():
        in_view = looked_since is None or day_of(key, otherwise=date.max) >= looked_since
        if entry.live and in_view and key not in seen:
            yield key
