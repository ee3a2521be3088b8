"""What a lake costs as it grows: catalogs with 10⁴, 10⁵ and 10⁶ registered files, beside an empty one.

On a real Postgres and a real SeaweedFS without delay. The window in which files arrive stays the same; what grows is
what lies behind it. Run alone: ``python -m benchmarks.scale [sizes=10000,100000] [writer=catalog] [commits=3]``.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from benchmarks.contenders import feed_of
from benchmarks.fill import FILES_PER_DAY, fill, mark_transformed, settle
from benchmarks.registration import writers
from benchmarks.report import keep, timed
from benchmarks.stack import FIRST_DAY, Place, Silent, keys_of, sample_bodies, servers, stream_of
from lakeray import wiring
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.planning import PlanningPorts, plan_stream
from lakeray.run import Lakeray, overview
from lakeray.steps.clean import RawRules, plan_clean
from lakeray.values.model import Removal

STREAM = "klaviyo/metrics"
SIZES = (10_000, 100_000, 1_000_000)
_FILES = 1000
"""Of a batch."""
_RUNS = 3
_NO_FILE = "_airbyte_extracted_at BETWEEN '2026-01-01 11:50:40+00' AND '2026-01-01 11:50:50+00'"
"""Inside the table's bounds and outside every file's: a file's rows are of half a minute from a full minute on."""


@dataclass(kw_only=True)
class Lake:
    """The lake that grows."""

    place: Place
    bodies: Sequence[bytes]
    writer: str | None
    commits: int
    arrived: int = 0
    """Batches that arrived, each in a day ten days after the one before: only the last is in view of a feed."""
    cleaned: int = 0
    """Batches that were cleaned up: so storage has as many objects at each size."""

    def day(self) -> date:
        """The day of the last batch."""
        return FIRST_DAY + timedelta(days=10 * self.arrived)

    def arrive(self, files: int) -> None:
        """New files on storage."""
        self.arrived += 1
        keys = keys_of(STREAM, files=files, days=1, first=self.day())
        self.place.stack.upload(self.place.prefix, self.bodies, keys)

    def words(self) -> list[str]:
        """The settings that are not the place's."""
        return [] if self.writer is None else [f"lake.writer={self.writer}"]

    @contextmanager
    def app(self) -> Iterator[Lakeray]:
        """A command's view of the lake, opened."""
        with wiring.opened(self.place.settings(*self.words()), events=Silent()) as app:
            yield app


def main(words: Sequence[str] = ()) -> None:
    """Measure the sizes, one after the other, on one lake."""
    options = dict(word.split("=", 1) for word in words)
    sizes = [int(size) for size in options["sizes"].split(",")] if "sizes" in options else list(SIZES)
    known = writers()
    writer = options.get("writer", known[-1])
    with servers() as stack:
        place = stack.place(prefix="raw", stream=STREAM)
        lake = Lake(
            place=place,
            bodies=sample_bodies(STREAM, rows=20),
            writer=writer if len(known) > 1 else None,
            commits=int(options.get("commits", _RUNS)),
        )
        lake.arrive(_FILES)
        feed_of(place, _FILES, words=lake.words())
        measured, filled = {0: _measured(lake)}, 0
        for size in sizes:
            seconds = timed(lambda more=size - filled, had=filled: fill(place, files=more, had=had, newest=FIRST_DAY))
            filled = size
            settled = timed(lambda: settle(place))
            print(f"filled to {size:,} in {seconds:.1f} s, settled in {settled:.1f} s", file=sys.stderr)
            measured[size] = _measured(lake)
    keep("scale", _results(measured, writer=writer))


def _measured(lake: Lake) -> dict[str, float]:
    """Seconds of each operation, the median of some runs."""
    found = {"commit_1000_files_s": _commits(lake)}
    mark_transformed(lake.place)
    for name, work in _READS.items():
        found[name] = statistics.median(work(lake) for _ in range(_RUNS))
        print(name, round(found[name], 3), file=sys.stderr, flush=True)
    cleaned = [_clean_up(lake) for _ in range(lake.commits)]
    found["remove_1000_files_s"] = statistics.median(removed for removed, _ in cleaned)
    found["expire_1000_files_s"] = statistics.median(expired for _, expired in cleaned)
    print({name: round(found[name], 3) for name in list(found)[-2:]}, file=sys.stderr, flush=True)
    return found


def _commits(lake: Lake) -> float:
    found = []
    for _ in range(lake.commits):
        lake.arrive(_FILES)
        took = feed_of(lake.place, _FILES, words=lake.words())
        assert took.serialized_s is not None
        print(took.as_dict(), file=sys.stderr)
        found.append(took.serialized_s)
    return statistics.median(found)


def _clean_up(lake: Lake) -> tuple[float, float]:
    """Taking a batch out of landing; then expiring, with the deletion of its objects."""
    with lake.app() as app, app.committer() as committer:
        committer.expire(older_than=app.clock.now())  # what the filling and the commits left
        day = FIRST_DAY + timedelta(days=10 * (lake.cleaned + 1))
        name = app.streams()[0].name
        files = app.reader.registered(name, first=day, last=day)
        assert len(files) == _FILES
        lake.cleaned += 1
        removed = timed(lambda: committer.remove(name, files, reason=Removal.RETENTION))
        return removed, timed(lambda: committer.expire(older_than=app.clock.now()))


def _discovery(lake: Lake) -> float:
    with lake.app() as app:

        def discover() -> None:
            (stream,) = app.streams()
            ports = PlanningPorts(store=app.store, reader=app.planning_snapshot(), today=app.today())
            planned = plan_stream(app.rules(stream), ports)
            assert not planned.batches

        app.reader.cursor(app.streams()[0].name)  # opening the catalog is not discovery
        return timed(discover)


def _status(lake: Lake) -> float:
    with lake.app() as app:
        app.reader.cursor(app.streams()[0].name)
        return timed(lambda: overview(app, enriched=()))


def _clean_planning(lake: Lake) -> float:
    """With as many files due at every size: those of the oldest eight days."""
    with lake.app() as app:
        name = app.streams()[0].name
        oldest = app.planning_snapshot().oldest_merged_day(name)
        assert oldest is not None
        before = oldest + timedelta(days=_FILES // FILES_PER_DAY)
        cursor = app.reader.cursor(name)
        return timed(
            lambda: plan_clean(name, cursor=cursor, reader=_Due(app.reader, before), retention_days=7, raw=RawRules())
        )


class _Due:
    """A reader whose files are due before a day of ours."""

    def __init__(self, reader: Any, before: date) -> None:
        self._reader = reader
        self._before = before

    def cleanable(self, stream: Any, *, before: date) -> Any:  # noqa: ARG002
        return self._reader.cleanable(stream, before=self._before)

    def existing_among(self, stream: Any, keys: Any) -> Any:
        return self._reader.existing_among(stream, keys)


def _clean_dry_run(lake: Lake) -> float:
    """What would be expired and deleted: snapshots and scheduled files, none of which are due."""
    with lake.app() as app, app.committer() as committer:
        older_than = app.clock.now() - timedelta(days=1)
        return timed(lambda: committer.expire(older_than=older_than, dry_run=True))


def _scan_planning(lake: Lake) -> float:
    """Finding the files of a scan by their statistics, when no file passes: EXPLAIN alone does not look for them."""
    table = stream_of(lake.place.settings()).name.landing_table
    return _answered(lake, f"SELECT count(id) FROM lakehouse.staging.{table} WHERE {_NO_FILE}")


def _insertions_planning(lake: Lake) -> float:
    """The same for what dbt reads."""
    return _answered(lake, f"SELECT count(id) FROM {_last_batch(lake)} WHERE {_NO_FILE}")


def _insertions(lake: Lake) -> float:
    """What dbt reads, 1,000 files of it."""
    return _answered(lake, f"SELECT count(id) FROM {_last_batch(lake)}")


def _last_batch(lake: Lake) -> str:
    table = stream_of(lake.place.settings()).name.landing_table
    with lake.app() as app:
        batch = app.reader.last_batch(app.streams()[0].name)
    assert batch is not None
    return f"ducklake_table_insertions('lakehouse', 'staging', '{table}', {batch.snapshot}, {batch.snapshot})"


def _answered(lake: Lake, statement: str) -> float:
    """Seconds of a statement on a connection as lakeray opens it."""
    connection = connect(wiring.backend(lake.place.settings()), read_only=True)
    try:
        connection.execute("SELECT count(*) FROM lakehouse.meta.feeder_cursors").fetchall()
        return timed(lambda: connection.execute(statement).fetchall())
    finally:
        connection.close()


_READS: dict[str, Callable[[Lake], float]] = {
    "discovery_s": _discovery,
    "status_s": _status,
    "clean_planning_s": _clean_planning,
    "clean_dry_run_s": _clean_dry_run,
    "landing_scan_planning_s": _scan_planning,
    "table_insertions_planning_s": _insertions_planning,
    "table_insertions_s": _insertions,
}


def _results(measured: dict[int, dict[str, float]], *, writer: str) -> dict[str, Any]:
    empty = measured[0]
    return {
        "stream": STREAM,
        "writer": writer,
        "files_per_batch": _FILES,
        "sizes": [
            {
                "registered_files": size,
                "seconds": {name: round(value, 4) for name, value in one.items()},
                "growth": {name: round(value / empty[name], 2) for name, value in one.items()},
            }
            for size, one in measured.items()
        ],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
