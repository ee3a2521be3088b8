"""What is large in one way: columns, lists, nesting, objects of one listing. Right, in memory that is stated."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.real.lake import PROJECT, Lake, plain_environment
from tests.support.real.parquet import RECORD, record, write

STREAM = "klaviyo/metrics"
WORDS = (f"+stream={STREAM}",)
COLUMNS = 5_000
ITEMS = 10_000
OBJECTS = 100_000
BYTES_AN_OBJECT = 4_000
"""What a plan holds of each object that is listed: its key, its ETag, and what is decided about it."""
MEASURED = "import resource, sys; from lakeray.cli.main import main; code = main(sys.argv[1:]); " + (
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr); sys.exit(code)"
)


@pytest.fixture
def lake(tmp_path: Path, extension_directory: Path) -> Lake:
    return Lake.new(tmp_path / "lake", extensions=extension_directory)


def key(part: int) -> str:
    return f"{STREAM}/year=2026/month=01/day=02/part_{part}.parquet"


@pytest.mark.slow
def test_files_of_5_000_columns_are_taken_in_and_merged(lake: Lake) -> None:
    extra = {f"Column {number}": pa.int64() for number in range(COLUMNS)}
    for part, hour in ((0, 1), (1, 2)):
        values = {name: number * hour for number, name in enumerate(extra)}
        write(lake.raw / key(part), record("a", hour=hour, **values), types=RECORD | extra)
    lake.ok("feed", *WORDS)
    columns = ", ".join(f'"{name}"' for name in extra)
    assert lake.processed(STREAM, columns) == [tuple(number * 2 for number in range(COLUMNS))]
    assert len(lake.landing(STREAM, columns)) == 2


def test_lists_of_10_000_and_three_levels_of_nesting_are_merged_whole(lake: Lake) -> None:
    deep = pa.list_(
        pa.struct({"a": pa.int64(), "b": pa.list_(pa.struct({"c": pa.string(), "d": pa.list_(pa.int64())}))})
    )
    extra = {"many": pa.list_(pa.int64()), "deep": deep}

    def values(times: int) -> dict[str, object]:
        inner = [{"c": f"{n} x {times}", "d": [n, times]} for n in range(3)]
        return {"many": [n * times for n in range(ITEMS)], "deep": [{"a": n, "b": inner} for n in range(100)]}

    for part, hour in ((0, 1), (1, 2)):
        records = [record(name, hour=hour if name != "old" else 1, **values(hour)) for name in ("a", "b")]
        write(lake.raw / key(part), *records[: 3 - hour], types=RECORD | extra)
        lake.ok("feed", *WORDS)
    assert lake.processed(STREAM, "id, many, deep") == [
        ("a", values(2)["many"], values(2)["deep"]),
        ("b", values(1)["many"], values(1)["deep"]),
    ]


@pytest.mark.slow
def test_a_plan_of_100_000_objects_counts_each_of_them_in_bounded_memory(lake: Lake) -> None:
    few, few_bytes = planned(lake, objects=100)
    many, many_bytes = planned(lake, objects=OBJECTS)
    assert (few, many) == (100, OBJECTS)
    assert many_bytes - few_bytes < OBJECTS * BYTES_AN_OBJECT


def planned(lake: Lake, *, objects: int) -> tuple[int, int]:
    """How many files a plan takes in, and the most memory that the command had."""
    for number in range(objects):
        day = lake.raw / f"{STREAM}/year=2026/month=01/day={2 + number % 5:02d}"
        path, first = day / f"part_{number // 5}.parquet", day / "part_0.parquet"
        if path == first and not path.exists():
            write(path, record("a"))
        elif not path.exists():
            path.hardlink_to(first)
    words = [sys.executable, "-c", MEASURED, "plan", *WORDS, *lake.settings]
    ran = subprocess.run(words, cwd=PROJECT, env=plain_environment(), capture_output=True, text=True, check=True)
    (stream,) = json.loads(ran.stdout)["streams"]
    return sum(batch["files"] for batch in stream["batches"]), int(ran.stderr.splitlines()[-1])
