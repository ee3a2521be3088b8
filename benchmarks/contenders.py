"""Ways to register files, each timed on a lake of its own: DuckLake's call in three ways, PyIceberg, and lakeray."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from benchmarks.report import ROOT, timed
from benchmarks.stack import Place, Silent, stream_of
from lakeray import feed, wiring
from lakeray.adapters.services import postgres
from lakeray.ports.committer import Committer
from lakeray.ports.execution import Executor
from lakeray.ports.time import Clock
from lakeray.settings.values import Settings
from lakeray.streams.generated import landing_ddl
from lakeray.values.model import (
    Batch,
    BuildResult,
    CommitOutcome,
    CommitRequest,
    Contract,
    LedgerEntry,
    Peak,
    PendingTransform,
    StreamName,
    Verdict,
)

_ADD = (
    "CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging', allow_missing => true, "
    "ignore_extra_columns => true, hive_partitioning => false)"
)
_GLOB_THREADS = 64
"""A glob is read by DuckDB's threads: many of them hide the storage's latency."""
BENCH_PYTHON = Path(os.environ.get("LAKERAY_BENCH_PYTHON", ROOT / ".venv-bench" / "bin" / "python"))
"""The interpreter that has PyIceberg: ``make bench-env``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one contender took for so many files, seconds throughout."""

    files: int
    seconds: float
    """From the first request to the last file landed. Connections are open and tables made before."""
    serialized_s: float | None = None
    """Of these, inside the committer, where no other writer can work; None when the contender does not say."""
    phases_s: dict[str, float] | None = None
    """Where lakeray's seconds went."""

    def as_dict(self) -> dict[str, Any]:
        """Rounded, with rates."""
        found = {
            "files": self.files,
            "seconds": round(self.seconds, 3),
            "files_per_s": round(self.files / self.seconds, 1),
            "ms_per_file": round(self.seconds / self.files * 1000, 3),
        }
        if self.serialized_s is not None:
            found["serialized_ms_per_file"] = round(self.serialized_s / self.files * 1000, 4)
        if self.phases_s is not None:
            found["phases_s"] = {name: round(value, 3) for name, value in self.phases_s.items()}
        return found


def per_file(place: Place, keys: Sequence[str]) -> Took:
    """One call, and so one DuckLake snapshot, per file: the obvious loop."""
    with place.duckdb(threads=2) as connection:
        table = _make_landing(connection, place)
        seconds = timed(lambda: [connection.execute(_ADD, [table, place.url(key)]) for key in keys])
        _check(connection, table, len(keys))
    return Took(files=len(keys), seconds=seconds, serialized_s=seconds)


def list_call(place: Place, keys: Sequence[str]) -> Took:
    """One call with all paths."""
    with place.duckdb(threads=_GLOB_THREADS) as connection:
        table = _make_landing(connection, place)
        seconds = timed(lambda: connection.execute(_ADD, [table, [place.url(key) for key in keys]]))
        _check(connection, table, len(keys))
    return Took(files=len(keys), seconds=seconds, serialized_s=seconds)


def glob_call(place: Place, keys: Sequence[str]) -> Took:
    """One call with a pattern. ``keys`` must be the whole content of one folder: a pattern cannot name a set."""
    with place.duckdb(threads=_GLOB_THREADS) as connection:
        table = _make_landing(connection, place)
        pattern = place.url(keys[0]).rsplit("/", 1)[0] + "/*.parquet"
        seconds = timed(lambda: connection.execute(_ADD, [table, pattern]))
        _check(connection, table, len(keys))
    return Took(files=len(keys), seconds=seconds, serialized_s=seconds)


def pyiceberg(place: Place, keys: Sequence[str], *, body: bytes) -> Took:
    """PyIceberg's ``add_files``: one commit; its catalog is in the same Postgres, its metadata on the same storage.

    Raises:
        RuntimeError: it failed; its last words are told.
    """
    services = place.stack.state
    user = f"{postgres.USER}:{quote(services.postgres_password, safe='')}"
    with tempfile.NamedTemporaryFile(suffix=".parquet") as local:
        local.write(body)
        local.flush()
        given = {
            "uri": f"postgresql+psycopg2://{user}@127.0.0.1:{place.postgres_port}/{postgres.DATABASE}",
            "warehouse": place.data_path.rstrip("/"),
            "endpoint": f"http://127.0.0.1:{place.s3_port}",
            "access_key_id": services.s3_access_key_id,
            "secret_access_key": services.s3_secret_access_key,
            "namespace": place.schema,
            "local_file": local.name,
            "files": [place.url(key) for key in keys],
        }
        words = [str(BENCH_PYTHON), str(ROOT / "benchmarks" / "pyiceberg_add_files.py")]
        ran = subprocess.run(words, input=json.dumps(given), capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"PyIceberg failed: {ran.stderr.strip().splitlines()[-1:]}")
    return Took(files=len(keys), seconds=json.loads(ran.stdout)["seconds"])


class Configured(Protocol):
    """A lake of its own, as settings."""

    def settings(self, *words: str) -> Settings:
        """The settings of a command on this lake."""


def feed_of(place: Configured, files: int, *, words: Sequence[str] = ()) -> Took:
    """lakeray's feed itself, from the listing to the last batch landed, without dbt.

    Args:
        words: settings, such as ``lake.writer=catalog``.

    Raises:
        RuntimeError: it did not take in so many files.
    """
    settings = place.settings(*words)
    with wiring.opened(settings, events=Silent()) as app, app.committer() as committer:
        rules = app.rules(stream_of(settings))
        committer.ensure_landing(rules.stream, rules.contract)
        clock = app.clock
        timing = Timing(clock)
        ports = app.ports(
            _TimedCommitter(committer, timing),
            _TimedExecutor(wiring.inline_executor(settings), timing),
            stop=lambda: False,
        )
        ports = replace(ports, reader=_LandedOnly(app.reader))  # type: ignore[arg-type]
        report = feed.StreamFeed(rules, ports).report()
    if report.files != files:
        raise RuntimeError(f"lakeray took {report.files} of {files} files: {report.error}")
    return Took(files=files, seconds=timing.landed_s, serialized_s=timing.commit_s, phases_s=timing.phases())


class Timing:
    """Where a feed's seconds go, taken from outside its ports."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self.look_s = self.wait_s = self.commit_s = self.landed_s = 0.0

    def now_s(self) -> float:
        """Seconds since the start."""
        return self._clock.monotonic_s() - self._started_s

    def phases(self) -> dict[str, float]:
        """The parts of ``landed_s``."""
        rest = self.landed_s - self.look_s - self.wait_s - self.commit_s
        return {
            "books_and_listing": self.look_s,
            "waiting_for_footers": self.wait_s,
            "commit": self.commit_s,
            "between": rest,
        }


class _TimedCommitter:
    def __init__(self, committer: Committer, timing: Timing) -> None:
        self._committer = committer
        self._timing = timing

    def commit(self, request: CommitRequest) -> CommitOutcome:
        started_s = self._timing.now_s()
        outcome = self._committer.commit(request)
        self._timing.landed_s = self._timing.now_s()
        self._timing.commit_s += self._timing.landed_s - started_s
        return outcome

    def transform(self, pending: PendingTransform) -> BuildResult:  # noqa: ARG002
        return BuildResult(models=(), rows_affected=0, seconds=0.0)

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """Landed is where the clock stops: nothing is merged, and no mark moves."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._committer, name)


class _TimedExecutor:
    def __init__(self, executor: Executor, timing: Timing) -> None:
        self._executor = executor
        self._timing = timing

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        self._timing.look_s = self._timing.now_s()
        verdicts = iter(self._executor.validate(batches, contract=contract, ahead=ahead))
        while True:
            started_s = self._timing.now_s()
            item = next(verdicts, None)
            self._timing.wait_s += self._timing.now_s() - started_s
            if item is None:
                return
            yield item


class _LandedOnly:
    """A reader that sees nothing to transform and nothing to clean: landed is where the clock stops."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:  # noqa: ARG002
        return None

    def cleanable(self, stream: StreamName, *, before: date) -> tuple[LedgerEntry, ...]:  # noqa: ARG002
        return ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def _make_landing(connection: Any, place: Place) -> str:
    stream = stream_of(place.settings())
    connection.execute("CREATE SCHEMA IF NOT EXISTS lakehouse.staging")
    connection.execute(landing_ddl(stream.name, stream.landing_contract()))
    return stream.name.landing_table


def _check(connection: Any, table: str, files: int) -> None:
    (found,) = connection.execute(
        "SELECT count(*) FROM ducklake_list_files('lakehouse', ?, schema => 'staging')", [table]
    ).fetchone()
    if found != files:
        raise RuntimeError(f"{found} of {files} files were registered")
