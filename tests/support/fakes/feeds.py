"""A feed of the in-memory lake, ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from itertools import count

from lakeray import feed, planning
from lakeray.steps.clean import RawRules
from lakeray.values.model import Budget, SourceFile, StreamReport, StreamStatus
from tests.support.fakes.lake import MemoryCatalog, MemoryLake
from tests.support.fakes.records import CONTRACT, STREAM, Row, content, generation_of, rows_of
from tests.support.fakes.store import MemoryStore
from tests.support.fakes.world import FakeClock, PlainExecutor, RecordingSink

MB = 1_000_000
BUDGET = Budget(allowed_bytes=1000 * MB, reserved_bytes=100 * MB, target_bytes=50 * MB, max_files=1000, max_in_flight=2)
RULES = planning.Rules(
    stream=STREAM,
    contract=CONTRACT,
    budget=BUDGET,
    oversize_policy="spill",
    lookback_days=3,
    retention_days=7,
    raw=RawRules(delete_existing=True),
)


def key_for(day: date, name: str = "part_0.parquet", *, padded: bool = True) -> str:
    """A key of the test stream in a day's folder."""
    month, number = (f"{day.month:02d}", f"{day.day:02d}") if padded else (str(day.month), str(day.day))
    return f"{STREAM}/year={day.year}/month={month}/day={number}/{name}"


class FeedWorld:
    """A store, a catalog and a clock that outlive crashes; `reopen` is the next process."""

    def __init__(self, rules: planning.Rules = RULES, *, snapshot_days: float = 1.0) -> None:
        self.rules = rules
        self.snapshot_days = snapshot_days
        self.clock = FakeClock()
        self.store = MemoryStore()
        self.catalog = MemoryCatalog(at=self.clock.now())
        self.sink = RecordingSink()
        self._ids = count(1)
        self.stop: Callable[[], bool] = lambda: False
        self.reopen()

    def reopen(self) -> None:
        """Start the next process: a new token, nothing in memory."""
        self.lake = MemoryLake(self.catalog, store=self.store, clock=self.clock)
        self.executor = PlainExecutor(self.store)

    def put(self, key: str, *rows: Row) -> SourceFile:
        """A good file lands."""
        return self.store.put(key, content(rows), at=self.clock.now())

    def put_bytes(self, key: str, data: bytes) -> SourceFile:
        """Any bytes land."""
        return self.store.put(key, data, at=self.clock.now())

    def ports(self) -> feed.Ports:
        """The ports of a feed by the process that is open now."""
        return feed.Ports(
            store=self.store,
            reader=self.lake,
            clock=self.clock,
            events=self.sink,
            committer=self.lake,
            executor=self.executor,
            new_id=lambda: f"{next(self._ids):04d}",
            stop=lambda: self.stop(),
            fault=self.catalog.reach,
            generation_of=self.generation_of,
        )

    def generation_of(self, file: SourceFile) -> int | None:
        """The newest generation of an object's rows, if it has any."""
        try:
            rows = rows_of(self.store.read(file.key))
        except (FileNotFoundError, ValueError):
            return None
        return max((generation_of(item) for item in rows), default=None)

    def feed(self, **changes: object) -> StreamReport:
        """Feed the stream once, and let old snapshots go, as the command does at its end."""
        report = feed.StreamFeed(replace(self.rules, **changes), self.ports()).report()  # type: ignore[arg-type]
        if report.status is StreamStatus.OK:
            self.expire()
        return report

    def expire(self) -> None:
        """Let snapshots go that are older than `snapshot_days`."""
        self.lake.expire(older_than=self.clock.now() - timedelta(days=self.snapshot_days))

    def replay(self, first: date, last: date) -> StreamReport:
        """Replay a range of days."""
        return feed.StreamFeed(self.rules, self.ports(), replay=planning.Days(first=first, last=last)).report()

    def committer_rewinds(self, snapshot: int) -> None:
        """Move the stream's mark back, as a replay does."""
        self.lake.rewind(STREAM, to_snapshot=snapshot)
