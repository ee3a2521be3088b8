"""kill -9 on SeaweedFS and Postgres, run it again: the same tables, row for row (P3, P7, P9, P12, P13, P15)."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

from lakeray.values.faults import FaultPoint
from tests.realstack.results import Results
from tests.realstack.stack import STREAMS, Contents, Stack
from tests.support.real.lake import PROJECT
from tests.support.real.processes import lakeray

KILLED = -signal.SIGKILL
SAMPLE_OF_POINTS = (
    FaultPoint.AFTER_DISCOVER,
    FaultPoint.BEFORE_COMMIT,
    FaultPoint.AFTER_COMMIT,
    FaultPoint.AFTER_ORIGINALS,
)
ONCE_A_FEED = {
    FaultPoint.AFTER_CLAIMED,
    FaultPoint.AFTER_NOTED,
    FaultPoint.BEFORE_EXPIRE,
    FaultPoint.AFTER_EXPIRE,
    FaultPoint.AFTER_ORIGINALS,
}
"""A feed claims once, notes once what was there, and lets old snapshots go once: the second time is the next feed's."""
OF_A_REBUILD = (FaultPoint.AFTER_REBUILD, FaultPoint.AFTER_FORGET)
OF_ANOTHER_DAY = (FaultPoint.AFTER_REPLACE, *OF_A_REBUILD)
"""Of generations, and of a contract that changed: no plain feed comes there."""
FAULT = "kill -9 of the feed"


def test_a_feed_killed_at_point_after_point_makes_the_same_tables(
    stack: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = stack.lake()
    with results.trial(FAULT, "one fault point after another, one lake", times=len(SAMPLE_OF_POINTS)) as row:
        for point in SAMPLE_OF_POINTS:
            with lake.feed(fault=point) as feed:
                assert feed.end().code == KILLED, (point, feed.log)
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("point", [point for point in FaultPoint if point not in OF_ANOTHER_DAY])
def test_a_feed_killed_at_the_point_and_run_again_makes_the_same_tables(
    point: FaultPoint, times: int, stack: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = stack.lake()
    with results.trial(FAULT, f"{point}, time {times}") as row:
        for fault in [f"{point}:1"] * times if point in ONCE_A_FEED else [f"{point}:{times}"]:
            with lake.feed(fault=fault) as feed:
                assert feed.end().code == KILLED, feed.log
            assert lake.doctor() == []
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(5))
def test_ten_kills_at_random_moments_make_the_same_tables(
    seed: int, stack: Stack, undisturbed: Contents, results: Results
) -> None:
    chance = random.Random(seed)
    lake = stack.lake()
    with results.trial(FAULT, f"random moments, seed {seed}", times=10) as row:
        for _ in range(10):
            with lake.feed("batch.max_files=1", "feed.max_batches=2") as feed:
                # Any line of its log, and any moment before the next one; a feed with nothing to do writes none.
                if feed.until_lines(chance.randint(0, 6)):
                    feed.ends_within(chance.uniform(0, 1.5))
                feed.kill()
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
def test_a_feed_killed_while_a_generation_is_replaced_and_run_again_makes_the_same_tables(
    stack: Stack, results: Results
) -> None:
    undisturbed, lake = stack.lake(), stack.lake()
    for each in (undisturbed, lake):
        each.fed()
        each.refresh(STREAMS[0])
    undisturbed.fed()
    with results.trial(FAULT, f"{FaultPoint.AFTER_REPLACE}, twice", times=2) as row:
        for _ in range(2):
            with lake.feed(fault=f"{FaultPoint.AFTER_REPLACE}:1") as feed:
                assert feed.end().code == KILLED, feed.log
        lake.fed()
        results.same(row, lake, undisturbed.contents())


@pytest.mark.long
@pytest.mark.parametrize("point", OF_A_REBUILD)
def test_a_rebuild_killed_at_the_point_and_run_again_makes_the_same_tables(
    point: FaultPoint, stack: Stack, results: Results, tmp_path: Path
) -> None:
    project = shutil.copytree(PROJECT / "dbt", tmp_path / "dbt", ignore=shutil.ignore_patterns("target"))
    union = 'STRUCT("type" VARCHAR, "integer" BIGINT, "string" VARCHAR)'
    changed = (f"dbt.project_dir={project}", f"streams.{STREAMS[1].replace('/', '__')}.fields.type='{union}'")
    rebuild = ("rebuild", "rebuild.dry_run=false", *changed)
    undisturbed, lake = stack.lake(), stack.lake()
    for each in (undisturbed, lake):
        each.fed()
    assert lakeray("generate", *changed).code == 0
    with results.trial("kill -9 of a rebuild", str(point)) as row:
        assert undisturbed.run(*rebuild).code == 0
        killed = lake.run(*rebuild, environment={"LAKERAY_FAULT": f"{point}:1"})
        assert killed.code == KILLED, killed.err
        assert lake.run(*rebuild).code == 0
        for each in (undisturbed, lake):
            each.fed(*changed)
        results.same(row, lake, undisturbed.contents())
