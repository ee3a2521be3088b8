"""A backfill many times the memory that is allowed: does it end, and does every process stay within its bounds?

Narrow, wide and JSON-heavy files are fed by a real process; its resident memory, and that of every process it starts,
is read from /proc all the while. Per merge: projected and peak. Run alone: ``python -m benchmarks.memory [ROWS
ALLOWED]``, by default 10.8GB of uncompressed rows under 512MiB allowed; ``1500MB 512MiB`` takes a few minutes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from benchmarks.report import ROOT, keep
from lakeray import wiring
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.settings.conversion import parse_size
from lakeray.settings.values import Settings, StreamSettings
from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct

_SAMPLE_S = 0.05
_JSON_WORDS = 200
_DEFAULTS = ("10.8GB", "512MiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Files of one kind, and their share of the uncompressed rows."""

    stream: str
    rows: int
    """Of a file."""
    compression: str
    share: float


SHAPES = (
    Shape(stream="klaviyo/metrics", rows=100_000, compression="uncompressed", share=0.25),
    Shape(stream="shopify/orders", rows=5_000, compression="uncompressed", share=0.35),
    Shape(stream="klaviyo/events", rows=25_000, compression="zstd", share=0.40),
)


def main() -> None:
    """Make the files, feed them, and say what it took."""
    given = [word for word in sys.argv[1:] if word[0].isdigit()]
    asked = [*given, *_DEFAULTS[len(given) :]]
    rows_bytes, allowed = (parse_size(word, at="argument") for word in asked)
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        words = [
            f"paths.root={folder}",
            f"batch.memory_bytes={int(allowed)}",
            f"+stream=[{','.join(shape.stream for shape in SHAPES)}]",
            "output=json",
        ]
        settings = settings_of(parse(["feed", *words]))
        made = {shape.stream: _files(settings, shape, int(rows_bytes)) for shape in SHAPES}
        feed = _fed(words)
        keep("memory", _results(settings, made, feed, allowed=int(allowed)))


def _files(settings: Settings, shape: Shape, rows_bytes: int) -> dict[str, int]:
    """Write a stream's files; how many, and their bytes."""
    stream = settings.streams[shape.stream.replace("/", "__")]
    folder = Path(settings.storage.url.removeprefix("file://")) / shape.stream / "year=2026/month=01/day=01"
    folder.mkdir(parents=True)
    made = {"files": 0, "rows": 0, "stored_bytes": 0, "uncompressed_bytes": 0}
    with duckdb.connect(config={"threads": 2}) as connection:
        while made["uncompressed_bytes"] < shape.share * rows_bytes:
            path = folder / f"part_{made['files']}.parquet"
            select = _select(stream, first=made["rows"], last=made["rows"] + shape.rows)
            connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet, COMPRESSION {shape.compression})")
            footer = pq.read_metadata(path)
            groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
            made["files"] += 1
            made["rows"] += shape.rows
            made["stored_bytes"] += path.stat().st_size
            made["uncompressed_bytes"] += sum(group.total_byte_size for group in groups)
    return made


def _select(stream: StreamSettings, *, first: int, last: int) -> str:
    own = {
        "_airbyte_raw_id": "uuid()::VARCHAR",
        "_airbyte_extracted_at": "TIMESTAMPTZ '2026-01-02'",
        stream.primary_key[0]: "n",
    }
    columns = [
        f'({own.get(column.name) or _value(column.type, salt=number)})::{column.type} AS "{column.name}"'
        for number, column in enumerate(stream.landing_contract().columns, start=1)
    ]
    return f"SELECT {', '.join(columns)} FROM range({first}, {last}) AS numbers(n)"


def _value(kind: ColumnType, *, salt: int, name: str = "") -> str:
    match kind:
        case Struct(fields=parts):
            values = (
                f"'{part}': {_value(of, salt=salt * 31 + number, name=part)}"
                for number, (part, of) in enumerate(parts, start=1)
            )
            return "{" + ", ".join(values) + "}"
        case ListOf(item=item):
            return f"[{_value(item, salt=salt * 31 + 7)}]"
        case MapOf():
            return "MAP {}"
        case Scalar(name="VARCHAR"):
            words = f"list_transform(range({_JSON_WORDS}), k -> hash(n * {_JSON_WORDS} + k) % 100000)"
            return f"{words}::VARCHAR" if name == "event_properties" else f"hash(n + {salt % 1_000_003})::VARCHAR"
        case Scalar(name="BOOLEAN"):
            return f"n % 2 = {salt % 2}"
        case Scalar(name="BIGINT" | "DOUBLE"):
            return f"hash(n + {salt % 1_000_003}) % 1000007"
        case Scalar(name=name):
            return "TIMESTAMPTZ '2026-01-01' + to_seconds(n)" if name.startswith("TIMESTAMP") else "NULL"


@dataclass
class Sampled:
    """A process that was watched while it ran."""

    seconds: float = 0.0
    out: str = ""
    peaks: dict[int, int] = field(default_factory=dict)
    """Resident bytes of each process at its highest."""


def _fed(words: Sequence[str]) -> Sampled:
    command = [sys.executable, "-m", "lakeray", "feed", *words]
    found, started = Sampled(), time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        ended = threading.Event()
        watch = threading.Thread(target=_watch, args=(process.pid, found, ended))
        watch.start()
        found.out, _ = process.communicate()
        ended.set()
        watch.join()
    found.seconds = time.perf_counter() - started
    return found


def _watch(root: int, found: Sampled, ended: threading.Event) -> None:
    while not ended.wait(_SAMPLE_S):
        parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
        ours, grown = {root}, True
        while grown:
            more = {pid for pid, parent in parents.items() if parent in ours} - ours
            ours, grown = ours | more, bool(more)
        for pid in ours:
            found.peaks[pid] = max(found.peaks.get(pid, 0), _high_water(pid))


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0  # it has just ended


def _high_water(pid: int) -> int:
    """VmHWM: what lies between two samples is in it, for lakeray resets it once a merge and not more often."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _results(settings: Settings, made: dict[str, Any], feed: Sampled, *, allowed: int) -> dict[str, Any]:
    reserved = int(settings.batch.reserved_bytes)
    report = json.loads(feed.out)
    with wiring.opened(settings) as app:
        rows = app.reader.all_peaks()
        tables = app.reader.tables()
        processed = {name: tables[("main", f"int_{name.replace('/', '__')}")].rows for name in made}
    merged = [(name, peak) for name, peak in rows if peak.end == "merged" and peak.peak_bytes]
    ratios = [peak.projected_bytes / (peak.peak_bytes or 1) for _, peak in merged]
    uncompressed = sum(stream["uncompressed_bytes"] for stream in made.values())
    highest = max(feed.peaks.values())
    return {
        "allowed_bytes": allowed,
        "reserved_bytes": reserved,
        "streams": made,
        "uncompressed_to_allowed": round(uncompressed / allowed, 1),
        "statuses": {f"{one['source']}/{one['stream']}": one["status"] for one in report["streams"]},
        "all_rows_merged": all(processed[name] == made[name]["rows"] for name in made),
        "feed_s": round(feed.seconds, 1),
        "processes": len(feed.peaks),
        "highest_resident_bytes": highest,
        "highest_to_allowed_and_reserved": round(highest / (allowed + reserved), 3),
        "merges": len(merged),
        "out_of_memory": sum(peak.end == "out_of_memory" for _, peak in rows),
        "projected_at_least_peak": round(sum(ratio >= 1 for ratio in ratios) / len(ratios), 4),
        "projected_to_peak": {
            "min": round(min(ratios), 3),
            "median": round(statistics.median(ratios), 3),
            "max": round(max(ratios), 3),
            "runs": len(ratios),
        },
        "per_merge": [
            f"{name}: {peak.files} files, {peak.rows} rows, {peak.size_bytes} bytes, projected {peak.projected_bytes}, "
            f"peak {peak.peak_bytes}, {peak.end}"
            for name, peak in rows
        ],
    }


if __name__ == "__main__":
    main()
