"""One feed on the in-memory lake: the protocol's order, and what each failure leaves behind."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from unittest.mock import patch

import pytest

from lakeray.planning import plan_stream
from lakeray.steps import discover
from lakeray.values.column_types import parse_type
from lakeray.values.errors import CatalogError
from lakeray.values.model import Budget, Column, ObjectPolicy, OnNewColumn, StreamStatus
from tests.support.fakes.feeds import BUDGET, FeedWorld, key_for
from tests.support.fakes.lake import CRASH_POINTS, SET_ASIDE_POINTS, Crash, MemoryLake
from tests.support.fakes.records import COLUMNS, CONTRACT, STREAM, content, newest, row
from tests.support.fakes.world import START

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


def test_an_empty_prefix_of_which_nothing_was_ever_taken_in_is_waited_for(world: FeedWorld) -> None:
    assert world.feed().status is StreamStatus.WAITING
    world.put_bytes(name(0), b"PAR")
    fed(world)
    assert world.feed().status is StreamStatus.NOTHING_NEW
    world.store.delete(name(0))
    assert world.feed().status is StreamStatus.WAITING


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
    assert world.sink.names()[:4] == ["stream_started", "files_reread", "batch_transformed", "stream_planned"]
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


def between_validation_and_commit(world: FeedWorld, happen: Callable[[], object]) -> None:
    validate = world.executor.validate

    def then_happens(batches, **named):
        for checked in validate(batches, **named):
            happen()
            yield checked

    world.executor.validate = then_happens  # type: ignore[method-assign]


@pytest.mark.parametrize("rewritten", [b"PAR", content([row(0, "new")])])
def test_a_file_overwritten_after_its_validation_is_out_of_the_way_and_the_new_one_waits(
    world: FeedWorld, rewritten: bytes
) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    between_validation_and_commit(world, lambda: world.put_bytes(name(0), rewritten))
    report = world.feed()
    assert (report.error, report.status, report.changed, report.vanished) == (None, StreamStatus.OK, 1, 0)
    assert taken(world) == [name(1)]
    assert [(entry.reason, entry.status) for entry in world.lake.quarantined(STREAM)] == [("changed", "waits")]
    assert sorted(world.lake.processed_rows(STREAM)) == [1]
    assert world.feed().status is StreamStatus.NOTHING_NEW


def test_files_deleted_after_their_validation_are_forgotten_and_the_others_are_merged(world: FeedWorld) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    between_validation_and_commit(world, lambda: [world.store.delete(name(number)) for number in range(5)])
    report = world.feed()
    assert (report.error, report.status, report.changed, report.vanished) == (None, StreamStatus.OK, 0, 5)
    assert taken(world) == [name(5)] and sorted(world.lake.processed_rows(STREAM)) == [5]
    assert world.feed().status is StreamStatus.NOTHING_NEW


def test_a_damaged_file_and_a_vanished_one_in_one_batch_are_both_told_apart(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.put_bytes(name(1), content([row(1)], damaged=True))
    world.put(name(2), row(2))
    between_validation_and_commit(world, lambda: world.store.delete(name(2)))
    report = world.feed()
    assert (report.error, report.quarantined, report.vanished) == (None, 1, 1)
    held = [(entry.key, entry.reason) for entry in world.lake.quarantined(STREAM)]
    assert held == [(name(1), "corrupt"), (name(2), "vanished")]
    assert [entry.removed_because for entry in world.lake.history(name(2))] == ["vanished"]
    assert sorted(world.lake.processed_rows(STREAM)) == [0]


@pytest.mark.parametrize("point", SET_ASIDE_POINTS)
def test_killed_while_a_vanished_file_is_forgotten_it_is_not_taken_for_merged_when_it_comes_back(
    world: FeedWorld, point: str
) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    between_validation_and_commit(world, lambda: world.store.delete(name(1)))
    world.catalog.crash_at = point
    with pytest.raises(Crash):
        world.feed()
    world.reopen()
    assert sorted(fed(world).lake.processed_rows(STREAM)) == [0]
    world.put(name(1), row(1))  # restored, the very same
    assert sorted(fed(world).lake.processed_rows(STREAM)) == [0, 1]
    assert taken(world) == [name(0), name(1)] and world.lake.quarantined(STREAM) == []


@pytest.mark.parametrize("what", ["changed", "vanished"])
def test_a_pending_file_that_moved_stops_a_stream_whose_policy_is_to_fail(world: FeedWorld, what: str) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    happen = {"changed": lambda: world.put(name(0), row(0, "new")), "vanished": lambda: world.store.delete(name(0))}
    between_validation_and_commit(world, happen[what])
    report = world.feed(**{f"on_{what}": ObjectPolicy.FAIL})
    assert report.error is not None and report.error["kind"] == "data" and name(0) in report.error["about"]
    assert taken(world) == [name(0), name(1)]


def test_a_new_column_widens_landing_once_and_stays(world: FeedWorld) -> None:
    wide = COLUMNS | {"extra": "BIGINT"}
    world.store.put(name(0), content([row(0)], columns=wide))
    world.store.put(name(1), content([row(1)], columns=wide))
    fed(world, budget=ONE_BY_ONE)
    assert world.lake.landing_columns(STREAM) == wide
    world.store.put(name(2), content([row(2)], columns=COLUMNS | {"extra": "VARCHAR"}))
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
    for _ in range(2):
        report = world.feed()
        assert (report.status, report.files, report.too_late) == (StreamStatus.NOTHING_NEW, 0, 1)
    assert [
        item.key for item in plan_stream(world.rules, world.ports().planning_ports(), everything=True).too_late
    ] == [late[1]]
    report = world.replay(date(2026, 3, 1), date(2026, 3, 2))
    assert (report.error, report.files) == (None, 1)
    assert world.lake.processed_rows(STREAM)[2]["value"] == "late"
    assert world.lake.cursor(STREAM).path == key_for(date(2026, 3, 20))
    assert world.feed().too_late == 0


def test_a_cursor_ahead_of_today_hides_nothing_that_lands_today_however_much_is_kept_of_older_days(
    world: FeedWorld,
) -> None:
    world.clock.move(days=10)  # a clock that is wrong lands and feeds
    today = START.date()
    world.put(key_for(today + timedelta(days=10)), row(0))
    fed(world).clock.move(days=-10)
    with patch.object(discover, "OLDER", 0):
        world.put(key_for(today), row(1))
        report = world.feed()
    assert (report.status, report.too_late) == (StreamStatus.NOTHING_NEW, 1)
    assert world.sink.events[-1].as_fields()["too_late"] == 1


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


def test_a_changed_file_leaves_landing_and_the_new_object_waits_for_an_operator(world: FeedWorld) -> None:
    world.put(name(0), row(0, "old", cursor=1))
    world.put(name(1), row(1))
    fed(world).put(name(0), row(0, "new", cursor=2))
    planned = plan_stream(world.rules, world.ports().planning_ports())
    assert ([change.file.key for change in planned.changed], planned.waiting, planned.files) == ([name(0)], (), 0)
    report = world.feed()
    assert (report.error, report.status, report.changed, report.quarantined) == (None, StreamStatus.OK, 1, 0)
    assert [item["pk"] for item in world.lake.landing_rows(STREAM)] == [1]
    assert world.lake.processed_rows(STREAM)[0]["value"] == "old"  # until newer rows of its key replace it
    (held,) = world.lake.quarantined(STREAM)
    assert (held.key, held.reason, held.status) == (name(0), "changed", "waits")
    (dropped,) = world.sink.of("objects_dropped")
    assert dropped.as_fields().items() >= {"what": "changed", "files": 1, "rows": 1, "first": name(0)}.items()
    again = world.feed()
    assert (again.status, again.changed) == (StreamStatus.NOTHING_NEW, 1)
    world.lake.set_quarantine([name(0)], status="retry")
    report = world.feed()
    assert (report.error, report.files, report.changed) == (None, 1, 0)
    assert sorted(item["value"] for item in world.lake.landing_rows(STREAM)) == ["", "new"]
    assert world.lake.processed_rows(STREAM)[0]["value"] == "new" and world.lake.quarantined(STREAM) == []


def test_what_waits_goes_on_waiting_when_it_changes_again(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world).put(name(0), row(0, "second"))
    fed(world).put(name(0), row(0, "third"))
    report = world.feed()
    assert (report.status, report.files, report.changed) == (StreamStatus.NOTHING_NEW, 0, 1)


def test_what_waits_is_taken_in_when_the_policy_becomes_to_drop(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world).put(name(0), row(0, "second", cursor=1))
    fed(world)
    report = world.feed(on_changed=ObjectPolicy.DROP)
    assert (report.files, report.changed) == (1, 0)
    assert [item["value"] for item in world.lake.landing_rows(STREAM)] == ["second"]


def test_what_waits_is_not_taken_in_by_a_replay(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world).put(name(0), row(0, "second"))
    fed(world)
    assert world.replay(DAY, DAY).files == 0


@pytest.mark.parametrize("point", SET_ASIDE_POINTS)
def test_killed_while_a_changed_file_leaves_landing_the_next_feed_ends_it(world: FeedWorld, point: str) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    fed(world).put(name(0), row(0, "new"))
    world.catalog.crash_at = point
    with pytest.raises(Crash):
        world.feed()
    world.reopen()
    assert fed(world).feed().changed == 1
    assert taken(world) == [name(1)]
    assert [(entry.key, entry.status) for entry in world.lake.quarantined(STREAM)] == [(name(0), "waits")]


def test_a_changed_file_stops_a_stream_whose_policy_is_to_fail(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world).put(name(0), row(0, "new"))
    report = world.feed(on_changed=ObjectPolicy.FAIL)
    assert report.error is not None and report.error["kind"] == "data" and report.changed == 1
    assert taken(world) == [name(0)]


def test_a_vanished_file_is_reported_by_every_feed_and_stays_registered(world: FeedWorld) -> None:
    for number in range(2):
        world.put(name(number), row(number))
    fed(world).store.delete(name(1))
    for _ in range(2):
        report = world.feed()
        assert (report.error, report.status, report.vanished) == (None, StreamStatus.NOTHING_NEW, 1)
    assert taken(world) == [name(0), name(1)]


def test_a_changed_file_is_dropped_and_taken_in_anew_where_the_policy_says_so(world: FeedWorld) -> None:
    world.put(name(0), row(0, "old", cursor=1))
    fed(world).put(name(0), row(0, "new", cursor=2))
    fed(world, on_changed=ObjectPolicy.DROP)
    assert [item["value"] for item in world.lake.landing_rows(STREAM)] == ["new"]
    assert world.lake.processed_rows(STREAM)[0]["value"] == "new"
    assert world.feed(on_changed=ObjectPolicy.DROP).status is StreamStatus.NOTHING_NEW


def test_a_vanished_file_is_dropped_or_fails_the_stream_where_the_policy_says_so(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    world.put(name(1), row(1))
    fed(world).store.delete(name(0))
    report = world.feed(on_vanished=ObjectPolicy.FAIL)
    assert report.error is not None and report.error["kind"] == "data" and name(0) in report.error["about"]
    report = world.feed(on_vanished=ObjectPolicy.DROP)
    assert (report.error, report.status, report.vanished) == (None, StreamStatus.OK, 1)
    assert [item["pk"] for item in world.lake.landing_rows(STREAM)] == [1]
    assert list(world.lake.processed_rows(STREAM)) == [0, 1]


# ---- nothing listed is not nothing new -----------------------------------------------------------------------------

POLICIES = list(ObjectPolicy)


def refused(world: FeedWorld, **changes: object) -> str:
    """Feed; it must refuse to believe what it lists, and leave everything as it was."""
    before = world.catalog.head
    report = world.feed(**changes)
    assert report.status is StreamStatus.FAILED and report.error is not None
    assert (report.error["kind"], world.catalog.head) == ("not_there", before)
    assert "storage.url" in report.error["todo"]
    return report.error["found"]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_prefix_that_lists_nothing_of_what_was_taken_in_fails_under_any_policy(
    world: FeedWorld, policy: ObjectPolicy
) -> None:
    world.put(name(0), row(0))
    fed(world).store.delete(name(0))
    refused(world, on_vanished=policy)


@pytest.mark.parametrize("policy", POLICIES)
def test_most_of_what_was_taken_in_gone_at_once_fails_under_any_policy(world: FeedWorld, policy: ObjectPolicy) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    fed(world)
    for number in range(4):
        world.store.delete(name(number))
    world.put(name(9), row(9))
    refused(world, on_vanished=policy)
    assert world.store.exists(name(9)) and name(9) not in taken(world)


def test_half_of_what_was_taken_in_may_go(world: FeedWorld) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    fed(world)
    for number in range(3):
        world.store.delete(name(number))
    assert fed(world, on_vanished=ObjectPolicy.DROP).lake.known(STREAM, since=None).keys() == {
        name(n) for n in (3, 4, 5)
    }


@pytest.mark.parametrize("policy", POLICIES)
def test_what_the_operator_says_is_gone_is_forgotten_once(world: FeedWorld, policy: ObjectPolicy) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    fed(world)
    for number in range(6):
        world.store.delete(name(number))
    report = world.feed(on_vanished=policy, accept_empty=True)
    assert (report.error, report.status, report.vanished) == (None, StreamStatus.OK, 6)
    assert world.lake.landing_rows(STREAM) == [] and len(world.lake.processed_rows(STREAM)) == 6
    assert world.feed(on_vanished=policy).status is StreamStatus.WAITING
    world.put(name(0), row(0))
    assert world.feed(on_vanished=policy).files == 1  # restored: a new file


def test_to_accept_what_is_missing_changes_nothing_for_a_single_file(world: FeedWorld) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    fed(world).store.delete(name(0))
    report = world.feed(accept_empty=True)
    assert (report.status, report.vanished, len(taken(world))) == (StreamStatus.NOTHING_NEW, 1, 6)


def test_a_bucket_that_is_not_there_fails_and_no_setting_accepts_that(world: FeedWorld) -> None:
    world.put(name(0), row(0))
    fed(world).store.is_there = False
    refused(world, accept_empty=True)


def test_what_a_newer_generation_replaced_is_not_missed(world: FeedWorld) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    fed(world)
    for number in range(6):
        world.store.delete(name(number))
    newer = key_for(date(2026, 3, 2))
    world.put(newer, row(9))
    refused(world)
    assert fed(world, overwrites=True).lake.processed_rows(STREAM).keys() >= {9}
    world.store.delete(newer)
    refused(world, overwrites=True)  # nothing newer is there


def test_behind_the_horizon_nothing_is_missed(world: FeedWorld) -> None:
    for number in range(6):
        world.put(name(number), row(number))
    fed(world).put(key_for(date(2026, 3, 20)), row(9))
    fed(world)
    for number in range(6):
        world.store.delete(name(number))
    assert world.feed().status is StreamStatus.NOTHING_NEW


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
    (told,) = world.sink.of("fields_left_out")
    assert told.as_fields() == {"stream": str(STREAM), "files": 1, "fields": "more, most"}
    assert list(world.lake.landing_columns(STREAM) or {}) == list(COLUMNS)
