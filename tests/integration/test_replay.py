"""Replay: what was taken in already is merged again and nothing changes; twice is once (P11, P15)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.real.lake import Lake, Row

STREAM = "klaviyo/events"
HERE = f"+stream={STREAM}"
REPLAY = ("replay", HERE, "replay.from=2026-01-01", "replay.to=2026-01-02")


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A lake, and what was in it when its feed had ended."""

    lake: Lake
    contents: dict[str, list[Row]]


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Fed:
    lake = Lake.new(tmp_path_factory.mktemp("replay") / "lake", extensions=extension_directory)
    lake.ok("sample", HERE, "sample.days=3", "sample.files_per_day=2", "sample.rows_per_file=20")
    lake.ok("feed", HERE, "batch.max_files=3")
    return Fed(lake=lake, contents=lake.contents())


def test_a_replay_of_days_that_were_taken_in_changes_no_row_however_often(fed: Fed) -> None:
    lake = fed.lake
    for _ in range(2):
        replayed = lake.ok(*REPLAY)
        assert (replayed.stream(STREAM)["status"], replayed.stream(STREAM)["files"]) == ("ok", 0)
        assert "batch_transformed" in [event["event"] for event in replayed.events]
        assert lake.contents() == fed.contents
    state = lake.ok("status", HERE).stream(STREAM)
    assert state["transformed_snapshot"] == state["registered_snapshot"]
    assert lake.ok("feed", HERE).stream(STREAM)["status"] == "nothing_new"


def test_a_replay_brings_back_what_the_processed_table_lost(fed: Fed) -> None:
    with fed.lake.connection(read_only=False) as connection:
        connection.execute("DELETE FROM lakehouse.main.int_klaviyo__events")
    assert fed.lake.processed(STREAM) == []
    fed.lake.ok("replay", HERE, "replay.from=2026-01-01", "replay.to=2026-01-03")
    assert fed.lake.contents() == fed.contents
