"""A feed with nothing new: wall time of the whole process, and storage requests.

Compared in the same run with what no feed can do without: starting Python with DuckDB, its extensions and the
attached lake. Run alone: ``python -m benchmarks.noop``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import ROOT, keep, lakeray, spread, timed
from lakeray.__main__ import parse, settings_of
from lakeray.feed import Looks, look
from lakeray.model import SourceFile
from lakeray.ports import Level
from lakeray.wiring import opened

_RUNS = 9
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


def main() -> None:
    """Measure all nine streams of the sample, fed before."""
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        root = f"paths.root={folder}"
        lakeray("demo", root)
        attach = [sys.executable, "-c", _ATTACH, folder]
        nine = [timed(lambda: lakeray("feed", root)) for _ in range(_RUNS)]
        one = [timed(lambda: lakeray("feed", root, "+stream=shopify/orders")) for _ in range(_RUNS)]
        bare = [timed(lambda: subprocess.run(attach, cwd=ROOT, check=True)) for _ in range(_RUNS)]
        requests = _requests(Path(folder))
    keep(
        "noop",
        {
            "nine_streams_s": spread(nine),
            "one_stream_s": spread(one),
            "python_duckdb_attach_s": spread(bare),
            "nine_streams_to_attach": round(sorted(nine)[_RUNS // 2] / sorted(bare)[_RUNS // 2], 2),
            "listing_requests_per_stream": requests,
        },
    )


def _requests(root: Path) -> int:
    settings = settings_of(parse(["feed", "+stream=shopify/orders", f"paths.root={root}"]))
    with opened(settings) as app:
        store = CountingStore(app.store)
        look(app.rules(app.streams()[0]), Looks(store=store, books=app.books()))
    return store.requests


if __name__ == "__main__":
    main()
