"""A feed with nothing new: wall time of the whole process, its CPU time, and storage requests.

Compared in the same run with what no feed can do without: starting Python with DuckDB, its extensions and the
attached lake. Then on SeaweedFS and Postgres, with 1,000 and with 100,000 files registered behind the 1,000 that a feed
looks at; with 100,000 also behind proxies that add 30 ms to each round trip to storage and 1 ms to each to Postgres.
CPU time is told beside wall time, for it does not depend on what else the machine does. Run alone:
``python -m benchmarks.noop [local|servers]``.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.fill import fill, mark_transformed, settle
from benchmarks.proxies import proxy
from benchmarks.report import ROOT, keep, lakeray, spread, timed
from benchmarks.stack import FIRST_DAY, Place, keys_of, sample_bodies, servers
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.planning import PlanningPorts, plan_stream
from lakeray.ports.storage import Level
from lakeray.settings.values import Settings
from lakeray.values.model import SourceFile
from lakeray.wiring import opened

_RUNS = 9
_STREAM = "klaviyo/metrics"
_IN_VIEW = 1000
_REGISTERED = (1_000, 100_000)
_STORAGE_MS = 30
_POSTGRES_MS = 1
_ATTACH = """
import sys
from functools import partial
from pathlib import Path
from lakeray.adapters.ducklake.backends.backend import LakePlace
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.backends.sqlite.backend import SqliteBackend
from lakeray.adapters.lease.file import FileLease
root = Path(sys.argv[1])
place = LakePlace(data_path=f"{root}/lake/", memory_bytes=2**29, threads=2, extension_directory=root / "extensions",
                  temp_directory=root / "tmp")
backend = SqliteBackend(f"{root}/catalog.sqlite", place=place, lease=partial(FileLease, root / "lease"))
connect(backend, read_only=True).execute("SELECT count(*) FROM lakehouse.meta.ledger").fetchall()
"""


class CountingStore:
    """A store that counts listing requests: a page of 1,000 keys is one."""

    def __init__(self, store: object) -> None:
        self._store = store
        self.requests = 0

    def list_level(self, prefix: str) -> Level:
        """One request."""
        self.requests += 1
        return self._store.list_level(prefix)

    def list_files(self, prefix: str, *, start_after: str | None = None) -> Iterator[SourceFile]:
        """A request, and one for each thousand keys."""
        self.requests += 1
        for number, file in enumerate(self._store.list_files(prefix, start_after=start_after), start=1):
            self.requests += number % 1000 == 0
            yield file

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)


def main(words: Sequence[str] = ()) -> None:
    """Measure on files and SQLite, and on the servers; or one of the two."""
    parts = {"local": _local, "servers": _servers}
    keep("noop", {name: parts[name]() for name in words or parts})


def _local() -> dict[str, Any]:
    """All nine streams of the sample, fed before."""
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        root = f"paths.root={folder}"
        lakeray("demo", root)
        attach = [sys.executable, "-c", _ATTACH, folder]
        nine = _processes(lambda: lakeray("feed", root))
        one = _processes(lambda: lakeray("feed", root, "+stream=shopify/orders"))
        bare = _processes(lambda: subprocess.run(attach, cwd=ROOT, check=True))
        requests = _requests(Path(folder))
    return {
        "nine_streams": nine,
        "one_stream": one,
        "python_duckdb_attach": bare,
        "nine_streams_to_attach": round(nine["wall_s"]["median"] / bare["wall_s"]["median"], 2),
        "listing_requests_per_stream": requests,
    }


def _processes(work: Callable[[], object]) -> dict[str, Any]:
    """Wall and CPU seconds of a process that ``work`` starts and waits for, of some runs."""
    walls, cpus = [], []
    for _ in range(_RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(timed(work))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_s": spread(walls), "cpu_s": spread(cpus)}


def _servers() -> dict[str, Any]:
    """One stream in daily use: what is behind the retention is in the ledger and nowhere else."""
    with servers() as stack:
        place = stack.place(prefix="raw", stream=_STREAM)
        stack.upload("raw", sample_bodies(_STREAM, rows=20), keys_of(_STREAM, files=_IN_VIEW, days=5))
        lakeray("feed", *place.words())
        found: dict[str, Any] = {"files_in_view": _IN_VIEW}
        had = 0
        for files in _REGISTERED:
            fill(place, files=files - had, had=had, newest=FIRST_DAY - timedelta(days=30), cleaned=True)
            had = files
            settle(place)
            mark_transformed(place)
            feeds = _processes(lambda: _idle(place))
            found[f"{files}_registered"] = {"feed": feeds, "listing_requests": _counted(place.settings())}
        found["growth"] = _growth(found, "wall_s")
        found["growth_of_cpu"] = _growth(found, "cpu_s")
        with (
            proxy(stack.state.s3_port, delay_s=_STORAGE_MS / 1000) as s3_port,
            proxy(stack.state.postgres_port, delay_s=_POSTGRES_MS / 1000) as postgres_port,
        ):
            far = replace(place, s3_port=s3_port, postgres_port=postgres_port)
            name = f"{_REGISTERED[-1]}_registered_{_STORAGE_MS}_ms_to_storage_{_POSTGRES_MS}_ms_to_postgres"
            found[name] = {"feed": _processes(lambda: _idle(far)), "listing_requests": _counted(far.settings())}
        return found


def _growth(found: dict[str, Any], what: str) -> float:
    first, last = (found[f"{files}_registered"]["feed"][what]["median"] for files in (_REGISTERED[0], _REGISTERED[-1]))
    return round(last / first, 2)


def _idle(place: Place) -> None:
    ran = lakeray("feed", *place.words(), "output=json")
    (stream,) = json.loads(ran.stdout)["streams"]
    if stream["status"] != "nothing_new":
        raise RuntimeError(f"the feed found something to do: {stream}")


def _requests(root: Path) -> int:
    return _counted(settings_of(parse(["feed", "+stream=shopify/orders", f"paths.root={root}"])))


def _counted(settings: Settings) -> int:
    with opened(settings) as app:
        store = CountingStore(app.store)
        ports = PlanningPorts(store=store, reader=app.planning_snapshot(), today=app.today())
        plan_stream(app.rules(app.streams()[0]), ports)
    return store.requests


if __name__ == "__main__":
    main(sys.argv[1:])
