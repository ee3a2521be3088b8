"""dbt fails: the batch stays, the stream stops with a reason, the others go on; mended, it goes on from there (P12)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.real.lake import PROJECT, Lake, Ran, Row
from tests.support.real.parquet import record, write

BROKEN, SOUND = "klaviyo/metrics", "klaviyo/lists"
STREAMS = f"+stream=[{BROKEN},{SOUND}]"
MODEL = "models/processed/klaviyo/int_klaviyo__metrics.sql"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A feed, and the lake after it."""

    feed: Ran
    ledger: list[str]
    state: dict[str, Any]
    """``status`` of the broken stream."""
    sound: list[Row]
    """(id, type) in the sound stream's processed table."""


def key(part: int) -> str:
    return f"{BROKEN}/year=2026/month=01/day=01/part_{part}.parquet"


def step(lake: Lake, part: int, *words: str) -> Step:
    """A new file for each stream, and a feed."""
    rows = record(f"of part {part}"), record("common", f"part {part}", hour=part)
    for stream in (BROKEN, SOUND):
        write(lake.raw / key(part).replace(BROKEN, stream), *rows)
    feed = lake.run("feed", STREAMS, *words)
    return Step(
        feed=feed,
        ledger=lake.ledger_keys(),
        state=lake.ok("status", STREAMS).stream(BROKEN),
        sound=lake.processed(SOUND, "id, type"),
    )


@dataclass(frozen=True, kw_only=True)
class Story:
    """A model is broken, then mended, then deleted."""

    broken: Step
    mended: Step
    merged: list[Row]
    """(id, type) of the stream when the model was mended."""
    deleted: Step


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Story:
    folder = tmp_path_factory.mktemp("dbt_failure")
    lake = Lake.new(folder / "lake", extensions=extension_directory)
    project = shutil.copytree(PROJECT / "dbt", folder / "project" / "dbt", ignore=shutil.ignore_patterns("target"))
    model, here = Path(project) / MODEL, f"dbt.project_dir={project}"
    sound = model.read_text(encoding="utf-8")
    model.write_text(sound.replace("select *", "select *, no_such_column"), encoding="utf-8")
    broken = step(lake, 0, here)
    model.write_text(sound, encoding="utf-8")
    mended = step(lake, 1, here)
    merged = lake.processed(BROKEN, "id, type")
    model.unlink()
    return Story(broken=broken, mended=mended, merged=merged, deleted=step(lake, 2, here))


def test_a_broken_model_fails_its_stream_with_a_reason(story: Story) -> None:
    assert story.broken.feed.code == 1
    report = story.broken.feed.stream(BROKEN)
    assert (report["status"], report["error"]["kind"]) == ("failed", "transform")
    assert "no_such_column" in report["error"]["found"]


def test_a_batch_stays_registered_when_its_transform_fails(story: Story) -> None:
    assert story.broken.ledger.count(key(0)) == 1
    state = story.broken.state
    assert (state["transformed_snapshot"], state["pending_files"], state["landing_rows"]) == (None, 0, 2)
    assert state["lag_seconds"] > 0


@pytest.mark.parametrize("name", ["broken", "mended", "deleted"])
def test_the_other_streams_go_on_whatever_becomes_of_one(story: Story, name: str) -> None:
    done: Step = getattr(story, name)
    parts = ["broken", "mended", "deleted"].index(name)
    assert done.feed.stream(SOUND)["status"] == "ok"
    assert done.sound == [("common", f"part {parts}"), *((f"of part {part}", "first") for part in range(parts + 1))]


def test_a_mended_model_first_merges_what_waited(story: Story) -> None:
    feed = story.mended.feed
    assert (feed.code, feed.stream(BROKEN)["status"], feed.stream(BROKEN)["files"]) == (0, "ok", 1)
    names = [event["event"] for event in feed.events if event.get("stream") == BROKEN]
    assert names.index("batch_transformed") < names.index("stream_planned")
    assert story.merged == [("common", "part 1"), ("of part 0", "first"), ("of part 1", "first")]
    assert story.mended.ledger.count(key(0)) == 1


def test_a_stream_without_a_model_is_an_error_and_nothing_of_it_is_registered(story: Story) -> None:
    assert story.deleted.feed.code == 1
    report = story.deleted.feed.stream(BROKEN)
    assert (report["status"], report["error"]["kind"]) == ("failed", "data")
    assert "has no model" in report["error"]["about"] and "lakeray generate" in report["error"]["todo"]
    assert story.deleted.ledger.count(key(2)) == 0
    assert story.deleted.state["transformed_snapshot"] == story.mended.state["transformed_snapshot"]
