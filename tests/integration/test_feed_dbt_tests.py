"""dbt's tests run with the feed (`dbt.tests=true`), and a field that the stream's config gains flows through (P12)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.real.lake import PROJECT, Lake, Ran, Row
from tests.support.real.parquet import RECORD, record, write

STREAM = "klaviyo/metrics"
TEST = "tests/no_bad_type.sql"
WITH_COLOUR = "+streams.klaviyo__metrics.fields.colour=VARCHAR"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A feed, and the stream after it."""

    feed: Ran
    state: dict[str, Any]
    rows: list[Row]


@dataclass(frozen=True, kw_only=True)
class Story:
    """A batch passes dbt's test; the next one, with a new column, fails it; then the test is taken back."""

    passed: Step
    failed: Step
    mended: Step


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Story:
    folder = tmp_path_factory.mktemp("dbt_tests")
    lake = Lake.new(folder / "lake", extensions=extension_directory)
    project = Path(shutil.copytree(PROJECT / "dbt", folder / "dbt", ignore=shutil.ignore_patterns("target")))
    (project / TEST).parent.mkdir(exist_ok=True)
    (project / TEST).write_text("select id from {{ ref('int_klaviyo__metrics') }} where type = 'bad'", encoding="utf-8")
    words = (
        f"+stream={STREAM}",
        f"dbt.project_dir={project}",
        "dbt.tests=true",
        "streams.klaviyo__metrics.contract.on_new_column=ignore",
    )

    def step(columns: str, *more: str) -> Step:
        feed = lake.run("feed", *words, *more)
        state = lake.ok("status", *words).stream(STREAM)
        return Step(feed=feed, state=state, rows=lake.processed(STREAM, columns))

    day = lake.raw / STREAM / "year=2026" / "month=01" / "day=01"
    write(day / "part_0.parquet", record("a", "good"))
    passed = step("id, type")
    types = {**RECORD, "colour": pa.string()}
    write(day / "part_1.parquet", record("a", "bad", hour=1, colour="red"), record("b", "good"), types=types)
    failed = step("id, type, colour", WITH_COLOUR)
    (project / TEST).unlink()
    return Story(passed=passed, failed=failed, mended=step("id, type, colour", WITH_COLOUR))


def test_the_tests_of_the_touched_models_run_with_the_feed(story: Story) -> None:
    told = [(event["model"], event["status"]) for event in story.passed.feed.events if event["event"] == "model_ran"]
    assert story.passed.feed.code == 0
    assert ("int_klaviyo__metrics", "success") in told and ("no_bad_type", "pass") in told


def test_a_failing_test_fails_the_stream_and_keeps_its_mark(story: Story) -> None:
    report = story.failed.feed.stream(STREAM)
    assert (story.failed.feed.code, report["status"], report["error"]["kind"]) == (1, "failed", "test_failed")
    assert "no_bad_type" in report["error"]["found"]
    assert story.failed.state["transformed_snapshot"] == story.passed.state["transformed_snapshot"]
    assert story.failed.state["registered_snapshot"] > story.passed.state["registered_snapshot"]
    mended = story.mended.state
    assert story.mended.feed.code == 0
    assert mended["transformed_snapshot"] == mended["registered_snapshot"] == story.failed.state["registered_snapshot"]


def test_a_field_added_to_the_streams_config_flows_to_the_processed_table_without_a_full_refresh(story: Story) -> None:
    assert story.passed.rows == [("a", "good")]
    assert story.mended.rows == [("a", "bad", "red"), ("b", "good", None)]
