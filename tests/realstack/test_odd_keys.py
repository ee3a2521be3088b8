"""Objects with odd names, all in one directory of a real S3: each is taken in, merged and cleaned up (P6)."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from lakeray.values.keys import CLAIM
from tests.realstack.stack import RealLake, Stack

NAMES = [
    *("part_0", "what?x=1", "g[1]", "g*", "{curly}", "100%25", "50%", "a b", " leading", "#h", "q\"'`", "x&y=<1>+2"),
    *("tab\tx", "nl\nx", "cr\rx", "bell\x07", "del\x7f", "nel\x85-sep\u2028", "é日😀", "twice//inside", ";,$@:~^|"),
]
OLD, NEW = "year=2026/month=01/day=01", "year=2026/month=01/day=20"


def parquet(number: int, at: datetime) -> bytes:
    rows = {
        "_airbyte_raw_id": [f"r{number}"],
        "_airbyte_extracted_at": pa.array([at], pa.timestamp("ms", tz="UTC")),
        "id": [str(number)],
        "updated": pa.array([at], pa.timestamp("us", tz="UTC")),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(rows), sink)
    return sink.getvalue()


def client(lake: RealLake) -> Any:
    services = lake.stack.state
    return boto3.client(
        "s3",
        endpoint_url=services.s3_endpoint,
        aws_access_key_id=services.s3_access_key_id,
        aws_secret_access_key=services.s3_secret_access_key,
        region_name="us-east-1",
    )


def objects(lake: RealLake, store: Any) -> list[str]:
    prefix = f"raw-{lake.number}/klaviyo/metrics/"
    found = store.list_objects_v2(Bucket="landing", Prefix=prefix).get("Contents", [])
    return sorted(item["Key"].removeprefix(prefix) for item in found if not item["Key"].endswith(CLAIM))


def put(lake: RealLake, store: Any, folder: str, name: str, number: int) -> None:
    at = datetime(2026, 1, int(folder[-2:]), tzinfo=UTC)
    key = f"raw-{lake.number}/klaviyo/metrics/{folder}/{name}.parquet"
    store.put_object(Bucket="landing", Key=key, Body=parquet(number, at))


def test_any_name_is_taken_in_merged_and_cleaned_up(stack: Stack) -> None:
    lake = stack.lake(streams=["klaviyo/metrics"], sample=("sample.days=1", "sample.files_per_day=1"))
    store = client(lake)
    for key in objects(lake, store):  # the sample's own
        store.delete_object(Bucket="landing", Key=f"raw-{lake.number}/klaviyo/metrics/{key}")
    for number, name in enumerate(NAMES):
        put(lake, store, OLD, name, number)
    stream = lake.fed().stream("klaviyo/metrics")
    assert (stream["files"], stream["quarantined"], stream["rows"]) == (len(NAMES), 0, len(NAMES))
    with lake.connection() as connection:
        for table in ("staging.stg_klaviyo__metrics", "main.int_klaviyo__metrics"):
            found = connection.execute(f"SELECT id FROM lakehouse.{table}").fetchall()
            assert sorted(int(row[0]) for row in found) == list(range(len(NAMES)))
    assert lake.doctor() == []
    shown = lake.run("why", "klaviyo/metrics/year=2026/month=01/day=01/nl%0Ax.parquet")
    assert shown.code == 0 and "taken in" in shown.document["verdict"]
    put(lake, store, NEW, "new", 99)
    lake.fed()
    assert objects(lake, store) == [f"{NEW}/new.parquet"]
    assert lake.doctor() == []


def test_records_whose_keys_postgres_cannot_hold_meet_themselves_again(stack: Stack) -> None:
    lake = stack.lake(streams=["klaviyo/metrics"], sample=("sample.days=1", "sample.files_per_day=1"))
    store = client(lake)
    for key in objects(lake, store):  # the sample's own
        store.delete_object(Bucket="landing", Key=f"raw-{lake.number}/klaviyo/metrics/{key}")
    ids = ["a\0b", "a\0c", "\0", "x" * 1_000_000, "it's"]
    for day in (1, 2, 3):
        at = datetime(2026, 1, day, tzinfo=UTC)
        rows = {
            "_airbyte_raw_id": [f"{day}-{number}" for number in range(len(ids))],
            "_airbyte_extracted_at": pa.array([at] * len(ids), pa.timestamp("ms", tz="UTC")),
            "id": ids,
            "updated": pa.array([at] * len(ids), pa.timestamp("us", tz="UTC")),
        }
        sink = io.BytesIO()
        pq.write_table(pa.table(rows), sink)
        key = f"raw-{lake.number}/klaviyo/metrics/year=2026/month=01/day={day:02d}/part_0.parquet"
        store.put_object(Bucket="landing", Key=key, Body=sink.getvalue())
        lake.fed()
    with lake.connection() as connection:
        merged = connection.execute("SELECT id, _airbyte_raw_id FROM lakehouse.main.int_klaviyo__metrics").fetchall()
    assert sorted(merged) == sorted((key, f"3-{number}") for number, key in enumerate(ids))
