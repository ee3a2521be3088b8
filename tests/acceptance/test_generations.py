"""A refresh that replaces a stream's records, through the command: seen before, killed in the middle, ended (P16)."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.real.lake import Lake
from tests.support.real.parquet import record, write
from tests.support.real.processes import Running

STREAM = "klaviyo/metrics"
FEED = ("feed", f"+stream={STREAM}")


def refreshed(lake: Lake, *, newer: int = 2) -> None:
    """Five files of a generation go, and one of a newer generation comes, between two feeds."""
    day = lake.raw / STREAM / "year=2026/month=01"
    old = [
        write(day / f"day=01/part_{n}.parquet", record(f"key {n}", hour=9), record("kept", hour=n)) for n in range(5)
    ]
    lake.ok(*FEED)
    for path in old:
        path.unlink()
    again = [record("kept", "older by its cursor", hour=1), record("fresh")]
    write(day / "day=02/part_0.parquet", *({**item, "_airbyte_generation_id": newer} for item in again))


def test_a_feed_killed_while_older_generations_are_replaced_is_ended_by_the_next(
    tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    refreshed(lake)
    (planned,) = lake.ok("plan", f"+stream={STREAM}").document["streams"]
    assert (planned["files"], len(planned["replaced"]), planned["replaces_generations_below"]) == (1, 5, None)
    with Running(lake, *FEED, environment={"LAKERAY_FAULT": "after_replace"}) as feed:
        assert feed.end().code == -signal.SIGKILL, "".join(feed.lines)
    files = "SELECT count(*) FROM ducklake_list_files('lakehouse', 'stg_klaviyo__metrics', schema => 'staging')"
    assert lake.query(files) == [(6,)]
    (planned,) = lake.ok("plan", f"+stream={STREAM}").document["streams"]
    assert planned["replaces_generations_below"] == 2
    report = lake.ok(*FEED).stream(STREAM)
    assert (report["status"], report["replaced"], report["vanished"]) == ("ok", 0, 0)
    assert lake.processed(STREAM, "id, type") == [("fresh", "first"), ("kept", "older by its cursor")]
    assert len(lake.landing(STREAM, "id")) == 2
    lake.ok("doctor", f"+stream={STREAM}")
    told = lake.ok("status", f"+stream={STREAM}").stream(STREAM)
    assert (told["replaced_files"], told["replaced_rows"]) == (5, 10)
    assert lake.ok(*FEED).events == []


@pytest.mark.parametrize("writer", ["auto", "extension"])
def test_the_rows_that_left_are_counted_and_most_of_a_stream_may_go(
    writer: str, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    refreshed(lake)
    ran = lake.ok(*FEED, f"lake.writer={writer}")
    assert ran.stream(STREAM)["replaced"] == 5
    told = [event for event in ran.events if event["event"] == "generation_replaced"]
    assert [(item["generation"], item["files"], item["rows"]) for item in told] == [(2, 5, 5)]


def test_files_of_the_same_generation_explain_nothing(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    refreshed(lake, newer=1)
    ran = lake.run(*FEED)
    assert ran.code == 1 and ran.stream(STREAM)["error"]["kind"] == "not_there"
    assert len(lake.processed(STREAM, "id")) == 6
