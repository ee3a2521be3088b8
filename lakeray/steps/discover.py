"""Discover: what storage has that the ledger lacks (P3, P4, P14)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from itertools import islice

from lakeray.ports.catalog import Known
from lakeray.ports.storage import ObjectStore
from lakeray.values.keys import day_of, file_day, is_mark, is_source_file, natural_order
from lakeray.values.model import Changed, Cursor, Discovery, QuarantineEntry, RejectReason, SourceFile, StreamName

_YEAR_PREFIX = re.compile(r"(?:^|/)year=\d{4}/$")
_DATE_PREFIX = re.compile(r"(?:^|/)year=(\d{4})/month=(\d{1,2})/(?:day=(\d{1,2})/)?$")
_IN_A_ROW = 4_000
"""A year with so many objects is listed by day, several days at once: a page of 1,000 waits for the one before it."""
_AT_ONCE = 16
_ASKED = 10_000
"""Older keys that the ledger is asked about at once: by an index each, or by one look through an embedded ledger."""


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
    """The stream's source files from day ``since`` on, perhaps some older ones, and lakes' marks; streamed.

    One request shows the top level: flat files, and the years. Each year at or after ``since`` is then listed in one
    go from the padded spelling of that day. An unpadded spelling of the same or a later day sorts after the padded
    one, so nothing is missed; what is older is sifted out later, by its parsed day. A year with very many objects is
    listed by day instead. A listing that fails anywhere fails as a whole (P3).
    """
    root = f"{stream}/"
    top = store.list_level(root)
    yield from (file for file in top.files if _counts(file))
    for prefix in top.prefixes:
        yield from (file for file in _below(store, prefix, since=since) if _counts(file))


def _counts(file: SourceFile) -> bool:
    return is_source_file(file.key) or is_mark(file.key)


def without_marks(listed: Iterable[SourceFile], *, into: list[SourceFile]) -> Iterator[SourceFile]:
    """The source files of a listing; the marks among them are put into a list (P13)."""
    for file in listed:
        if is_mark(file.key):
            into.append(file)
        else:
            yield file


def _below(store: ObjectStore, prefix: str, *, since: date | None) -> Iterator[SourceFile]:
    name = prefix.rstrip("/").rsplit("/", 1)[-1]
    if name.startswith("__airbyte"):
        return iter(())
    if _YEAR_PREFIX.search(prefix) is None:
        return store.list_files(prefix)
    if since is None:
        return _in_year(store, prefix, since=None)
    year = int(name.removeprefix("year="))
    if year < since.year:
        return iter(())
    return _in_year(store, prefix, since=since)


def _in_year(store: ObjectStore, prefix: str, *, since: date | None) -> Iterator[SourceFile]:
    begins_here = since is not None and prefix.endswith(f"year={since.year:04d}/")
    after = f"{prefix}month={since.month:02d}/day={since.day:02d}" if since is not None and begins_here else None
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
) -> Discovery:
    """Sort a listing out. ``known`` holds the ledger from ``looked_since`` on.

    Args:
        since: the horizon; new files of older days are too late (P4).
        looked_since: the day from which the listing is complete; only from there can a key be missed as vanished.
        head: looks one object up, for quarantined files to retry that the listing did not cover.
        known_among: the ledger of some keys, whatever their day. With it files of days before ``looked_since`` count,
            too; it is asked about those that are listed, and so what it costs does not grow with the ledger.
    """
    records = {entry.key: entry for entry in quarantine}
    new: list[SourceFile] = []
    too_late: list[SourceFile] = []
    skipped: list[SourceFile] = []
    changed: list[Changed] = []
    seen: set[str] = set()
    once = _once(listed, seen)
    for file, entry in _matched(once, known=known, looked_since=looked_since, known_among=known_among):
        if entry is not None and entry.live and (entry.etag, entry.size_bytes) != (file.etag, file.size_bytes):
            changed.append(Changed(file=file, registered_etag=entry.etag, registered_size_bytes=entry.size_bytes))
        elif entry is not None and (entry.etag, entry.size_bytes) == (file.etag, file.size_bytes):
            continue
        elif _is_held(file, records.get(file.key)):
            skipped.append(file)
        elif since is not None and file_day(file) < since and not _is_retried(records.get(file.key)):
            if known_among is not None or looked_since is None or file_day(file) >= looked_since:
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


def _once(listed: Iterable[SourceFile], seen: set[str]) -> Iterator[SourceFile]:
    for file in listed:
        if file.key not in seen:  # a listing may show an object twice: it is one file
            seen.add(file.key)
            yield file


def _matched(
    listed: Iterable[SourceFile],
    *,
    known: Mapping[str, Known],
    looked_since: date | None,
    known_among: Callable[[Sequence[str]], Mapping[str, Known]] | None,
) -> Iterator[tuple[SourceFile, Known | None]]:
    """Each file beside what the ledger says of its key."""
    older: list[SourceFile] = []
    for file in listed:
        if known_among is None or looked_since is None or file_day(file) >= looked_since:
            yield file, known.get(file.key)
            continue
        older.append(file)
        if len(older) == _ASKED:
            yield from _asked(older, known_among)
            older = []
    if older and known_among is not None:
        yield from _asked(older, known_among)


def _asked(
    files: Sequence[SourceFile], known_among: Callable[[Sequence[str]], Mapping[str, Known]]
) -> Iterator[tuple[SourceFile, Known | None]]:
    found = known_among([file.key for file in files])
    return ((file, found.get(file.key)) for file in files)


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
