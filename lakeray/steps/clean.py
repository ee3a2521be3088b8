"""Clean: whole, transformed files behind cursor − retention, through the catalog (P13)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from lakeray.values.keys import day_of, file_day
from lakeray.values.model import CleanPlan, Cursor, LedgerEntry, Plan, RawPolicy, StreamName


class Cleanable(Protocol):
    """The part of the catalog reader that tells what may go."""

    def cleanable(self, stream: StreamName, *, before: date) -> Sequence[LedgerEntry]:
        """Live, transformed files of days before ``before``."""

    def existing_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, str]:
        """What the stream's first plan listed of these keys, and under which ETags."""


class Foreseeable(Protocol):
    """The part of the catalog reader that tells what will go."""

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of a range of days."""

    def existing_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, str]:
        """What the stream's first plan listed of these keys, and under which ETags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRules:
    """Whose raw objects may be deleted."""

    raw: RawPolicy = RawPolicy.DELETE
    delete_existing: bool = False
    """Also what the stream's first plan listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """What will leave landing, and of it the objects that storage loses in the end."""

    files: int = 0
    deleted: int = 0


def clean_before(cursor: Cursor, *, retention_days: int) -> date | None:
    """Files of days before this one may go (exclusive); None when the cursor tells no day."""
    if cursor.path is None:
        return None
    newest = day_of(cursor.path, otherwise=date.min)
    return None if newest == date.min else newest - timedelta(days=retention_days)


def plan_clean(
    stream: StreamName,
    *,
    cursor: Cursor,
    reader: Cleanable,
    retention_days: int,
    raw: RawRules,
    held: Callable[[Sequence[LedgerEntry]], Collection[str]] = lambda _files: (),
) -> CleanPlan:
    """What clean-up would take out of the stream's landing table. Writes nothing.

    Args:
        held: the keys of those files that have to stay for now: what ``on_new_column: add`` has not settled.
    """
    before = clean_before(cursor, retention_days=retention_days)
    due = () if before is None else tuple(reader.cleanable(stream, before=before))
    waiting = held(due)
    files = tuple(entry for entry in due if entry.key not in waiting)
    stays = _staying(stream, [(entry.key, entry.etag) for entry in files], reader=reader, raw=raw)
    kept = tuple(entry for entry in files if (entry.key, entry.etag) in stays)
    return CleanPlan(stream=stream, files=files, before=before, kept=kept)


def foresee(
    planned: Plan, *, cursor: Cursor, reader: Foreseeable, retention_days: int, raw: RawRules, until: date
) -> Leaving:
    """What will leave landing when all of the plan is taken in. Writes nothing.

    Args:
        until: keys of later days do not move the cursor (P11).
    """
    files = [file for batch in planned.batches for file in batch.files]
    days = [day for day in (day_of(file.key, otherwise=date.max) for file in files) if day <= until]
    days += [day_of(cursor.path, otherwise=date.min)] if cursor.path is not None else []
    newest = max(days, default=date.min)
    if newest == date.min:
        return Leaving()
    before = newest - timedelta(days=retention_days)
    live = reader.registered(planned.stream, first=date.min, last=before - timedelta(days=1))
    going = {(entry.key, entry.etag) for entry in live}
    going |= {(file.key, file.etag) for file in files if file_day(file) < before}
    if planned.existing and raw == RawRules():
        staying = going & {(file.key, file.etag) for file in planned.existing}
    else:
        staying = _staying(planned.stream, going, reader=reader, raw=raw)
    return Leaving(files=len(going), deleted=len(going - staying))


class _Existing(Protocol):
    def existing_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, str]:
        """What the stream's first plan listed of these keys, and under which ETags."""


def _staying(
    stream: StreamName, files: Iterable[tuple[str, str]], *, reader: _Existing, raw: RawRules
) -> set[tuple[str, str]]:
    """Those of the files, by key and ETag, whose objects are never deleted."""
    going = set(files)
    if raw.raw is RawPolicy.KEEP:
        return going
    if raw.delete_existing or not going:
        return set()
    return going & set(reader.existing_among(stream, sorted(key for key, _ in going)).items())
