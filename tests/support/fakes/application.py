"""The opened application on the in-memory lake: what commands and runs over all streams are tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import Any

from lakeray.planning import Days
from lakeray.ports.execution import Fed, Finish
from lakeray.run import Lakeray, feed_one
from lakeray.settings.values import ExecutorChoice, Settings
from lakeray.values.model import CommitterWork, StreamName
from tests.support.fakes.feeds import FeedWorld
from tests.support.fakes.lake import MemoryCatalog, MemoryLake
from tests.support.fakes.records import OWN_COLUMNS, STREAM
from tests.support.fakes.settings import settings as settings_with
from tests.support.fakes.store import MemoryStore
from tests.support.fakes.world import PlainExecutor

ORDERS: Mapping[str, Any] = {
    "source": STREAM.source,
    "stream": STREAM.stream,
    "primary_key": "pk",
    "cursor_field": "cursor",
    "fields": OWN_COLUMNS,
}
"""The config of the one stream of the in-memory records."""


@dataclass
class MemoryMachine:
    """The ``Machine`` port."""

    holder: str | None = None
    skews: Mapping[str, float] = field(default_factory=dict)
    lake: MemoryStore = field(default_factory=MemoryStore)
    temporary: MemoryStore = field(default_factory=MemoryStore)

    def versions(self) -> Mapping[str, str]:
        """One package."""
        return {"lakeray": "0.1.0"}

    def free_bytes(self) -> int:
        """A gigabyte."""
        return 10**9

    def lease_holder(self) -> str | None:
        """Who the test says."""
        return self.holder

    def clock_skews(self, *, now: datetime) -> Mapping[str, float]:
        """What the test says."""
        return self.skews

    def lake_files(self) -> MemoryStore:
        """What is below DATA_PATH."""
        return self.lake

    def temporary_files(self) -> MemoryStore:
        """What is in the temporary folder."""
        return self.temporary


@dataclass
class OneAfterTheOther:
    """The ``Feeders`` port: streams are fed in turn, in this thread."""

    app: Lakeray
    replay: Days | None
    catalog: MemoryCatalog
    committer_dies: bool
    """At the end, when everything is done: nobody can be asked what it did."""

    def run(self, streams: Sequence[StreamName], *, finish: Finish, stop: Callable[[], bool]) -> Fed:
        """Feed them."""
        executor, merged = self.app.open_executor(), len(self.catalog.merges)
        with self.app.committer() as committer:
            reports = [feed_one(self.app, self.replay, stream, committer, executor, stop) for stream in streams]
            batches, merges = sum(report.batches for report in reports), len(self.catalog.merges) - merged
            work = CommitterWork(
                commits=batches, snapshots=batches, transforms=merges, dbt_runs=merges, busy_s=0.0, seconds=0.0
            )
            return Fed(
                reports=tuple(reports), built=finish(committer, reports), work=None if self.committer_dies else work
            )


class MemoryApplication:
    """A world and the applications that are opened on it, one a command, as processes are."""

    def __init__(self, world: FeedWorld | None = None, **changes: Any) -> None:
        self.world = world or FeedWorld()
        self.machine = MemoryMachine()
        self.settings: Settings = settings_with(**{"streams": {STREAM.slug: dict(ORDERS)}, **changes})
        self.chosen: list[tuple[ExecutorChoice, Days | None]] = []
        """What runs asked for: where, and whether it is a replay."""
        self.opened_committers = 0
        self.committer_dies = False

    def configure(self, **changes: Any) -> None:
        """Change settings, as the user does between two commands."""
        self.settings = replace(self.settings, **changes)

    def open(self) -> Lakeray:
        """The application of the next command."""
        world, ids = self.world, count(1)
        reader = MemoryLake.reading(world.catalog, store=world.store, clock=world.clock)
        app = Lakeray(
            settings=self.settings,
            store=world.store,
            reader=reader,
            clock=world.clock,
            events=world.sink,
            machine=self.machine,
            open_committer=self._committer,
            open_executor=lambda: PlainExecutor(world.store),
            open_feeders=lambda choice, replay: self._feeders(app, choice, replay),
            new_id=lambda: f"{next(ids):04d}",
            fault=world.catalog.reach,
            generation_of=world.generation_of,
        )
        return app

    @contextmanager
    def _committer(self) -> Iterator[MemoryLake]:
        self.opened_committers += 1
        yield MemoryLake(self.world.catalog, store=self.world.store, clock=self.world.clock)

    def _feeders(self, app: Lakeray, choice: ExecutorChoice, replay: Days | None) -> OneAfterTheOther:
        self.chosen.append((choice, replay))
        return OneAfterTheOther(app, replay, self.world.catalog, self.committer_dies)
