"""What there is to know of streams at a glance: how far, how fresh, how sound. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from lakeray.values.model import (
    Cursor,
    LastBatch,
    Plan,
    RunRecord,
    SourceFile,
    StreamName,
    StreamReport,
    StreamStatus,
    TableHealth,
)

LAST_GAPS = 30
"""Gaps between arrivals that are looked at, the newest."""
LEAST_GAPS = 10
"""With fewer nothing is expected."""
AT_ONCE = timedelta(minutes=1)
"""Files that come within this time of the one before came with it (inclusive)."""
_USUAL, _PATIENCE = 0.95, 3


class State(StrEnum):
    """How a stream is, in one word; the first that is so."""

    FAILED = "failed"
    """It cannot be looked at, or its last run failed and there is still something to do."""
    WAITING = "waiting"
    """Its prefix lists nothing, and nothing that was taken in is expected there (P3)."""
    STALE = "stale"
    """Its newest file is older than expected."""
    ATTENTION = "attention"
    """Files were rejected, are too late, changed or vanished: an operator decides."""
    BEHIND = "behind"
    """Files are pending, or rows are not merged."""
    OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOverview:
    """What there is to know of one stream."""

    stream: StreamName
    cursor: Cursor
    plan: Plan | None
    """None when the storage could not be listed."""
    registered_files: int
    registered_snapshot: int | None
    quarantined: int
    last_batch: LastBatch | None
    landing: TableHealth | None
    """None when there is no such table."""
    processed: TableHealth | None
    kept_files: int
    """Files that left landing whose objects stay."""
    now: datetime
    is_waiting: bool = False
    """The prefix lists nothing, and nothing is expected there."""
    rows_without_key: int = 0
    """Rows that merges left out, of all files that were merged."""
    cursor_breaks: int = 0
    """Rows whose text cursor does not parse as its type."""
    left_out: int = 0
    """Live files of which the contract's policy left columns or fields out."""
    replaced: tuple[int, int] = (0, 0)
    """Files that newer generations have replaced, and the rows that these files brought."""
    last_run: RunRecord | None = None
    """The last one that did something, or failed."""
    arrivals: Sequence[datetime] = ()
    """When files that were taken in had come, to the minute, in any order; the newest of them."""
    expect_every: timedelta | None = None
    """How often files are to come, as the stream's config says."""
    error: str | None = None
    """Why the stream could not be looked at, or would not be fed."""

    @property
    def lag_seconds(self) -> float | None:
        """How long the oldest pending file, or an unmerged batch, has waited; 0 for none, None when unknown."""
        if self.plan is None:
            return None
        waits = self._pending()
        if self.last_batch is not None and self._is_unmerged:
            waits.append(self.last_batch.committed_at)
        return max(0.0, (self.now - min(waits)).total_seconds()) if waits else 0.0

    @property
    def newest_file_at(self) -> datetime | None:
        """When the newest file came that is listed or was taken in; None when nobody knows of any."""
        listed = None if self.plan is None else self.plan.newest_at
        return max([*self.arrivals, *([] if listed is None else [listed])], default=None)

    @property
    def expected_within(self) -> timedelta | None:
        """How old the newest file may be; None when nothing is expected."""
        return self.expect_every or expected_within([*self.arrivals, *self._pending()])

    @property
    def state(self) -> State:
        """How it is, in one word."""
        newest, within = self.newest_file_at, self.expected_within
        has_failed = self.last_run is not None and self.last_run.outcome is StreamStatus.FAILED
        found = {
            State.FAILED: self.error is not None or (has_failed and self._is_behind),
            State.WAITING: self.is_waiting,
            State.STALE: newest is not None and within is not None and self.now - newest > within,
            State.ATTENTION: self._needs_attention,
            State.BEHIND: self._is_behind,
        }
        return next((state for state, is_so in found.items() if is_so), State.OK)

    @property
    def _is_unmerged(self) -> bool:
        return (self.registered_snapshot or 0) > self.cursor.transformed_snapshot

    @property
    def _is_behind(self) -> bool:
        return self._is_unmerged or (self.plan is not None and self.plan.files > 0)

    @property
    def _needs_attention(self) -> bool:
        plan = self.plan
        files = () if plan is None else (*plan.too_late, *plan.changed, *plan.waiting, *plan.vanished, *plan.oversize)
        return bool(self.quarantined or files)

    def _pending(self) -> list[datetime]:
        return [] if self.plan is None else [file.last_modified for batch in self.plan.batches for file in batch.files]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What there is to know of a lake."""

    lake: str | None
    """Its id; None before there is one."""
    catalog: str
    storage: str
    env: str
    streams: Sequence[StreamOverview]
    enriched: Mapping[str, int | None]
    """Rows by model; None where there is no table yet."""

    @property
    def errors(self) -> list[str]:
        """What streams cannot be looked at, or would not be fed, and why."""
        return [f"{item.stream}: {item.error}" for item in self.streams if item.error is not None]

    @property
    def totals(self) -> dict[str, int]:
        """Counts over all streams; of those that could not be listed, what the lake says."""
        plans = [item.plan for item in self.streams if item.plan is not None]
        return {
            "streams": len(self.streams),
            "pending_files": sum(plan.files for plan in plans),
            "pending_bytes": sum(plan.size_bytes for plan in plans),
            "registered_files": sum(item.registered_files for item in self.streams),
            "landing_rows": sum(item.landing.rows for item in self.streams if item.landing is not None),
            "processed_rows": sum(item.processed.rows for item in self.streams if item.processed is not None),
            "quarantined": sum(item.quarantined for item in self.streams),
            "too_late": sum(len(plan.too_late) for plan in plans),
        }


class Newest:
    """The last change of the newest of the files that passed."""

    def __init__(self) -> None:
        self.at: datetime | None = None

    def passing(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """The same files."""
        for file in files:
            if self.at is None or file.last_modified > self.at:
                self.at = file.last_modified
            yield file


def expected_within(arrivals: Iterable[datetime]) -> timedelta | None:
    """How old the newest file may be, by when files came before: three times the 95th percentile of the last gaps.

    None when there are fewer than ``LEAST_GAPS``.
    """
    gaps = [after - before for before, after in pairwise(sorted(arrivals)) if after - before > AT_ONCE]
    if len(gaps) < LEAST_GAPS:
        return None
    last = sorted(gaps[-LAST_GAPS:])
    return _PATIENCE * last[math.ceil(_USUAL * len(last)) - 1]


def records_of(reports: Iterable[StreamReport], *, at: datetime) -> list[RunRecord]:
    """What is kept of a run: of each stream that it did something for, or that failed."""
    quiet = (StreamStatus.NOTHING_NEW, StreamStatus.WAITING)
    return [
        RunRecord(
            stream=report.stream,
            at=at,
            outcome=report.status,
            batches=report.batches,
            files=report.files,
            rows=report.rows,
            size_bytes=report.size_bytes,
            quarantined=report.quarantined,
            seconds=report.seconds,
            error=report.error,
        )
        for report in reports
        if report.status not in quiet
    ]


def not_told(records: Iterable[RunRecord], last: Mapping[StreamName, RunRecord]) -> list[RunRecord]:
    """The records that say another thing than the stream's last one: a failure that repeats is kept once."""
    return [record for record in records if record.stream not in last or _told(record) != _told(last[record.stream])]


def _told(record: RunRecord) -> tuple[str | None, ...]:
    error = record.error or {}
    return record.outcome, error.get("kind"), error.get("about")
