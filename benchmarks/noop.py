"""A feed with nothing new: wall time of the whole process, and storage requests.

Compared in the same run with what no feed can do without: starting Python with DuckDB, its extensions and the
attached lake. Then on SeaweedFS and Postgres, with 1,000 and with 100,000 files registered behind the 1,000 that a feed
looks at. Run alone: ``python -m benchmarks.noop [local|servers]``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.fill import fill, mark_transformed, settle
from benchmarks.report import ROOT, keep, lakeray, spread, timed
from benchmarks.stack import FIRST_DAY, Place, keys_of, sample_bodies, servers
from lakeray.__main__ import parse, settings_of
from lakeray.config import Settings
from lakeray.feed import Looks, look
from lakeray.model import SourceFile
from lakeray.ports import Level
from lakeray.wiring import opened

_RUNS = 9
_STREAM = "klaviyo/metrics"
_IN_VIEW = 1000
_REGISTERED = (1_000, 100_000)
_ATTACH = """
import sys
from pathlib import Path
from lakeray.adapters.ducklake.connection import LakeAddress, connect
root = Path(sys.argv[1])
address = LakeAddress(catalog=f"sqlite:{root}/catalog.sqlite", data_path=f"{root}/lake/", memory_bytes=2**29, threads=2,
                      extension_directory=root / "extensions", temp_directory=root / "tmp")
connect(address, read_only=True).execute("SELECT count(*) FROM lakehouse.meta.ledger").fetchall()
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
        nine = [timed(lambda: lakeray("feed", root)) for _ in range(_RUNS)]
        one = [timed(lambda: lakeray("feed", root, "+stream=shopify/orders")) for _ in range(_RUNS)]
        bare = [timed(lambda: subprocess.run(attach, cwd=ROOT, check=True)) for _ in range(_RUNS)]
        requests = _requests(Path(folder))
    return {
        "nine_streams_s": spread(nine),
        "one_stream_s": spread(one),
        "python_duckdb_attach_s": spread(bare),
        "nine_streams_to_attach": round(sorted(nine)[_RUNS // 2] / sorted(bare)[_RUNS // 2], 2),
        "listing_requests_per_stream": requests,
    }


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
            feeds = [timed(lambda: _idle(place)) for _ in range(_RUNS)]
            found[f"{files}_registered"] = {"feed_s": spread(feeds), "listing_requests": _counted(place.settings())}
        first, last = (found[f"{files}_registered"]["feed_s"]["median"] for files in (_REGISTERED[0], _REGISTERED[-1]))
        return {**found, "growth": round(last / first, 2)}


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
        look(app.rules(app.streams()[0]), Looks(store=store, books=app.books()))
    return store.requests


if __name__ == "__main__":
    main(sys.argv[1:])
