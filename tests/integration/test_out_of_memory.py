"""A real transform that runs out of memory is cut and ends with the right rows; peaks stay below projections (P5)."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.real.lake import Lake
from tests.support.real.parquet import METADATA, RECORD, START, record, write

STREAM = "klaviyo/metrics"
WORDS = (f"+stream={STREAM}", "feed.executor=inline")
TEXT_BYTES = 100_000


def key(part: int) -> str:
    return f"{STREAM}/year=2026/month=01/day=01/part_{part}.parquet"


def heavy(path: Path, *, first: int, rows: int = 450) -> None:
    """A file of 45 MB in memory in one page, and of a few kilobytes in storage: its size says nothing."""
    schema = pa.schema(list((METADATA | RECORD).items()))
    columns = {
        "_airbyte_raw_id": [f"{first + number}" for number in range(rows)],
        "_airbyte_extracted_at": [START] * rows,
        "_airbyte_generation_id": [1] * rows,
        "id": [f"k{first + number}" for number in range(rows)],
        "type": [f"{first + number:07d}" * (TEXT_BYTES // 7) for number in range(rows)],
        "updated": [START] * rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table(columns, schema=schema), path, compression="zstd", use_dictionary=False, data_page_size=2**30
    )


@pytest.fixture
def lake(tmp_path: Path, extension_directory: Path) -> Lake:
    return Lake.new(tmp_path / "lake", extensions=extension_directory)


def test_a_transform_that_runs_out_of_memory_is_cut_and_ends_with_the_right_rows(lake: Lake, tmp_path: Path) -> None:
    for part in range(2):
        heavy(lake.raw / key(part), first=450 * part)
    # Registered together, without a transform: a folder with the stream's model that is no project.
    empty = tmp_path / "empty"
    (empty / "models").mkdir(parents=True)
    (empty / "models" / "int_klaviyo__metrics.sql").touch()
    registered = lake.run("feed", *WORDS, "batch.memory_bytes=4GiB", f"dbt.project_dir={empty}")
    assert registered.code == 1 and len(lake.ledger_keys()) == 2
    fed = lake.run("feed", *WORDS, "batch.memory_bytes=400MiB", "batch.adaptive=false")
    assert fed.code == 0, fed.out + fed.err
    names = [event["event"] for event in fed.events]
    assert "transform_split" in names
    found = lake.processed(STREAM, "id, length(type)")
    assert len(found) == 900 and {length for _, length in found} == {TEXT_BYTES // 7 * 7}
    ends = [end for (end,) in lake.query("SELECT outcome FROM lakehouse.meta.peaks ORDER BY measured_at, outcome DESC")]
    assert ends.count("merged") == 2 and "out_of_memory" in ends


def test_projections_are_above_measured_peaks(lake: Lake) -> None:
    for part in range(3):
        write(lake.raw / key(part), *(record(f"{part}-{number}") for number in range(2_000)))
    lake.ok("feed", *WORDS)
    heavy(lake.raw / key(3), first=0)
    lake.ok("feed", *WORDS)
    rows = lake.query("SELECT file_count, projected_bytes, peak_bytes FROM lakehouse.meta.peaks ORDER BY measured_at")
    assert [files for files, _, _ in rows] == [3, 1]
    small, large = ((projected, peak) for _, projected, peak in rows)
    # The test's own process has more in memory than a feed's: what the rows add is compared.
    assert large[0] - small[0] >= large[1] - small[1]
    assert large[1] > small[1]


def test_a_lake_of_the_version_before_goes_on(lake: Lake) -> None:
    write(lake.raw / key(0), record("a"))
    lake.ok("feed", *WORDS)
    with lake.connection(read_only=False) as connection:
        connection.execute("DROP TABLE lakehouse.meta.peaks")
    write(lake.raw / key(1), record("b"))
    plan = lake.document("plan", *WORDS)["streams"][0]
    assert plan["memory_factor"] == {"value": 3.0, "source": "default", "batches": 0}
    lake.ok("feed", *WORDS)
    assert [id_ for (id_,) in lake.processed(STREAM, "id")] == ["a", "b"]
    assert lake.query("SELECT count(*) FROM lakehouse.meta.peaks") == [(1,)]
