"""Pages that end DuckDB's process, or cannot be written, behind a good footer, stop no stream (P6)."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet.apart import Apart
from tests.robustness.corpus import good, with_page
from tests.robustness.thrift import I32, decode
from tests.support.real.lake import PROJECT, Lake, plain_environment
from tests.support.real.parquet import METADATA, RECORD, record

STREAM = "klaviyo/metrics"
DAY = f"{STREAM}/year=2026/month=01/day=01"
READ = "import duckdb, sys; print(duckdb.read_parquet(sys.argv[1]).aggregate('bit_xor(hash(id))').fetchall())"
BREAKS = "breaks_reader"
FIRST = -(2**63)
"""No timestamp of DuckDB's: it is read, and cannot be written."""


def ends_the_reader() -> bytes:
    """Prefixes of a DELTA_BYTE_ARRAY page are said to be longer than what is there: DuckDB 1.5.5 reads past the end."""
    options = {"use_dictionary": False, "column_encoding": {"id": "DELTA_BYTE_ARRAY"}}
    data = bytearray(good(3000, first=5000, compression="none", **options))
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    column = next(c for index in range(group.num_columns) if (c := group.column(index)).path_in_schema == "id")
    _, page = decode(bytes(data), column.data_page_offset)
    data[page + 6 : page + 12] = b"\x80" * 6
    return bytes(data)


def takes_all_memory() -> bytes:
    """The last page claims a gigabyte of uncompressed data."""
    return with_page(good(3, first=6000), lambda head: head.update({2: (I32, 2**30)}))


def is_no_timestamp(*, unit: str = "us", told: bool = False) -> bytes:
    """One of the times is the first of all numbers, and perhaps the footer says so."""
    table = pa.Table.from_pylist(
        [{**record("no time"), "_airbyte_raw_id": "a", "_airbyte_extracted_at": record("")["updated"]}],
        schema=pa.schema(list((METADATA | RECORD).items())),
    )
    times = pa.array([FIRST]).view(pa.timestamp(unit, "UTC"))
    out = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index("updated"), "updated", times), out, write_statistics=told)
    return out.getvalue()


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Lake:
    lake = Lake.new(tmp_path_factory.mktemp("pages") / "lake", extensions=extension_directory)
    (lake.raw / DAY).mkdir(parents=True)
    (lake.raw / DAY / "good.parquet").write_bytes(good(2))
    (lake.raw / DAY / "ends.parquet").write_bytes(ends_the_reader())
    return lake


def held(lake: Lake) -> dict[str, str]:
    rows = lake.query("SELECT file_key, reason FROM lakehouse.meta.quarantine")
    return {Path(key).name: reason for key, reason in rows}


def test_what_ends_dbt_is_read_apart_by_the_next_feed_and_set_aside(lake: Lake) -> None:
    alone = [sys.executable, "-c", READ, str(lake.raw / DAY / "ends.parquet")]
    assert subprocess.run(alone, capture_output=True, check=False).returncode < 0
    feed = [sys.executable, "-m", "lakeray", "feed", f"+stream={STREAM}", *lake.settings]
    ended = subprocess.run(feed, cwd=PROJECT, env=plain_environment(), capture_output=True, text=True, check=False)
    assert ended.returncode < 0, ended.stderr
    fed = lake.ok("feed", f"+stream={STREAM}").stream(STREAM)
    assert (fed["status"], fed["quarantined"]) == ("ok", 1)
    assert held(lake) == {"ends.parquet": BREAKS}
    assert lake.processed(STREAM, "id") == [("key0",), ("key1",)]
    assert lake.ok("feed", f"+stream={STREAM}").stream(STREAM)["status"] == "nothing_new"


def test_pages_that_take_all_memory_or_cannot_be_written_are_set_aside_by_the_feed_that_meets_them(lake: Lake) -> None:
    (lake.raw / DAY / "claims.parquet").write_bytes(takes_all_memory())
    (lake.raw / DAY / "no_time.parquet").write_bytes(is_no_timestamp())
    (lake.raw / DAY / "told.parquet").write_bytes(is_no_timestamp(told=True))
    (lake.raw / DAY / "more.parquet").write_bytes(good(1, first=9))
    fed = lake.ok("feed", f"+stream={STREAM}", f"batch.memory_bytes={512 << 20}").stream(STREAM)
    assert (fed["status"], fed["quarantined"]) == ("ok", 3)
    found = held(lake)
    assert (found["claims.parquet"], found["no_time.parquet"], found["told.parquet"]) == (BREAKS, "corrupt", "corrupt")
    assert [key for (key,) in lake.processed(STREAM, "id") if key == "key9"] == ["key9"]
    lake.ok("doctor", f"+stream={STREAM}")


NO_TIME = "expected times that a timestamp of microseconds holds, found others"
LANDING = {"id": "VARCHAR", "updated": "TIMESTAMP WITH TIME ZONE", "attributes": "STRUCT(name VARCHAR)"}


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (good(3), {"done": True}),
        (ends_the_reader(), {"reason": BREAKS}),
        (takes_all_memory(), {"reason": BREAKS}),
        (is_no_timestamp(), {"reason": "corrupt", "detail": NO_TIME}),
        (is_no_timestamp(unit="ms"), {"reason": "corrupt", "detail": NO_TIME}),
        (b"no Parquet, and long enough to be asked", {"reason": "corrupt"}),
    ],
    ids=["good", "ends", "memory", "no time", "no time (ms)", "none"],
)
def test_what_the_process_apart_says(tmp_path: Path, data: bytes, answer: dict[str, object]) -> None:
    (tmp_path / "a.parquet").write_bytes(data)
    apart = Apart()
    places = {"source": f"{tmp_path}/a.parquet", "temp": f"{tmp_path}/spill", "into": f"{tmp_path}/b.parquet"}
    asked = apart.ask({**places, "rows": 2048, "landing": LANDING, "memory_bytes": 256 << 20}, size_bytes=len(data))
    apart.close()
    assert {**asked, **answer} == asked
