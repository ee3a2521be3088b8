"""Discover: what storage has that the ledger lacks (P3, P4, P14)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from heapq import nlargest
from itertools import islice

from lakeray.ports.catalog import Known
from lakeray.ports.storage import ObjectStore
from lakeray.values.keys import day_of, file_day, is_claim, is_source_file, natural_order
from lakeray.values.layouts import Layout
from lakeray.values.model import (
    Changed,
    Cursor,
    Discovery,
    QuarantineEntry,
    QuarantineStatus,
    RejectReason,
    SourceFile,
)

_YEAR_PREFIX = re.compile(r"(?:^|/)year=\d{4}/$")
_DATE_PREFIX = re.compile(r"(?:^|/)year=(\d{4})/month=(\d{1,2})/(?:day=(\d{1,2})/)?$")
_IN_A_ROW = 4_000
"""A year with so many objects is listed by day, several days at once: a page of 1,000 waits for the one before it."""
_AT_ONCE = 16
_ASKED = 10_000
"""Older keys that the ledger is asked about at once: by an index each, or by one look through an embedded ledger."""
OLDER = 4_000
"""Objects of days before its look that a feed lists besides, and that it asks the ledger about, at most (inclusive):
four more requests and one more query, whatever is kept of older years."""


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


def view_from(horizon: date | None, *, today: date, lookback_days: int) -> date | None:
    """The day from which a feed looks (inclusive): the horizon, and never later than today − lookback (P4).

    A cursor that is ahead of today, as a clock that was wrong leaves it, would hide what lands today.
    """
    return None if horizon is None else min(horizon, today - timedelta(days=lookback_days))


def list_since(store: ObjectStore, layout: Layout, *, since: date | None, older: int = 0) -> Iterator[SourceFile]:
    """The stream's source files from day ``since`` on, perhaps some older ones, and lakes' claims; streamed.

    One request shows the top level: flat files, and the years. Each year at or after ``since`` is then listed in one
    go from the padded spelling of that day. An unpadded spelling of the same or a later day sorts after the padded
    one, so nothing is missed; what is older is sifted out later, by its parsed day. A year with very many objects is
    listed by day instead. Flat names are listed in one go from that day on, too. A listing that fails anywhere fails
    as a whole (P3).

    Args:
        older: about how many objects of days before ``since`` may be listed besides. A year with no more of them shows
            all, one with more shows some; a file may come twice then.
    """
    if layout.is_flat:
        listed = _flat(store, layout.root, since=since, older=older)
        yield from (file for file in listed if _counts(file) and layout.holds(file.key))
        return
    top = store.list_level(layout.root)
    yield from (file for file in top.files if _counts(file))
    room = _Room(left=older)
    for prefix in reversed(top.prefixes):  # the newest year first: the room for older objects is spent on the nearest
        yield from (file for file in _below(store, prefix, since=since, room=room) if _counts(file))


def spread(listed: Iterable[SourceFile], *, most: int) -> list[SourceFile]:
    """Some of the files, spread over all of them by day and last change, the newest among them; the oldest first.

    Args:
        most: how many (inclusive, at least 2); of a long listing no more than ten times as many are kept at once.
    """
    kept: list[SourceFile] = []
    for file in listed:
        if not is_claim(file.key):
            kept.append(file)
        if len(kept) == 10 * most:
            kept = _thinned(kept, most)
    return _thinned(kept, most)


def _thinned(files: list[SourceFile], most: int) -> list[SourceFile]:
    files = sorted(files, key=lambda file: (file_day(file), file.last_modified, natural_order(file.key)))
    if len(files) <= most:
        return files
    return [files[number * (len(files) - 1) // (most - 1)] for number in range(most)]


def _counts(file: SourceFile) -> bool:
    return is_source_file(file.key) or is_claim(file.key)


def _flat(store: ObjectStore, root: str, *, since: date | None, older: int) -> Iterator[SourceFile]:
    """Names that begin with their day sort by it, an unpadded one behind its place; so does a claim, behind them all.

    Of older files those of the year of ``since`` are listed besides, when there is room for what follows them, too.
    """
    if since is None:
        yield from store.list_files(root)
        return
    first = list(islice(store.list_files(root, start_after=f"{root}{since.year:04d}_"), older)) if older else []
    yield from first
    if not older or len(first) == older:
        yield from store.list_files(root, start_after=f"{root}{since.year:04d}_{since.month:02d}_{since.day:02d}")


def without_claims(listed: Iterable[SourceFile], *, into: list[SourceFile]) -> Iterator[SourceFile]:
    """The source files of a listing; the claims among them are put into a list (P13)."""
    for file in listed:
        if is_claim(file.key):
            into.append(file)
        else:
            yield file


@dataclass(slots=True)
class _Room:
    """How many older objects may still be listed."""

    left: int

    def of(self, files: Iterator[SourceFile]) -> Iterator[SourceFile]:
        """As many of the files as there is room for."""
        for file in islice(files, self.left):
            self.left -= 1
            yield file


def _below(store: ObjectStore, prefix: str, *, since: date | None, room: _Room) -> Iterator[SourceFile]:
    name = prefix.rstrip("/").rsplit("/", 1)[-1]
    if name.startswith("__airbyte"):
        return iter(())
    if _YEAR_PREFIX.search(prefix) is None:
        return store.list_files(prefix)
    if since is None:
        return _in_year(store, prefix, since=None, room=room)
    year = int(name.removeprefix("year="))
    if year < since.year:
        return room.of(store.list_files(prefix)) if room.left else iter(())
    return _in_year(store, prefix, since=since, room=room)


def _in_year(store: ObjectStore, prefix: str, *, since: date | None, room: _Room) -> Iterator[SourceFile]:
    begins_here = since is not None and prefix.endswith(f"year={since.year:04d}/")
    if since is None or not begins_here:
        yield from _whole_year(store, prefix, since=since, after=None)
        return
    if room.left:
        first = list(islice(store.list_files(prefix), room.left))
        yield from first
        if len(first) < room.left:
            room.left -= sum(1 for file in first if file_day(file) < since)
            return
        room.left = 0
    after = f"{prefix}month={since.month:02d}/day={since.day:02d}"
    yield from _whole_year(store, prefix, since=since, after=after)


def _whole_year(store: ObjectStore, prefix: str, *, since: date | None, after: str | None) -> Iterator[SourceFile]:
    files = store.list_files(prefix, start_after=after)
    first = list(islice(files, _IN_A_ROW))
    if len(first) < _IN_A_ROW:
        yield from first
    else:  # begun again, for a store need not list by name: what comes after these may sort before them
        yield from _by_day(store, prefix, since=since)


def _by_day(store: ObjectStore, year: str, *, since: date | None) -> Iterator[SourceFile]:
    top = store.list_level(year)
    yield from top.files
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        days: list[str] = []
        for level in pool.map(store.list_level, [month for month in top.prefixes if not _is_before(month, since)]):
            yield from level.files
            days.extend(day for day in level.prefixes if not _is_before(day, since))
        waiting: deque[Future[list[SourceFile]]] = deque()
        try:
            for day in days:
                waiting.append(pool.submit(lambda prefix: list(store.list_files(prefix)), day))
                if len(waiting) > 2 * _AT_ONCE:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _is_before(prefix: str, since: date | None) -> bool:
    """Whether all objects of a month's or a day's folder are of days before ``since``; a name that is none is not."""
    named = _DATE_PREFIX.search(prefix)
    if since is None or named is None:
        return False
    year, month, day = (int(part) if part else 31 for part in named.groups())
    return (year, month, day) < (since.year, since.month, since.day)


def sort_out(
    listed: Iterable[SourceFile],
    *,
    known: Mapping[str, Known],
    quarantine: Sequence[QuarantineEntry],
    since: date | None,
    looked_since: date | None,
    head: Callable[[str], SourceFile | None] | None = None,
    known_among: Callable[[Sequence[str]], Mapping[str, Known]] | None = None,
    asked_at_most: int | None = None,
    layout: Layout | None = None,
) -> Discovery:
    """Sort a listing out. ``known`` holds the ledger from ``looked_since`` on.

    Args:
        since: the horizon; new files of older days are too late (P4).
        looked_since: the day from which the listing is complete; only from there can a key be missed as vanished.
        head: looks one object up, for quarantined files to retry that the listing did not cover.
        known_among: the ledger of some keys, whatever their day. With it files of days before ``looked_since`` count,
            too; it is asked about those that are listed, and so what it costs does not grow with the ledger.
        layout: what a listing of the stream shows; None when it shows every key of its days.
        asked_at_most: of more older files than this the newest by their last change count, and no others; None for all.
    """
    records = {entry.key: entry for entry in quarantine}
    piles = _Piles()
    older = _Older(looked_since, known_among=known_among, at_most=asked_at_most)
    for file, entry in _matched(piles.once(listed), known=known, older=older):
        record = records.get(file.key)
        is_as_known = entry is not None and (entry.etag, entry.size_bytes) == (file.etag, file.size_bytes)
        if entry is not None and entry.live and not is_as_known:
            changed = Changed(file=file, registered_etag=entry.etag, registered_size_bytes=entry.size_bytes)
            piles.changed.append(changed)
        elif is_as_known:
            continue
        elif record is not None and record.status == QuarantineStatus.WAITS:
            piles.waiting.append(file)
        elif _is_held(file, record):
            piles.skipped.append(file)
        elif since is not None and file_day(file) < since and not _is_retried(record):
            if older.is_told(file):  # listed by the way, below the look: the ledger was not asked about it
                piles.too_late.append(file)
        else:
            piles.new.append(file)
    piles.new.extend(_retried(records, seen=piles.seen, head=head))
    in_view = [key for key, entry in known.items() if entry.live and _is_in_view(key, looked_since, layout)]
    return Discovery(
        new=tuple(sorted(piles.new, key=lambda file: (file_day(file), natural_order(file.key), file.key))),
        too_late=tuple(piles.too_late),
        skipped=tuple(piles.skipped),
        changed=tuple(piles.changed),
        waiting=tuple(piles.waiting),
        vanished=tuple(key for key in in_view if key not in piles.seen),
        listed_files=len(piles.seen),
        newest_day=piles.newest_day,
        live_files=len(in_view),
        looked_since=looked_since,
    )


@dataclass(slots=True)
class _Piles:
    """What a listing is sorted into."""

    new: list[SourceFile] = field(default_factory=list)
    too_late: list[SourceFile] = field(default_factory=list)
    skipped: list[SourceFile] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    waiting: list[SourceFile] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    newest_day: date | None = None

    def once(self, listed: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """The files, each once: a listing may show an object twice."""
        for file in listed:
            if file.key not in self.seen:
                self.seen.add(file.key)
                day = file_day(file)
                self.newest_day = day if self.newest_day is None else max(self.newest_day, day)
                yield file


@dataclass(frozen=True, slots=True)
class _Older:
    """What is asked of the ledger about files of days before the look."""

    looked_since: date | None
    known_among: Callable[[Sequence[str]], Mapping[str, Known]] | None
    at_most: int | None

    def holds(self, file: SourceFile) -> bool:
        """Whether the file is one of them."""
        return self.looked_since is not None and file_day(file) < self.looked_since

    def is_told(self, file: SourceFile) -> bool:
        """Whether it is known that the ledger lacks the file."""
        return self.known_among is not None or not self.holds(file)

    def asked(self, files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, Known | None]]:
        """Each file beside what the ledger says of its key."""
        assert self.known_among is not None
        for at in range(0, len(files), _ASKED):
            some = files[at : at + _ASKED]
            found = self.known_among([file.key for file in some])
            yield from ((file, found.get(file.key)) for file in some)


def _matched(
    listed: Iterable[SourceFile], *, known: Mapping[str, Known], older: _Older
) -> Iterator[tuple[SourceFile, Known | None]]:
    """Each file beside what the ledger says of its key."""
    waiting: list[SourceFile] = []
    for file in listed:
        if older.known_among is None or not older.holds(file):
            yield file, known.get(file.key)
            continue
        waiting.append(file)
        if older.at_most is None and len(waiting) == _ASKED:
            yield from older.asked(waiting)
            waiting = []
    if older.at_most is not None and len(waiting) > older.at_most:
        waiting = nlargest(older.at_most, waiting, key=lambda file: file.last_modified)
    if waiting:
        yield from older.asked(waiting)


def _is_held(file: SourceFile, record: QuarantineEntry | None) -> bool:
    if record is None or record.status == QuarantineStatus.RETRY or record.etag != file.etag:
        return False
    # It is listed: so what vanished is back.
    return record.status == QuarantineStatus.IGNORED or record.reason != RejectReason.VANISHED


def _is_retried(record: QuarantineEntry | None) -> bool:
    return record is not None and record.status == QuarantineStatus.RETRY


def _retried(
    records: Mapping[str, QuarantineEntry], *, seen: set[str], head: Callable[[str], SourceFile | None] | None
) -> Iterator[SourceFile]:
    if head is None:
        return
    for key, record in records.items():
        if record.status == QuarantineStatus.RETRY and key not in seen:
            file = head(key)
            if file is not None:
                yield file


def _is_in_view(key: str, looked_since: date | None, layout: Layout | None) -> bool:
    if layout is not None:
        return layout.is_in_view(key, looked_since)
    return looked_since is None or day_of(key, otherwise=date.max) >= looked_since
