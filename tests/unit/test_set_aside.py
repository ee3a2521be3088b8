"""A file that cannot be read is set aside, and nothing is that only may be unreadable (P6, P12, P15)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta

import pytest

from lakeray.steps.set_aside import Moved, finish, may_be_a_file, moved, reread, set_aside
from lakeray.values.errors import LeaseLostError, ModelTestError, StorageError, TransformError, TransformMemoryError
from lakeray.values.model import LedgerEntry, SourceFile, StreamName, StreamStatus, Unreadable
from tests.support.fakes.feeds import FeedWorld, key_for
from tests.support.fakes.lake import SET_ASIDE_POINTS, Crash, MemoryLake
from tests.support.fakes.records import STREAM, content, newest, row
from tests.support.fakes.store import MemoryStore

DAY = date(2026, 3, 1)
GOOD, BAD, WORSE, FOOTERLESS = (key_for(DAY, f"{name}.parquet") for name in ("good", "bad", "worse", "footerless"))


@pytest.fixture
def world() -> FeedWorld:
    made = FeedWorld()
    made.put(GOOD, row(1))
    made.put_bytes(BAD, content([row(2)], damaged=True))
    made.put_bytes(WORSE, content([row(3)], damaged=True))
    return made


def held(world: FeedWorld) -> list[tuple[str, str]]:
    return [(entry.key, entry.reason) for entry in world.lake.quarantined(STREAM)]


def assert_set_aside(world: FeedWorld) -> None:
    assert held(world) == [(BAD, "corrupt"), (WORSE, "corrupt")]
    assert world.lake.processed_rows(STREAM) == newest([row(1)])
    assert sorted(world.lake.known(STREAM, since=None)) == [GOOD]
    assert [row_["pk"] for row_ in world.lake.landing_rows(STREAM)] == [1]


def test_unreadable_files_are_told_and_set_aside_and_the_transform_is_tried_again(world: FeedWorld) -> None:
    report = world.feed()
    assert (report.error, report.status, report.quarantined) == (None, StreamStatus.OK, 2)
    assert_set_aside(world)
    assert world.sink.names()[1:] == [
        "stream_planned",
        "landing_changed",
        "batch_committed",
        "files_reread",
        "file_rejected",
        "file_rejected",
        "batch_transformed",
        "stream_finished",
    ]
    (reread,) = world.sink.of("files_reread")
    assert reread.as_fields() == {"stream": str(STREAM), "done": 3, "total": 3, "unreadable": 2}


def test_what_a_run_ended_at_without_a_word_is_read_before_dbt_meets_it_again(world: FeedWorld) -> None:
    world.catalog.dies_of_damage = True
    with pytest.raises(Crash):
        world.feed()
    world.reopen()
    world.sink.events.clear()
    report = world.feed()
    assert (report.error, report.quarantined) == (None, 2)
    assert_set_aside(world)
    assert world.sink.names()[1:5] == ["files_reread", "file_rejected", "file_rejected", "batch_transformed"]


def test_a_storage_that_fails_while_they_are_read_first_keeps_nobody_from_the_merge(world: FeedWorld) -> None:
    lake = registered_and_not_merged(world).lake
    failing = LooksAtItsLease(world.catalog, store=world.store, clock=world.clock)
    world.catalog.storage_fails = True
    asked = [lake.registered(STREAM, first=DAY, last=DAY)]
    assert reread(STREAM, asked.pop, committer=failing, events=world.sink, stop=lambda: False) == 0
    assert (asked, world.sink.names(), held(world)) == ([], ["noted"], [])


def test_a_replay_reads_nothing_of_what_it_merges_again_before_it_does() -> None:
    world = FeedWorld()
    world.put(GOOD, row(1))
    assert world.feed().error is None
    world.sink.events.clear()
    assert world.replay(DAY, DAY).error is None
    assert world.sink.names()[:2] == ["stream_started", "batch_transformed"]


def test_a_page_that_takes_all_memory_is_set_aside_as_any_other(world: FeedWorld) -> None:
    world.put_bytes(WORSE, content([row(number) for number in range(10, 20)], damaged=True))
    world.catalog.most_rows = 5
    report = world.feed()
    assert (report.error, report.quarantined) == (None, 2)
    assert_set_aside(world)


@pytest.mark.parametrize("point", SET_ASIDE_POINTS)
def test_killed_while_files_are_set_aside_the_next_feed_ends_it(world: FeedWorld, point: str) -> None:
    world.catalog.crash_at = point
    with pytest.raises(Crash):
        world.feed()
    world.reopen()
    assert world.feed().error is None
    assert_set_aside(world)
    assert world.feed().status is StreamStatus.NOTHING_NEW


def test_a_storage_that_fails_sets_nothing_aside(world: FeedWorld) -> None:
    world.catalog.storage_fails = True
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "transform"
    assert held(world) == [] and len(world.lake.known(STREAM, since=None)) == 3
    assert "noted" in world.sink.names()
    world.catalog.storage_fails = False
    assert world.feed().error is None
    assert_set_aside(world)


def test_a_model_that_fails_sets_nothing_aside(world: FeedWorld) -> None:
    world.store.delete(BAD)
    world.store.delete(WORSE)
    world.catalog.fail_transform = True
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "transform"
    assert held(world) == [] and list(world.lake.known(STREAM, since=None)) == [GOOD]


def test_whoever_asks_a_feed_to_stop_does_not_wait_for_the_reading(world: FeedWorld) -> None:
    world.stop = lambda: "batch_committed" in world.sink.names() and world.catalog.head.batches != ()
    world.feed()
    assert held(world) == []


class LooksAtItsLease(MemoryLake):
    """As a committer in another process, which may find out at any call that it was taken over."""

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> Unreadable | None:
        self._fence()
        return super().unreadable(stream, entry)


def set_aside_by(world: FeedWorld, committer: MemoryLake, *, stop: Callable[[], bool] = lambda: False) -> int:
    failed = TransformError(f"{STREAM}: dbt failed", found="Runtime Error a bad page")
    return set_aside(STREAM, failed, reader=committer, committer=committer, events=world.sink, stop=stop)


def registered_and_not_merged(world: FeedWorld) -> FeedWorld:
    world.catalog.storage_fails = True
    assert world.feed().error is not None
    world.catalog.storage_fails = False
    world.sink.events.clear()
    return world


def test_a_stop_between_two_files_sets_nothing_aside_and_the_next_feed_does(world: FeedWorld) -> None:
    lake = registered_and_not_merged(world).lake
    reread = iter([False, False, True])
    assert set_aside_by(world, lake, stop=lambda: next(reread)) == 0
    assert (held(world), list(reread)) == ([], [])
    assert world.feed().error is None
    assert_set_aside(world)


def test_what_an_earlier_run_left_is_forgotten_for_its_pages_alone_not_for_another_files_footer(
    world: FeedWorld,
) -> None:
    world.put_bytes(FOOTERLESS, b"no Parquet at all")
    registered_and_not_merged(world)
    assert held(world) == [(FOOTERLESS, "not_parquet")]
    before = world.catalog.head
    finish(STREAM, reader=world.lake, committer=world.lake)
    assert world.catalog.head is before
    assert sorted(world.lake.known(STREAM, since=None)) == sorted([GOOD, BAD, WORSE])


def test_a_lost_lease_is_not_taken_for_a_storage_that_fails(world: FeedWorld) -> None:
    registered_and_not_merged(world)
    stale = LooksAtItsLease(world.catalog, store=world.store, clock=world.clock)
    world.reopen()
    with pytest.raises(LeaseLostError):
        set_aside_by(world, stale)
    assert held(world) == [] and "noted" not in world.sink.names()


def test_no_file_is_read_for_a_model_that_does_not_compile() -> None:
    def failed(found: str) -> TransformError:
        return TransformError("shop/orders: dbt failed", found=found)

    assert not may_be_a_file(failed('int_shop__orders: Binder Error: Referenced column "nam" not found'))
    assert not may_be_a_file(TransformError("shop/orders: dbt selected no model", found="none"))
    assert may_be_a_file(failed("int_shop__orders: Runtime Error Out of buffer"))
    assert may_be_a_file(TransformMemoryError("shop/orders: DuckDB ran out of memory", found="Out of Memory Error"))
    assert may_be_a_file(failed("int_shop__orders: Conversion Error: Could not convert string to INT64"))


def found_moved(world: FeedWorld, list_since: Callable[[date], Iterable[SourceFile]]) -> Moved:
    failed = TransformError("the merge failed", found="IO Error")
    return moved(STREAM, failed, store=world.store, list_since=list_since, reader=world.lake, events=world.sink)


def test_where_nothing_is_pending_nothing_is_listed_to_see_what_moved() -> None:
    def never(since: date) -> Iterable[SourceFile]:
        raise AssertionError(since)

    assert found_moved(FeedWorld(), never) == Moved()


def test_a_model_s_own_failure_has_nothing_listed_and_nothing_read(world: FeedWorld) -> None:
    def never(since: date) -> Iterable[SourceFile]:
        raise AssertionError(since)

    lake = registered_and_not_merged(world).lake
    failed = ModelTestError(f"{STREAM}: a test of a model failed", found="2 rows")
    assert not may_be_a_file(failed)
    assert moved(STREAM, failed, store=world.store, list_since=never, reader=lake, events=world.sink) == Moved()
    ports = {"reader": lake, "committer": lake, "events": world.sink}
    assert set_aside(STREAM, failed, **ports, stop=lambda: True) == 0
    assert world.sink.names() == []


def test_a_listing_that_fails_says_of_no_file_that_it_moved(world: FeedWorld) -> None:
    def failing(since: date) -> Iterable[SourceFile]:
        raise StorageError("the listing", found="no answer")

    world.catalog.fail_transform = True
    world.feed()
    assert found_moved(world, failing) == Moved()
    assert "noted" in world.sink.names()
    assert found_moved(world, lambda since: []).vanished != ()


def test_a_listing_without_any_of_the_pending_files_is_not_believed(world: FeedWorld) -> None:
    """They are older than what a feed looks at: only the failed transform asks for them (P3)."""
    newer = world.put(key_for(DAY + timedelta(days=20)), row(9)).key
    world.catalog.fail_transform = True
    world.feed()
    world.store.delete(newer)
    world.feed()
    world.catalog.fail_transform = False
    assert list(world.lake.known(STREAM, since=None)) == [GOOD]
    right, world.store = world.store, MemoryStore()
    world.reopen()
    before = world.catalog.head
    assert (world.feed().error or {})["kind"] == "not_there"
    assert world.catalog.head is before
    world.store = right
    world.reopen()
    assert world.feed().error is None
    assert world.lake.processed_rows(STREAM) == newest([row(1)])
