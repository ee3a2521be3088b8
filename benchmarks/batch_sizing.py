"""How large a batch should be: throughput, peak memory, and where the time goes, by target, file size and row width.

Each cell is a process of its own that feeds the same files into a lake of its own (``env=local``): first one file, so
that dbt is imported and the table exists, then, measured, all others. The rows are those that ``sample`` writes; for
as many megabytes as a cell wants, DuckDB writes them again under other keys. Run alone:

    python -m benchmarks.batch_sizing [targets=16,64,…] [files=2,16,…] [widths=narrow,wide,json] [volume=512] [keep=yes]

Targets, file sizes and the volume that a cell feeds are in megabytes; a cell whose target is larger feeds that much.
The whole grid takes hours: it may be measured in parts, and ``keep=yes`` keeps the other parts' cells.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.plot import Panel, svg
from benchmarks.report import ROOT, keep, kept, lakeray, timed
from benchmarks.stack import Silent, stream_of
from lakeray import feed, planning, wiring
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.ports.committer import Committer
from lakeray.values.model import BuildResult, CommitOutcome, CommitRequest, PendingTransform

MB = 1_000_000
TARGETS_MB = (16, 64, 256, 500, 1000, 2000)
FILES_MB = (2, 16, 128)
STREAMS = {"narrow": "klaviyo/metrics", "wide": "shopify/orders", "json": "klaviyo/events"}
VOLUME_MB = 1000
MEMORY_BYTES = 12 * 2**30
"""Allowed in a cell: so much that the target alone decides, and nothing spills. The peak is what is asked."""
ENOUGH = 0.95
"""A larger batch that brings less than a twentieth is not worth its memory and its waiting."""
PLOT = ROOT / "benchmarks" / "results" / "batch_sizing.svg"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one process measures."""

    width: str
    file_mb: int
    target_mb: int
    raw: str
    """The folder with the files, all of one size, named 0.parquet and so on."""
    files: int


def main(words: Sequence[str] = ()) -> None:
    """Measure the grid, draw it, and recommend a target."""
    options = dict(word.split("=", 1) for word in words)
    targets = _numbers(options.get("targets"), TARGETS_MB)
    sizes = _numbers(options.get("files"), FILES_MB)
    volume = int(options.get("volume", VOLUME_MB))
    widths = options["widths"].split(",") if "widths" in options else list(STREAMS)
    cells = [
        found
        for width in widths
        for file_mb in sizes
        for found in _column(width, file_mb, targets=[one for one in targets if one >= file_mb], volume_mb=volume)
    ]
    if options.get("keep") == "yes":
        cells = with_earlier(cells, kept("batch_sizing")["cells"])
    results = {"volume_mb": volume, "cells": cells, "recommendation": recommend(cells, memory_bytes=_machine_bytes())}
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    PLOT.write_text(svg(panels(cells)), encoding="utf-8")
    keep("batch_sizing", results)


def with_earlier(cells: Sequence[dict[str, Any]], earlier: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The cells, with those of the earlier run that this one did not measure again."""
    known = {(cell["width"], cell["file_mb"], cell["target_mb"]): cell for cell in (*earlier, *cells)}
    return [known[key] for key in sorted(known, key=lambda key: (list(STREAMS).index(key[0]), *key[1:]))]


def recommend(cells: Sequence[dict[str, Any]], *, memory_bytes: int) -> dict[str, Any]:
    """The smallest target whose throughput is nearly the best and whose peak leaves half of the machine's memory.

    A target's throughput is the geometric mean over rows and file sizes, each relative to its own best.
    """
    best: dict[tuple[str, int], float] = {}
    for cell in cells:
        key = (cell["width"], cell["file_mb"])
        best[key] = max(best.get(key, 0.0), cell["mb_per_s"])
    targets = sorted({cell["target_mb"] for cell in cells})
    relative, peak = {}, {}
    for target in targets:
        ours = [cell for cell in cells if cell["target_mb"] == target]
        relative[target] = statistics.geometric_mean(
            cell["mb_per_s"] / best[cell["width"], cell["file_mb"]] for cell in ours
        )
        peak[target] = max(cell["peak_mb"] for cell in ours)
    fitting = [target for target in targets if peak[target] * MB <= memory_bytes / 2] or targets[:1]
    most = max(relative[target] for target in fitting)
    return {
        "target_mb": next(target for target in fitting if relative[target] >= ENOUGH * most),
        "relative_throughput": {str(target): round(relative[target], 3) for target in targets},
        "peak_mb": {str(target): peak[target] for target in targets},
        "enough": ENOUGH,
    }


def panels(cells: Sequence[dict[str, Any]]) -> list[Panel]:
    """Throughput and peak memory by target, a line for each width and file size."""
    label = "batch.target_bytes, MB"

    def lines(what: str) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {}
        for cell in cells:
            name = f"{cell['width']} rows, files of {cell['file_mb']} MB"
            found.setdefault(name, []).append((cell["target_mb"], cell[what]))
        return found

    return [
        Panel(title="throughput, MB/s", x_label=label, lines=lines("mb_per_s")),
        Panel(title="peak memory, MB", x_label=label, lines=lines("peak_mb")),
        Panel(title="share of the time in dbt, %", x_label=label, lines=lines("dbt_percent")),
    ]


def _column(width: str, file_mb: int, *, targets: Sequence[int], volume_mb: int) -> list[dict[str, Any]]:
    if not targets:
        return []
    with tempfile.TemporaryDirectory(prefix="lrb-sizing-") as folder:
        most = max(volume_mb, *targets) // file_mb + 1
        make_files(Path(folder), stream=STREAMS[width], file_bytes=file_mb * MB, files=most)
        found = []
        for target in targets:
            files = max(volume_mb, target) // file_mb + 1
            cell = Cell(width=width, file_mb=file_mb, target_mb=target, raw=folder, files=files)
            ran = subprocess.run(
                [sys.executable, "-m", "benchmarks.batch_sizing", "--cell"],
                cwd=ROOT,
                input=json.dumps(asdict(cell)),
                capture_output=True,
                text=True,
                check=False,
            )
            if ran.returncode != 0:
                raise RuntimeError(f"{cell}: {ran.stderr.strip()[-2000:]}")
            found.append(json.loads(ran.stdout.strip().splitlines()[-1]))
            print(found[-1], file=sys.stderr)
        return found


def make_files(folder: Path, *, stream: str, file_bytes: int, files: int) -> None:
    """Files of about ``file_bytes``: the sample's rows, again and again, with other keys each time."""
    with tempfile.TemporaryDirectory(prefix="lrb-sample-") as sampled, duckdb.connect() as connection:
        shape = ["sample.days=1", "sample.files_per_day=4", "sample.rows_per_file=500"]
        lakeray("sample", f"paths.root={sampled}", f"+stream={stream}", *shape)
        paths = [str(path) for path in Path(sampled, "raw").rglob("*.parquet")]
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute("CREATE TABLE seed AS SELECT row_number() OVER () AS turn, * FROM read_parquet(?)", [paths])
        (kind, seeds) = connection.execute("SELECT any_value(typeof(id)), count(*) FROM seed").fetchone() or ("", 0)
        other_key = "id || '-' || copy" if kind == "VARCHAR" else "id + copy * 100000000000000"

        def write(number: int, rows: int) -> int:
            first, path = number * rows, folder / f"{number}.parquet"
            connection.execute(
                f"COPY (SELECT * EXCLUDE (turn, copy) REPLACE ({other_key} AS id, uuid()::VARCHAR AS _airbyte_raw_id) "
                f"FROM (SELECT n // {seeds} AS copy, n % {seeds} + 1 AS turn FROM range({first}, {first + rows}) t(n)) "
                f"JOIN seed USING (turn)) TO '{path}' (FORMAT parquet, COMPRESSION uncompressed)"
            )
            return path.stat().st_size

        rows = seeds
        for _ in range(3):  # a footer and dictionaries are there however few the rows are
            rows = math.ceil(rows * file_bytes / write(0, rows))
        for number in range(files):
            write(number, rows)


def _measure(cell: Cell) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lrb-cell-") as root:
        words = [
            f"paths.root={root}",
            f"+stream={STREAMS[cell.width]}",
            f"batch.target_bytes={cell.target_mb * MB}",
            f"batch.memory_bytes={MEMORY_BYTES}",
            "batch.max_files=1000000",
            "feed.executor=inline",
        ]
        settings = settings_of(parse(["feed", *words]))
        raw = Path(root, "raw", STREAMS[cell.width], "year=2026", "month=01")
        with wiring.opened(settings, events=Silent()) as app, app.committer() as committer:
            rules = app.rules(stream_of(settings))
            committer.ensure_landing(rules.stream, rules.contract)
            timed_committer = _TimedCommitter(committer)
            executor = wiring.inline_executor(settings)
            ports = app.ports(timed_committer, executor, stop=lambda: False)  # type: ignore[arg-type]
            _put(cell, raw / "day=01", range(1))
            _feed(rules, ports, files=1)
            _put(cell, raw / "day=02", range(1, cell.files))
            timed_committer.commit_s = timed_committer.dbt_s = 0.0
            _forget_peak()
            reports: list[Any] = []
            seconds = timed(lambda: reports.append(_feed(rules, ports, files=cell.files - 1)))
            peak_bytes = _peak_bytes()
    (report,) = reports
    return {
        "width": cell.width,
        "file_mb": cell.file_mb,
        "target_mb": cell.target_mb,
        "batches": report.batches,
        "files": report.files,
        "rows": report.rows,
        "mb": round(report.size_bytes / MB),
        "seconds": round(seconds, 2),
        "mb_per_s": round(report.size_bytes / MB / seconds, 2),
        "peak_mb": round(peak_bytes / MB),
        "commit_percent": round(100 * timed_committer.commit_s / seconds, 1),
        "dbt_percent": round(100 * timed_committer.dbt_s / seconds, 1),
    }


def _put(cell: Cell, day: Path, numbers: range) -> None:
    day.mkdir(parents=True)
    for number in numbers:
        source, target = Path(cell.raw, f"{number}.parquet"), day / f"part_{number}.parquet"
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copyfile(source, target)


def _feed(rules: planning.Rules, ports: feed.Ports, *, files: int) -> Any:
    report = feed.StreamFeed(rules, ports).report()
    if report.files != files or report.error:
        raise RuntimeError(f"{report.files} of {files} files were taken in: {report.error}")
    return report


class _TimedCommitter:
    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self.commit_s = self.dbt_s = 0.0

    def commit(self, request: CommitRequest) -> CommitOutcome:
        found: list[CommitOutcome] = []
        self.commit_s += timed(lambda: found.append(self._committer.commit(request)))
        return found[0]

    def transform(self, pending: PendingTransform) -> BuildResult:
        found: list[BuildResult] = []
        self.dbt_s += timed(lambda: found.append(self._committer.transform(pending)))
        return found[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._committer, name)


def _forget_peak() -> None:
    """Let Linux count this process's peak from here on (``clear_refs`` in proc(5))."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes() -> int:
    """The most memory that this process has held since: VmHWM, in kB of 1,024 bytes."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _numbers(text: str | None, otherwise: Sequence[int]) -> list[int]:
    return sorted(otherwise) if text is None else sorted(int(word) for word in text.split(","))


if __name__ == "__main__":
    if sys.argv[1:] == ["--cell"]:
        print(json.dumps(_measure(Cell(**json.load(sys.stdin)))))
    else:
        main(sys.argv[1:])
