"""When the sample's syncs run, which records a file carries, and how one stream's records relate to another's files.

All of it is arithmetic on file and record numbers, so that any file can be made alone, without remembering the others.
A record's version is the number of the file that carries it: a later file, a newer version.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from lakeray.values.model import StreamName

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 24 * 60 * 60 * 1_000_000
_MINUTE_US = 60 * 1_000_000
_AHEAD = 3
"""How many files after the last one a population still tells of: what an order is, must not depend on ``days``."""
_RESEND_EVERY = 5
"""Every so many files, one starts with the end of the file before it: a retried sync."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSettings:
    """How much of a sample to make. The same settings give the same records on any day and machine."""

    first_day: date = date(2026, 1, 1)
    days: int = 3
    files_per_day: int = 4
    rows_per_file: int = 200
    """Rows in a file of the largest streams; the others carry a share of it."""
    seed: int = 42
    syncs_per_day: int | None = None
    """None: one sync per file, but at most four a day. Never more than there are files."""

    def __post_init__(self) -> None:
        for name in ("days", "files_per_day", "rows_per_file"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.syncs_per_day is not None and self.syncs_per_day < 1:
            raise ValueError(f"syncs_per_day must be at least 1, not {self.syncs_per_day}")

    @property
    def files(self) -> int:
        """How many files a stream gets."""
        return self.days * self.files_per_day


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a stream grows. The defaults are those of a large stream with a cursor that moves."""

    rows_divisor: int = 1
    """The stream's files carry ``rows_per_file`` divided by this."""
    update_percent: int = 20
    """How much of a file are newer versions of earlier records."""
    moving_cursor: bool = True
    """Whether a newer version has a later cursor value; only then may an older version arrive late."""
    capacity: int | None = None
    """The stream never has more records than this; None: it grows with every file."""
    backlog_days: tuple[int, int] = (30, 0)
    """The first file's records were made between so many days before the first sync."""


class Emission(NamedTuple):
    """One row to be: which record, and in which version."""

    record: int
    version: int


@dataclass(frozen=True)
class Timeline:
    """When each sync starts and what each file of it covers. Times in ``_us`` are microseconds since 1970."""

    settings: SampleSettings

    @cached_property
    def windows_us(self) -> Sequence[tuple[int, int]]:
        """By file: from when (inclusive) to when (exclusive) its records changed, a share of the time since a sync."""
        return [self._window_us(file) for file in range(self.settings.files)]

    @property
    def syncs_per_day(self) -> int:
        """How many syncs a day are made of files."""
        wanted = self.settings.syncs_per_day or 4
        return min(wanted, self.settings.files_per_day)

    def sync_number(self, file: int) -> int:
        """Which sync writes the file, counted from 0."""
        day, part = divmod(file, self.settings.files_per_day)
        return day * self.syncs_per_day + part * self.syncs_per_day // self.settings.files_per_day

    def sync_us(self, sync: int) -> int:
        """When the sync starts; its day names the folder, even if it ends after midnight."""
        day, number = divmod(sync, self.syncs_per_day)
        gap_us = _DAY_US // self.syncs_per_day
        lead_us = min(10 * _MINUTE_US, gap_us // 2)
        midnight_us = (self.settings.first_day - _EPOCH.date()).days * _DAY_US
        return midnight_us + day * _DAY_US + (number + 1) * _DAY_US // self.syncs_per_day - lead_us

    def extraction_us(self, file: int) -> tuple[int, int]:
        """From when (inclusive) to when (exclusive) the file's records were read: inside the sync."""
        sync = self.sync_number(file)
        place, files = self._place(file)
        gap_us = _DAY_US // self.syncs_per_day
        span_us = min(gap_us // 2 // files, _MINUTE_US)
        start_us = self.sync_us(sync) + span_us * place
        return start_us, start_us + span_us

    def key(self, name: StreamName, *, file: int) -> str:
        """The file's key, relative to the raw prefix. Part numbers count from 0 in each folder and are not padded."""
        day, part = divmod(file, self.settings.files_per_day)
        folder = (self.settings.first_day + timedelta(days=day)).strftime("year=%Y/month=%m/day=%d")
        return f"{name}/{folder}/part_{part}.parquet"

    def _window_us(self, file: int) -> tuple[int, int]:
        sync = self.sync_number(file)
        place, files = self._place(file)
        start_us, end_us = self.sync_us(sync - 1), self.sync_us(sync)
        width_us = end_us - start_us
        return start_us + width_us * place // files, start_us + width_us * (place + 1) // files

    def _place(self, file: int) -> tuple[int, int]:
        """The file's place among the files of its sync, and how many those are."""
        per_day, syncs = self.settings.files_per_day, self.syncs_per_day
        part = file % per_day
        sync = part * syncs // per_day
        first = -(-sync * per_day // syncs)
        return part - first, -(-(sync + 1) * per_day // syncs) - first


@dataclass(frozen=True, slots=True)
class Population:
    """Which records exist when, and which of them each file carries."""

    shape: Shape
    settings: SampleSettings
    rows: int
    """Rows in a full file."""
    updates: int
    """How many of them are newer versions of earlier records."""
    late: int
    """How many are older versions that arrive after a newer one: two in a hundred, and one in a small file."""
    resent: int
    """How many rows a retried sync sends again."""
    firsts: tuple[int, ...]
    """By file, and a few more: how many records there are before it."""

    @classmethod
    def of(cls, shape: Shape, *, settings: SampleSettings) -> Population:
        """The population of a stream of this shape."""
        rows = max(1, settings.rows_per_file // shape.rows_divisor)
        rows = rows if shape.capacity is None else min(rows, shape.capacity)
        updates = max(rows * shape.update_percent // 100, int(rows > 2 and shape.update_percent > 0))
        late = max(rows // 50, int(rows >= 10)) if updates and shape.moving_cursor else 0
        resent = max(rows // 10, int(rows >= 5))
        # The first file is all new; in the others the rows that repeat something take the place of new ones.
        grown = (
            rows + (file - 1) * (rows - updates - late) - resent * (file // _RESEND_EVERY)
            for file in range(1, settings.files + _AHEAD)
        )
        firsts = tuple(count if shape.capacity is None else min(count, shape.capacity) for count in grown)
        return cls(shape, settings, rows, updates, late, resent, (0, *firsts))

    def first(self, file: int) -> int:
        """How many records there are before the file: the number of the first one it introduces."""
        return self.firsts[file]

    def introduced(self, file: int) -> int:
        """How many records the file introduces."""
        return self.first(file + 1) - self.first(file)

    def introduced_in(self, record: int) -> int:
        """The file that introduces the record."""
        return bisect_right(self.firsts, record) - 1

    def emissions(self, file: int) -> Iterator[Emission]:
        """The file's rows in order: what a retry sends again, late older versions, newer versions, new records."""
        if file > 0 and file % _RESEND_EVERY == _RESEND_EVERY - 1:
            end = self._fresh(file - 1)
            for place in range(max(0, end - self.resent), end):
                yield self._fresh_at(file - 1, place=place)
        for place in range(self._late_in(file)):
            record = self._updated(file - 1, place=place)
            yield Emission(record, self.introduced_in(record))
        for place in range(self._fresh(file)):
            yield self._fresh_at(file, place=place)

    def _late_in(self, file: int) -> int:
        return self.late if file > 1 else 0

    def _updates_in(self, file: int) -> int:
        if file <= 0:
            return 0
        wanted = self.updates + self.late - self._late_in(file)
        return min(max(wanted, int(self.introduced(file) == 0)), self.first(file))

    def _fresh(self, file: int) -> int:
        return self._updates_in(file) + self.introduced(file)

    def _fresh_at(self, file: int, *, place: int) -> Emission:
        updates = self._updates_in(file)
        record = self._updated(file, place=place) if place < updates else self.first(file) + place - updates
        return Emission(record, file)

    def _updated(self, file: int, *, place: int) -> int:
        """The ``place``-th earlier record that the file has a newer version of: distinct ones, of the last 20 files."""
        known = self.first(file)
        recent = min(known, 20 * self.rows)
        step = recent // self._updates_in(file)
        return known - recent + (file * 7919 + place * step) % recent


def moment(us: int) -> datetime:
    """Microseconds since 1970 as an aware datetime, cut to whole milliseconds as sources send them."""
    return _EPOCH + timedelta(milliseconds=us // 1000)
