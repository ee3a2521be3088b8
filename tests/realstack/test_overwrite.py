"""A sync that overwrites, on SeaweedFS and Postgres: nothing leaves until it is whole, then the older does (P16)."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from lakeray.values.faults import FaultPoint
from tests.realstack.stack import RealLake, Row, Stack
from tests.realstack.test_objects_that_go import client
from tests.support.real.parquet import record, write

STREAM = "klaviyo/metrics"
DAY = f"{STREAM}/year=2026/month=01/day="
OVERWRITES = "streams.klaviyo__metrics.destination_sync_mode=overwrite"
OLD, MORE_OLD, NEW = f"{DAY}05/part_0.parquet", f"{DAY}05/part_1.parquet", f"{DAY}06/part_0.parquet"


def put(lake: RealLake, s3: Any, folder: Path, key: str, *records: dict[str, object], generation: int) -> None:
    path = write(folder / key, *({**item, "_airbyte_generation_id": generation} for item in records))
    s3.put_object(Bucket="landing", Key=f"raw-{lake.number}/{key}", Body=path.read_bytes())


def processed(lake: RealLake) -> list[Row]:
    with lake.connection() as connection:
        rows = connection.execute("SELECT id, type FROM lakehouse.main.int_klaviyo__metrics ORDER BY ALL").fetchall()
        landed = connection.execute("SELECT count(*) FROM lakehouse.staging.stg_klaviyo__metrics").fetchall()
    return rows + landed


def test_an_overwrite_replaces_when_it_is_whole_and_holds_until_then_also_when_it_is_killed(
    stack: Stack, tmp_path: Path
) -> None:
    lake = stack.lake(streams=[STREAM], sample=("sample.days=1", "sample.files_per_day=1", "sample.syncs_per_day=1"))
    s3 = client(stack)

    def delete(*keys: str) -> None:
        for key in keys:
            s3.delete_object(Bucket="landing", Key=f"raw-{lake.number}/{key}")

    delete(*lake.objects())
    put(lake, s3, tmp_path, OLD, record("gone"), record("kept", "newest by its cursor", hour=9), generation=1)
    put(lake, s3, tmp_path, MORE_OLD, record("gone, too"), generation=1)
    lake.fed(OVERWRITES)

    put(lake, s3, tmp_path, NEW, record("kept", "of the new one", hour=1), record("new"), generation=2)
    delete(OLD)  # cut off: of the older generation an object is left
    interrupted = lake.fed(OVERWRITES).stream(STREAM)
    assert (interrupted["files"], interrupted["replaced"]) == (1, 0)
    everything = [("gone", "first"), ("gone, too", "first"), ("kept", "newest by its cursor"), ("new", "first")]
    assert processed(lake) == [*everything, (5,)]

    delete(MORE_OLD)
    for _ in range(2):  # after the kill the tables are as they will be, and the files are still to be forgotten
        with lake.feed(OVERWRITES, fault=f"{FaultPoint.AFTER_REPLACE}:1") as feed:
            assert feed.end().code == -signal.SIGKILL, feed.log
        assert processed(lake)[:-1] == [("kept", "of the new one"), ("new", "first")]
    ended = lake.fed(OVERWRITES).stream(STREAM)
    assert (ended["status"], ended["replaced"], ended["vanished"]) == ("ok", 0, 0)
    assert processed(lake) == [("kept", "of the new one"), ("new", "first"), (2,)]
    told = lake.run("status").stream(STREAM)
    assert (told["replaced_files"], told["replaced_rows"]) == (2, 3)
    assert lake.doctor() == []
