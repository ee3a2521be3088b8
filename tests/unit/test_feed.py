"""One feed on the in-memory lake: the protocol's order, and what each failure leaves behind."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import date
from unittest.mock import patch

import pytest

from lakeray.feed import plan_stream
from lakeray.values.column_types import parse_type
from lakeray.values.errors import CatalogError
from lakeray.values.model import Budget, Column, ObjectPolicy, OnNewColumn, StreamStatus
from tests.support.fakes.feeds import BUDGET, FeedWorld, key_for
from tests.support.fakes.lake import CRASH_POINTS, Crash, MemoryLake
from tests.support.fakes.records import COLUMNS, CONTRACT, STREAM, content, newest, row

DAY = date(2026, 3, 1)
ONE_BY_ONE: Budget = replace(BUDGET, max_files=1)


def name(number: int) -> str:
    return key_for(DAY, f"part_{number}.parquet")


@pytest.fixture
def world() -> FeedWorld:
    return FeedWorld()


def taken(world: FeedWorld) -> list[str]:
    return sorted(world.lake.known(STREAM, since=None))


def fed(world: FeedWorld, **changes: object) -> FeedWorld:
    report = world.feed(**changes)
    assert report.error is None, report.error
    return world


# ---- the steps -----------------------------------------------------------------------------------------------------


def test_the_steps_come_in_the_protocols_order(world: FeedWorld) -> None:
    for number in range(2):
        world.put(name(number), row(number))
    report = world.feed(budget=ONE_BY_ONE)
    assert world.sink.names() == [
        "stream_started",
        "stream_planned",
        "landing_changed",
        "batch_committed",
        "batch_transformed",
        "batch_committed",
        "batch_transformed",
        "stream_finished",
    ]
    assert (report.status, report.batches, report.files, report.rows) == (StreamStatus.OK, 2, 2, 2)
    assert world.lake.processed_rows(STREAM) == newest([row(0), row(1)])


def test_a_second_feed_takes_nothing(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    before = fed(world).catalog.head
    report = world.feed()
    assert (report.status, report.batches, report.files) == (StreamStatus.NOTHING_NEW, 0, 0)
    assert world.catalog.head == before


def test_an_empty_prefix_is_no_failure(world: FeedWorld) -> None:
    assert world.feed().status is StreamStatus.NOTHING_NEW


def test_looking_writes_nothing(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    before = world.catalog.head
    assert plan_stream(world.rules, world.ports().planning_ports()).files == 1
    assert world.catalog.head is before and world.executor.validated == []


def test_data_ledger_and_cursor_are_in_one_snapshot(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world)
    for state in world.catalog.snapshots.values():
        keys = {file.key for file in state.files}
        assert keys == {entry.key for _, entry in state.ledger}
        assert (state.cursors[STREAM].path if STREAM in state.cursors else None) == (name(0) if keys else None)


def test_newer_records_win_within_and_across_batches_in_any_order(world: FeedWorld) -> None:
    new, old = row(1, "new", cursor=9), row(1, "old", cursor=3)
    world.put(name(0), new, row(2, "none", cursor=None), row(2, "some", cursor=0))
    fed(world).put(name(1), old)
    fed(world)
    assert {at: item["value"] for at, item in world.lake.processed_rows(STREAM).items()} == {1: "new", 2: "some"}


def test_ten_after_two_a_renamed_twin_and_yesterdays_file_are_taken_in(world: FeedWorld) -> None:
    world.put(key_for(date(2026, 3, 2), "part_2.parquet"), row(1))
    fed(world)
    late = [
        key_for(date(2026, 3, 2), "part_10.parquet"),
        key_for(date(2026, 3, 2), "part_2.parquet-1"),
        key_for(date(2026, 3, 1), "part_0.parquet"),
        key_for(date(2026, 2, 28), "part_0.parquet", padded=False),
    ]
    for number, key in enumerate(late):
        world.put(key, row(number))
    assert world.feed().files == 4
    assert set(late) <= set(taken(world))


# ---- stopping ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked", "batches"), list(enumerate([0, 0, 0, 0, 1, 1, 1, 2, 2])))
def test_a_stop_takes_effect_between_steps_and_the_rest_comes_later(world: FeedWorld, asked: int, batches: int) -> None:
    for number in range(2):
        world.put(name(number), row(number))
    answers = iter([False] * asked + [True] * 9)
    world.stop = lambda: next(answers)
    report = world.feed(budget=ONE_BY_ONE)
    assert report.status is StreamStatus.INTERRUPTED
    assert report.batches == batches
    world.stop = lambda: False
    fed(world, budget=ONE_BY_ONE)
    assert taken(world) == [name(0), name(1)]
    assert world.lake.processed_rows(STREAM) == newest([row(0), row(1)])


# ---- failures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [0, 1])
def test_a_failed_listing_fails_the_stream_and_takes_nothing(world: FeedWorld, shown: int) -> None:
    for number in range(2):
        world.put(name(number), row(number))
    world.store.fail_after = shown
    report = world.feed()
    assert report.status is StreamStatus.FAILED and report.error is not None and report.error["kind"] == "storage"
    assert taken(world) == []
    world.store.fail_after = None
    assert fed(world).lake.totals(STREAM)[0] == 2


def test_a_failure_is_reported_as_an_event_too(world: FeedWorld) -> None:
    world.store.fail_after = 0
    world.feed()
    last = world.sink.events[-1].as_fields()
    assert (last["status"], last["error_kind"]) == ("failed", "storage")


def test_a_failed_transform_leaves_the_batch_registered_and_the_next_run_starts_with_it(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    world.catalog.fail_transform = True
    report = world.feed(budget=ONE_BY_ONE)
    assert report.error is not None and report.error["kind"] == "transform" and report.batches == 1
    assert taken(world) == [name(0)] and world.lake.cursor(STREAM).transformed_snapshot == 0
    world.catalog.fail_transform = False
    world.sink.events.clear()
    fed(world, budget=ONE_BY_ONE)
    assert world.sink.names()[:3] == ["stream_started", "batch_transformed", "stream_planned"]
    assert world.lake.processed_rows(STREAM) == newest([row(0), row(1)])


def test_a_lost_answer_that_landed_is_read_back_and_nothing_is_twice(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.catalog.lose_answer = "landed"
    fed(world)
    (committed,) = world.sink.of("batch_committed")
    assert committed.as_fields()["read_back"] is True
    assert len(world.lake.landing_rows(STREAM)) == 1


def test_a_stream_that_fails_ends_the_validation_that_is_ahead_of_it(world: FeedWorld) -> None:
    for number in range(3):
        world.put(name(number), row(number))
    failed = CatalogError("the catalog does not answer")
    with patch.object(world.lake, "commit", side_effect=failed):
        report = world.feed(budget=ONE_BY_ONE)
    assert report.status is StreamStatus.FAILED
    assert [inspect.getgeneratorstate(given) for given in world.executor.given] == [inspect.GEN_CLOSED]


def test_a_lost_answer_that_did_not_land_fails_and_the_next_feed_takes_it_in(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.catalog.lose_answer = "not_landed"
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "catalog" and taken(world) == []
    assert len(fed(world).lake.landing_rows(STREAM)) == 1


def test_a_stale_committer_writes_nothing(world: FeedWorld) -> None:
    fed(world)
    world.put(name(0), row(0))
    newer = MemoryLake(world.catalog, store=world.store, clock=world.clock)
    before = world.catalog.head
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "lease_lost"
    assert world.catalog.head == before and newer.token == before.token


@pytest.mark.parametrize("point", [*CRASH_POINTS[:7], "during_transform", "after_mark"])
def test_a_crash_anywhere_and_a_second_feed_end_in_the_same_tables(world: FeedWorld, point: str) -> None:
    rows = [row(number % 3, str(number), cursor=number) for number in range(4)]
    for number, item in enumerate(rows):
        world.put(name(number), item)
    world.catalog.crash_at = point
    with pytest.raises(Crash):
        world.feed(budget=ONE_BY_ONE)
    world.reopen()
    fed(world, budget=ONE_BY_ONE)
    assert taken(world) == sorted(name(number) for number in range(4))
    assert len(world.lake.landing_rows(STREAM)) == 4
    assert world.lake.processed_rows(STREAM) == newest(rows)
    assert world.feed().status is StreamStatus.NOTHING_NEW


# ---- bad files -----------------------------------------------------------------------------------------------------


def test_a_bad_file_blocks_nobody(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.put_bytes(name(1), b"PAR")
    world.put(name(2), row(2))
    report = fed(world).feed()
    assert taken(world) == [name(0), name(2)]
    assert [(e.key, e.reason, e.status) for e in world.lake.quarantined(STREAM)] == [
        (name(1), "not_parquet", "rejected")
    ]
    assert report.status is StreamStatus.NOTHING_NEW
    assert [event.as_fields()["key"] for event in world.sink.of("file_rejected")] == [name(1)]


def test_a_batch_of_bad_files_alone_is_recorded_once(world: FeedWorld) -> None:
    world.put_bytes(name(0), b"PAR")
    assert (world.feed().quarantined, world.feed().quarantined) == (1, 0)
    assert world.lake.cursor(STREAM).path is None


def test_a_rejected_file_is_taken_in_when_it_is_mended(world: FeedWorld) -> None:
    world.put_bytes(name(0), b"PAR")
    fed(world).put(name(0), row(0))
    assert fed(world).lake.quarantined(STREAM) == []
    assert taken(world) == [name(0)]


def test_a_file_that_is_retried_is_looked_at_again_also_behind_the_horizon(world: FeedWorld) -> None:
    world.put_bytes(name(0), b"PAR")
    world.put(key_for(date(2026, 4, 1)), row(1))
    fed(world)
    world.lake.set_quarantine([name(0)], status="retry")
    world.put(name(0), row(0))
    fed(world, retention_days=365)
    assert name(0) in taken(world) and world.lake.quarantined(STREAM) == []


def test_an_ignored_file_stays_out_until_it_changes(world: FeedWorld) -> None:
    world.put_bytes(name(0), b"PAR")
    fed(world).lake.set_quarantine([name(0)], status="ignored")
    assert world.feed().status is StreamStatus.NOTHING_NEW
    assert [entry.status for entry in world.lake.quarantined(STREAM)] == ["ignored"]


def test_a_file_overwritten_between_validation_and_commit_is_left_out(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    ports = world.ports()
    validate = world.executor.validate

    def then_overwrite(batches, **named):
        for checked in validate(batches, **named):
            world.put_bytes(name(0), b"PAR")
            yield checked

    world.executor.validate = then_overwrite  # type: ignore[method-assign]
    assert ports.executor is world.executor
    assert fed(world).lake.known(STREAM, since=None).keys() == {name(1)}
    assert [entry.reason for entry in world.lake.quarantined(STREAM)] == ["changed"]
    assert world.sink.of("batch_committed")[0].as_fields()["files"] == 1


def test_a_new_column_widens_landing_once_and_stays(world: FeedWorld) -> None:
    wide = COLUMNS | {"extra": "VARCHAR"}
    world.store.put(name(0), content([row(0)], columns=wide))
    world.store.put(name(1), content([row(1)], columns=wide))
    fed(world, budget=ONE_BY_ONE)
    assert world.lake.landing_columns(STREAM) == wide
    world.store.put(name(2), content([row(2)], columns=COLUMNS | {"extra": "BIGINT"}))
    fed(world)
    assert [entry.reason for entry in world.lake.quarantined(STREAM)] == ["type_changed"]


# ---- oversize, too late, changed, vanished -------------------------------------------------------------------------


def test_an_oversize_file_goes_alone_or_is_refused(world: FeedWorld) -> None:
    tight = replace(BUDGET, allowed_bytes=10_000_000)
    world.put(name(0), row(0))
    world.put(name(1), row(1, "x" * 5_000_000))
    report = world.feed(budget=tight, oversize_policy="refuse")
    assert report.error is not None and report.error["kind"] == "oversize" and taken(world) == []
    assert fed(world, budget=tight).sink.of("batch_committed") != []
    assert taken(world) == [name(0), name(1)]


def test_a_crash_after_an_oversize_file_leaves_no_older_file_behind_the_horizon(world: FeedWorld) -> None:
    tight = replace(BUDGET, allowed_bytes=10_000_000)
    old, big = key_for(date(2026, 1, 1)), key_for(date(2026, 3, 1))
    world.put(old, row(0))
    world.put(big, row(1, "x" * 5_000_000))
    world.catalog.crash_at = "after_commit"
    with pytest.raises(Crash):
        world.feed(budget=tight)
    world.reopen()
    fed(world, budget=tight, retention_days=30)
    assert taken(world) == [old, big]


def test_a_file_too_late_is_counted_and_replay_takes_it_in(world: FeedWorld) -> None:
    world.put(key_for(date(2026, 3, 20)), row(1))
    late = world.rules, key_for(date(2026, 3, 1))
    fed(world).put(late[1], row(2, "late"))
    assert world.feed().status is StreamStatus.NOTHING_NEW
    assert [
        item.key for item in plan_stream(world.rules, world.ports().planning_ports(), everything=True).too_late
    ] == [late[1]]
    report = world.replay(date(2026, 3, 1), date(2026, 3, 2))
    assert (report.error, report.files) == (None, 1)
    assert world.lake.processed_rows(STREAM)[2]["value"] == "late"
    assert world.lake.cursor(STREAM).path == key_for(date(2026, 3, 20))


def test_looking_at_everything_reads_no_more_of_the_ledger_than_the_listing_shows(world: FeedWorld) -> None:
    old, new = key_for(date(2026, 3, 1)), key_for(date(2026, 3, 20))
    world.put(old, row(1))
    fed(world).put(new, row(2))
    fed(world)
    with patch.object(world.lake, "known", wraps=world.lake.known) as known:
        assert not plan_stream(world.rules, world.ports().planning_ports(), everything=True).too_late
    assert [call.kwargs for call in known.call_args_list] == [{"since": date(2026, 3, 13)}]


def test_a_replay_of_what_was_taken_in_changes_no_table(world: FeedWorld) -> None:
    for number in range(3):
        world.put(name(number), row(number))
    fed(world, budget=ONE_BY_ONE)
    before = (world.lake.landing_rows(STREAM), world.lake.processed_rows(STREAM), world.lake.cursor(STREAM))
    report = world.replay(DAY, DAY)
    assert (report.status, report.files) == (StreamStatus.OK, 0)
    after = (world.lake.landing_rows(STREAM), world.lake.processed_rows(STREAM), world.lake.cursor(STREAM))
    assert after[:2] == before[:2]
    assert after[2].transformed_snapshot == before[2].transformed_snapshot


def test_a_replay_that_also_takes_a_file_in_merges_again_what_was_taken_in_before(world: FeedWorld) -> None:
    world.put(key_for(date(2026, 3, 20)), row(1))
    world.put(key_for(date(2026, 3, 19)), row(2))
    merged = fed(world).lake.processed_rows(STREAM)
    world.catalog.forget_processed(STREAM)
    world.put(key_for(date(2026, 3, 1)), row(3))
    report = world.replay(date(2026, 3, 1), date(2026, 3, 20))
    assert (report.error, report.files) == (None, 1)
    assert world.lake.processed_rows(STREAM) == merged | {3: row(3)}


def test_changed_and_vanished_files_are_reported_and_not_registered_again(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    fed(world).put(name(0), row(0, "rewritten"))
    world.store.delete(name(1))
    planned = plan_stream(world.rules, world.ports().planning_ports())
    assert ([change.file.key for change in planned.changed], planned.vanished) == ([name(0)], (name(1),))
    assert world.feed().status is StreamStatus.NOTHING_NEW
    assert world.lake.totals(STREAM)[0] == 2


def test_a_changed_file_is_dropped_and_taken_in_anew_where_the_policy_says_so(world: FeedWorld) -> None:
    world.put(name(0), row(0, "old", cursor=1))
    fed(world).put(name(0), row(0, "new", cursor=2))
    fed(world, on_changed=ObjectPolicy.DROP)
    assert [item["value"] for item in world.lake.landing_rows(STREAM)] == ["new"]
    assert world.lake.processed_rows(STREAM)[0]["value"] == "new"
    assert world.feed(on_changed=ObjectPolicy.DROP).status is StreamStatus.NOTHING_NEW


def test_a_vanished_file_is_dropped_or_fails_the_stream_where_the_policy_says_so(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world).store.delete(name(0))
    report = world.feed(on_vanished=ObjectPolicy.FAIL)
    assert report.error is not None and report.error["kind"] == "data" and name(0) in report.error["about"]
    fed(world, on_vanished=ObjectPolicy.DROP)
    assert world.lake.landing_rows(STREAM) == [] and list(world.lake.processed_rows(STREAM)) == [0]


def test_a_file_overwritten_before_it_was_merged_does_not_stop_a_stream_that_drops_such_files(world: FeedWorld) -> None:
    world.put(name(0), row(0, "old", cursor=1))
    world.catalog.crash_at = "after_register"
    with pytest.raises(Crash):
        world.feed()
    world.reopen()
    world.put(name(0), row(0, "new", cursor=2))
    fed(world, on_changed=ObjectPolicy.DROP)
    assert world.lake.processed_rows(STREAM)[0]["value"] == "new"


def test_what_a_feed_lists_by_the_way_and_has_in_is_not_told_as_too_late(world: FeedWorld) -> None:
    world.put(f"{STREAM}/2026_01_05_1767916800000_0.parquet", row(0))
    world.put(name(0), row(1))
    fed(world)
    world.sink.events.clear()
    fed(world)
    assert [event.as_fields()["too_late"] for event in world.sink.of("stream_planned")] == [0]


def test_a_file_of_the_far_future_makes_no_other_file_too_late(world: FeedWorld) -> None:
    world.put(key_for(date(2099, 1, 1)), row(0))
    world.put(name(0), row(1))
    fed(world).put(name(1), row(2))
    assert world.feed().files == 1
    assert len(taken(world)) == 3 and world.lake.cursor(STREAM).path == name(1)


# ---- clean-up ------------------------------------------------------------------------------------------------------


def test_clean_up_takes_exactly_the_old_files_and_storage_loses_them_when_no_snapshot_shows_them() -> None:
    world = FeedWorld()
    old, edge, new = (key_for(date(2026, 3, day)) for day in (1, 3, 10))
    for number, key in enumerate((old, edge, new)):
        world.put(key, row(number))
    report = world.feed()
    assert report.cleaned == 1 and world.store.exists(old)
    world.clock.move(days=2)
    world.put(key_for(date(2026, 3, 11)), row(9))
    assert fed(world).store.keys() == [edge, new, key_for(date(2026, 3, 11))]
    assert [item["pk"] for item in world.lake.landing_rows(STREAM)] == [2, 9]
    assert sorted(world.lake.processed_rows(STREAM)) == [0, 1, 2, 9]


def test_a_cleaned_file_is_not_taken_in_again(world: FeedWorld) -> None:
    world.put(key_for(date(2026, 3, 1)), row(0))
    world.put(key_for(date(2026, 3, 20)), row(1))
    fed(world)
    assert plan_stream(world.rules, world.ports().planning_ports(), everything=True).files == 0
    assert world.replay(date(2026, 3, 1), date(2026, 3, 1)).files == 0


def test_max_batches_stops_and_the_next_feed_goes_on(world: FeedWorld) -> None:
    for number in range(3):
        world.put(name(number), row(number))
    assert world.feed(budget=ONE_BY_ONE, max_batches=2).files == 2
    assert world.feed(budget=ONE_BY_ONE, max_batches=2).files == 1


# ---- columns -------------------------------------------------------------------------------------------------------


def test_a_column_that_the_config_gained_is_added_without_a_new_file(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world)
    wider = replace(CONTRACT, columns=(*CONTRACT.columns, Column(name="more", type=parse_type("DATE"))))
    report = world.feed(contract=wider)
    assert (report.status, report.files) == (StreamStatus.OK, 0)
    assert list(world.lake.landing_columns(STREAM) or {}) == [*COLUMNS, "more"]
    (made, widened) = world.sink.of("landing_changed")
    assert made.as_fields()["change"] == f"created staging.{STREAM.landing_table} with {len(COLUMNS)} columns"
    assert widened.as_fields()["change"] == f"added {STREAM.landing_table}.more DATE"
    assert world.feed(contract=wider).status is StreamStatus.NOTHING_NEW


def test_columns_that_landing_has_no_place_for_are_noted_by_name(world: FeedWorld) -> None:
    world.put_bytes(name(0), content([row(0)], columns={**COLUMNS, "more": "DATE", "most": "DATE"}))
    report = world.feed(contract=replace(CONTRACT, on_new_column=OnNewColumn.IGNORE))
    assert (report.status, report.rows) == (StreamStatus.OK, 1)
    (noted,) = world.sink.of("noted")
    assert noted.as_fields()["message"] == f"{name(0)}: no place in the landing table for more, most"
    assert list(world.lake.landing_columns(STREAM) or {}) == list(COLUMNS)
