"""A merge that runs out of memory is cut, down to a file; what cannot be merged is said, and nothing loops (P5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from lakeray.planning import plan_stream
from lakeray.values.memory import DEFAULT_FACTOR
from lakeray.values.model import MergeEnd, StreamStatus
from tests.support.fakes.feeds import BUDGET, FeedWorld, key_for
from tests.support.fakes.lake import Crash
from tests.support.fakes.records import STREAM, newest, row

DAY = date(2026, 3, 1)
ONE_BY_ONE = replace(BUDGET, max_files=1)


def name(number: int) -> str:
    return key_for(DAY, f"part_{number}.parquet")


@pytest.fixture
def world() -> FeedWorld:
    return FeedWorld()


def fill(world: FeedWorld, *rows_of_files: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for number, count in enumerate(rows_of_files):
        own = [row(100 * number + at) for at in range(count)]
        world.put(name(number), *own)
        rows += own
    return rows


def test_a_merge_that_runs_out_of_memory_is_done_file_by_file_and_ends_with_the_right_rows(world: FeedWorld) -> None:
    rows = fill(world, 3, 3, 3, 3)
    world.catalog.most_rows = 6
    report = world.feed()
    assert report.error is None and report.batches == 1
    assert world.lake.processed_rows(STREAM) == newest(rows)
    assert [len(merge.paths) for merge in world.catalog.merges] == [0, 2, 2]
    assert world.lake.pending_transform(STREAM) is None
    assert len(world.sink.of("transform_split")) == 1


def test_the_mark_moves_only_when_all_of_a_snapshot_is_merged(world: FeedWorld) -> None:
    rows = fill(world, 3, 3)
    world.catalog.most_rows = 3
    world.catalog.crash_at = "after_transform"
    with pytest.raises(Crash):
        world.feed()
    assert world.lake.cursor(STREAM).transformed_snapshot == 0
    world.reopen()
    assert world.feed().error is None
    assert world.lake.processed_rows(STREAM) == newest(rows)


def test_an_older_record_in_a_later_piece_overwrites_nothing(world: FeedWorld) -> None:
    world.put(name(0), row(1, "new", cursor=9))
    world.put(name(1), row(1, "old", cursor=3))
    world.catalog.most_rows = 1
    assert world.feed().error is None
    assert world.lake.processed_rows(STREAM)[1]["value"] == "new"


def test_several_snapshots_are_halved_by_snapshot_and_the_mark_follows_each(world: FeedWorld) -> None:
    rows = fill(world, 2, 2, 2, 2)
    world.catalog.fail_transform = True
    assert world.feed(budget=ONE_BY_ONE, max_batches=1).status is StreamStatus.FAILED
    world.catalog.fail_transform = False
    assert world.feed(budget=ONE_BY_ONE).error is None
    first = min(entry.snapshot for entry in world.lake.registered(STREAM, first=DAY, last=DAY))
    world.committer_rewinds(first - 1)
    world.catalog.merges.clear()
    world.catalog.most_rows = 4
    assert world.feed().error is None
    assert [merge.paths for merge in world.catalog.merges] == [(), (), ()]
    assert world.lake.processed_rows(STREAM) == newest(rows)


def test_a_file_that_cannot_be_merged_is_tried_with_one_thread_and_then_reported_with_its_numbers(
    world: FeedWorld,
) -> None:
    fill(world, 2, 9)
    world.catalog.most_rows = 5
    report = world.feed()
    assert report.status is StreamStatus.FAILED and report.error is not None
    assert report.error["kind"] == "out_of_memory" and name(1) in report.error["about"]
    assert "9 rows" in report.error["expected"]
    assert [merge.spill for merge in world.catalog.merges] == [False, False, False, True]


def test_the_next_feed_begins_with_the_size_that_it_remembers(world: FeedWorld) -> None:
    fill(world, *[3] * 8)
    world.catalog.most_rows = 6
    world.catalog.crash_at = "after_transform"
    with pytest.raises(Crash):
        world.feed()
    assert [len(merge.paths) for merge in world.catalog.merges] == [0, 4, 2]
    world.reopen()
    world.catalog.merges.clear()
    assert world.feed().error is None
    assert max(len(merge.paths) for merge in world.catalog.merges) <= 2
    assert all(merge.paths for merge in world.catalog.merges)


def test_a_hopeless_file_is_not_tried_more_often_by_the_next_feed(world: FeedWorld) -> None:
    fill(world, 9)
    world.catalog.most_rows = 5
    counts = []
    for _ in range(3):
        world.catalog.merges.clear()
        assert world.feed().status is StreamStatus.FAILED
        counts.append(len(world.catalog.merges))
    assert counts == [2, 2, 2]


def test_a_merge_is_on_record_with_what_it_was_projected_to_need(world: FeedWorld) -> None:
    fill(world, 3, 3)
    world.catalog.most_rows = 3
    world.feed()
    ends = [peak.end for peak in world.lake.peaks(STREAM)]
    assert ends == [MergeEnd.MERGED, MergeEnd.MERGED, MergeEnd.OUT_OF_MEMORY]
    assert all(peak.projected_bytes > BUDGET.reserved_bytes for peak in world.lake.peaks(STREAM))


def test_a_plan_says_by_which_factor_it_packs_and_a_fixed_one_stays(world: FeedWorld) -> None:
    fill(world, 3, 3)
    world.catalog.most_rows = 3
    assert plan_stream(world.rules, world.ports().planning_ports()).factor.batches == 0
    world.feed()
    world.put(name(9), row(9))
    found = plan_stream(world.rules, world.ports().planning_ports()).factor
    assert (found.batches, found.value > DEFAULT_FACTOR) == (1, True)
    fixed = plan_stream(replace(world.rules, adaptive=False), world.ports().planning_ports()).factor
    assert (fixed.value, fixed.batches) == (DEFAULT_FACTOR, 0)


def test_one_file_above_the_memory_by_its_size_is_merged_whole_and_not_cut(world: FeedWorld) -> None:
    rows = fill(world, 3)
    world.catalog.fail_transform = True
    assert world.feed().status is StreamStatus.FAILED
    world.catalog.fail_transform = False
    world.catalog.merges.clear()
    report = world.feed(budget=replace(BUDGET, allowed_bytes=1, reserved_bytes=1))
    assert report.error is None
    assert [merge.paths for merge in world.catalog.merges] == [()]
    assert world.lake.processed_rows(STREAM) == newest(rows)
