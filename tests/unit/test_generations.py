"""Rows of older generations leave when a newer one has replaced them, and not before (P16)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from lakeray.planning import plan_stream, replacing_of
from lakeray.run import feed_all
from lakeray.steps.generations import Replacement, older, outside, replaced
from lakeray.values.errors import TransformError
from lakeray.values.events import GenerationReplaced, Noted, ObjectsDropped
from lakeray.values.model import (
    BuildResult,
    FileGenerations,
    ObjectPolicy,
    PendingTransform,
    Plan,
    StreamReport,
    StreamStatus,
)
from tests.support.fakes.application import MemoryApplication
from tests.support.fakes.feeds import RULES, FeedWorld, key_for
from tests.support.fakes.lake import CRASH_POINTS, SET_ASIDE_POINTS, Crash
from tests.support.fakes.records import STREAM, of_generation, row

OVERWRITES = replace(RULES, overwrites=True)
DAY = date(2026, 3, 1)
APPENDS = replace(OVERWRITES, overwrites=False)


def key(generation: int, part: int = 0) -> str:
    return key_for(DAY + timedelta(days=generation), f"part_{part}.parquet")


def file(oldest: int, newest: int | None = None, *, rows: int = 1) -> FileGenerations:
    return FileGenerations(etag="1", rows=rows, oldest=oldest, newest=oldest if newest is None else newest)


def sync(world: FeedWorld, generation: int, *pks: int, part: int = 0, cursor: int = 0, value: str = "") -> str:
    """An object of a generation lands."""
    rows = [
        row(pk, value or f"{generation}", cursor=cursor, extracted_at=generation, raw_id=f"{generation}-{part}-{pk}")
        for pk in pks
    ]
    world.put(key(generation, part), *of_generation(generation, *rows))
    return key(generation, part)


def fed(world: FeedWorld, **changes: object) -> StreamReport:
    report = world.feed(**changes)
    assert report.error is None, report.error
    return report


def processed(world: FeedWorld) -> dict[int, str]:
    return {pk: str(item["value"]) for pk, item in sorted(world.lake.processed_rows(STREAM).items())}


def nothing_more(world: FeedWorld) -> None:
    before = world.catalog.head
    assert fed(world).status is StreamStatus.NOTHING_NEW
    assert world.catalog.head == before


@pytest.fixture
def world() -> FeedWorld:
    return FeedWorld(OVERWRITES)


# ---- the rule --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "gone", "overwrites", "wanted"),
    [
        ({}, [], True, None),
        ({"a": file(1), "b": file(2)}, ["a"], True, 2),
        ({"a": file(1), "b": file(2)}, ["a"], False, 2),
        ({"a": file(1), "b": file(2)}, [], True, None),  # still there
        ({"a": file(1), "b": file(2)}, ["a", "b"], True, None),  # nothing newer is there
        ({"a": file(1), "b": file(1)}, ["a"], True, None),  # the same one
        ({"a": file(1), "b": file(1), "c": file(2)}, ["a"], True, None),  # one older one is left
        ({"a": file(1), "b": file(2), "c": file(2)}, ["a", "b"], True, None),  # a newer one is not whole
        ({"a": file(1), "b": file(3), "c": file(2)}, ["a"], True, 2),
        ({"a": file(-1), "b": file(2)}, ["a"], True, 2),
        ({"a": file(-1), "b": file(2)}, ["a"], False, None),  # perhaps it was deleted for its age
        ({"a": file(-1), "b": file(1), "c": file(2)}, ["a", "b"], False, 2),
        ({"a": file(1), "b": file(-1)}, ["a"], True, None),
        ({"a": file(1, 3), "b": file(2)}, ["a"], True, None),
        ({"a": file(1), "b": file(-1, 2)}, ["a"], True, None),  # a row of it does not say
        ({"a": file(1), "b": file(2), "c": file(-1, rows=0)}, ["a"], True, 2),
        ({"a": file(-1, rows=0), "b": file(2)}, ["a"], True, None),
        ({"b": file(2)}, ["a"], True, None),  # what was forgotten says nothing
    ],
)
def test_a_generation_has_replaced_older_ones_when_they_are_gone_and_it_is_not(
    live: dict[str, FileGenerations], gone: list[str], overwrites: bool, wanted: int | None
) -> None:
    found = replaced(live, gone=gone, overwrites=overwrites)
    expected = tuple(sorted(set(gone) & live.keys()))
    assert found == (None if wanted is None else Replacement(generation=wanted, gone=expected))


def test_older_ones_that_go_are_explained_by_a_newer_one_that_is_known_or_listed() -> None:
    live = {"a": file(1), "b": file(2), "c": file(1)}
    assert older(live, gone=["a", "b", "x"]) == frozenset()
    assert older(live, gone=["a"]) == {"a"}
    assert older(live, gone=["a", "b"], newest=2) == {"a"}
    assert older(live, gone=["a", "b", "c"], newest=3) == {"a", "b", "c"}
    assert older({}, gone=["a"], newest=3) == frozenset()


def test_nothing_is_outside_of_an_empty_plan() -> None:
    assert outside(Plan(stream=STREAM), {}, ignored=()) == ()


# ---- a feed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", [OVERWRITES, APPENDS])
@pytest.mark.parametrize("at_once", [True, False])
def test_rows_that_a_newer_generation_lacks_leave_and_a_second_feed_does_nothing(
    rules: object, at_once: bool, world: FeedWorld
) -> None:
    world.rules = rules  # type: ignore[assignment]
    for part in range(5):
        sync(world, 1, part, part + 10, part=part)
    fed(world)
    sync(world, 2, 0, 1, 2)
    if not at_once:
        assert fed(world).replaced == 0
        assert processed(world).keys() == {0, 1, 2, 3, 4, 10, 11, 12, 13, 14}
    for part in range(5):
        world.store.delete(key(1, part))
    world.sink.events.clear()
    report = fed(world)
    assert (report.status, report.replaced, report.vanished) == (StreamStatus.OK, 7, 0)
    assert processed(world) == {0: "2", 1: "2", 2: "2"}
    assert {item["pk"] for item in world.lake.landing_rows(STREAM)} == {0, 1, 2}
    told = [event for event in world.sink.events if isinstance(event, GenerationReplaced | ObjectsDropped)]
    assert told == [GenerationReplaced(stream=str(STREAM), generation=2, files=5, rows=7)]
    nothing_more(world)


def test_a_key_whose_older_record_had_the_newer_cursor_stays_with_the_record_that_is_left(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2, cursor=9)
    fed(world)
    sync(world, 2, 1, cursor=3)
    sync(world, 2, 1, part=1, cursor=4, value="newest")
    fed(world)
    assert processed(world) == {1: "1", 2: "1"}
    world.store.delete(old)
    assert fed(world).replaced == 1
    assert processed(world) == {1: "newest"}


def test_an_interrupted_sync_replaces_nothing_and_the_one_that_succeeds_replaces_all_before_it(
    world: FeedWorld,
) -> None:
    sync(world, 1, 1, 2, 3)
    fed(world)
    sync(world, 2, 1)
    assert fed(world).replaced == 0
    world.store.delete(key(2))  # somebody else's hand: of the older one nothing is gone
    assert fed(world).replaced == 0
    assert processed(world).keys() == {1, 2, 3}
    sync(world, 3, 2, 4)
    fed(world)
    world.store.delete(key(1))
    assert fed(world).replaced == 2
    assert processed(world) == {2: "3", 4: "3"}


def test_a_generation_that_goes_file_by_file_is_replaced_with_its_last(world: FeedWorld) -> None:
    for part in range(3):
        sync(world, 1, part, part=part)
    fed(world)
    sync(world, 2, 9)
    for part in range(3):
        assert processed(world).keys() >= {0, 1, 2}
        world.store.delete(key(1, part))
        report = fed(world, on_vanished=ObjectPolicy.FAIL)
    assert report.replaced == 3 and processed(world).keys() == {9}


@pytest.mark.parametrize("policy", list(ObjectPolicy))
@pytest.mark.parametrize("rules", [OVERWRITES, APPENDS])
def test_no_policy_is_about_older_generations_and_none_is_missed(
    policy: ObjectPolicy, rules: object, world: FeedWorld
) -> None:
    world.rules = rules  # type: ignore[assignment]
    for part in range(6):
        sync(world, 1, part, part=part)
    fed(world)
    for part in range(6):
        world.store.delete(key(1, part))
    sync(world, 2, 9)
    report = fed(world, on_vanished=policy)
    assert (report.replaced, processed(world)) == (6, {9: "2"})


def test_where_syncs_append_another_file_of_the_same_generation_explains_nothing(world: FeedWorld) -> None:
    world.rules = APPENDS
    for part in range(6):
        sync(world, 1, part, part=part)
    fed(world)
    for part in range(6):
        world.store.delete(key(1, part))
    world.put(key(1, 7), *of_generation(1, row(9)))
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "not_there"
    assert fed(world, accept_empty=True).replaced == 0
    assert processed(world).keys() == {0, 1, 2, 3, 4, 5, 9}


def test_where_syncs_append_what_does_not_say_its_generation_proves_nothing_by_going(world: FeedWorld) -> None:
    world.rules = APPENDS
    world.put(key(0), row(1))
    fed(world)
    sync(world, 1, 2)
    fed(world)
    world.store.delete(key(0))
    assert fed(world).replaced == 0
    assert fed(replace_rules(world, overwrites=True)).replaced == 1
    assert processed(world) == {2: "1"}


def replace_rules(world: FeedWorld, **changes: object) -> FeedWorld:
    world.rules = replace(world.rules, **changes)  # type: ignore[arg-type]
    return world


def test_a_generation_without_a_record_leaves_no_object_and_nothing_is_known_of_it(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    fed(world)
    world.store.delete(old)
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "not_there"
    assert fed(world, accept_empty=True).replaced == 0
    assert processed(world).keys() == {1, 2}
    third = sync(world, 3, 1)
    assert fed(world).replaced == 0
    sync(world, 4, 1)
    world.store.delete(third)
    assert fed(world).replaced == 1
    assert processed(world) == {1: "4"}


def test_an_empty_generation_before_one_with_records_is_no_obstacle(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    fed(world)
    world.store.delete(old)  # the second generation is empty
    sync(world, 3, 5)
    assert fed(world).replaced == 2
    assert processed(world) == {5: "3"}


def test_what_clean_up_took_out_of_landing_says_nothing(world: FeedWorld) -> None:
    old = sync(world, 1, 1)
    fed(world)
    world.put(key_for(DAY + timedelta(days=20)), *of_generation(1, row(2, "1")))
    assert fed(world).cleaned == 1
    world.store.delete(old)
    world.put(key_for(DAY + timedelta(days=20), "part_1.parquet"), *of_generation(2, row(3, "2")))
    assert fed(world).replaced == 0
    assert processed(world) == {1: "", 2: "1", 3: "2"} or processed(world).keys() == {1, 2, 3}
    world.store.delete(key_for(DAY + timedelta(days=20)))
    assert fed(world).replaced == 2
    assert processed(world).keys() == {3}


# ---- what it waits for -----------------------------------------------------------------------------------------------


def held_back(world: FeedWorld, **changes: object) -> None:
    world.sink.events.clear()
    before = set(processed(world))
    assert fed(world, **changes).replaced == 0
    assert set(processed(world)) >= before


def test_nothing_leaves_while_a_listed_file_is_rejected_and_an_operator_may_ignore_it(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    fed(world)
    sync(world, 2, 1)
    world.put_bytes(key(2, 1), b"no Parquet")
    world.store.delete(old)
    held_back(world)
    assert any(isinstance(e, Noted) and key(2, 1) in e.message for e in world.sink.events)
    nothing_more(world)
    world.lake.set_quarantine([key(2, 1)], status="ignored")
    assert fed(world).replaced == 1


def test_nothing_leaves_while_files_wait_for_the_next_feed(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2, 3)
    fed(world)
    sync(world, 2, 1)
    sync(world, 2, 2, part=1)
    world.store.delete(old)
    budget = replace(OVERWRITES.budget, max_files=1)
    held_back(world, max_batches=1, budget=budget)
    assert any(isinstance(e, Noted) and "1 file(s)" in e.message for e in world.sink.events)
    assert fed(world, max_batches=1, budget=budget).replaced == 1
    assert processed(world) == {1: "2", 2: "2"}


def test_nothing_leaves_while_a_changed_object_waits_or_a_file_is_too_late(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    sync(world, 1, 3, part=1)
    fed(world)
    sync(world, 2, 1)
    fed(world)
    world.store.delete(old)
    world.put(key(1, 1), *of_generation(2, row(3, "2")))
    held_back(world)
    world.lake.set_quarantine([key(1, 1)], status="retry")
    late = key_for(DAY - timedelta(days=30))
    world.put(late, *of_generation(2, row(7, "2")))
    held_back(world)
    world.store.delete(late)
    assert fed(world).replaced == 1


# ---- crashes, failures, replay ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", sorted({*CRASH_POINTS, *SET_ASIDE_POINTS, "after_transform"}))
@pytest.mark.parametrize("days_between", [3, 60])
def test_a_feed_that_ends_anywhere_is_ended_by_the_next(point: str, days_between: int) -> None:
    world = FeedWorld(OVERWRITES)
    sync(world, 1, 1, 2, 3, cursor=9)
    fed(world)
    world.clock.move(days=days_between)
    day = DAY + timedelta(days=days_between)
    world.put(key_for(day), *of_generation(2, row(1, "2", raw_id="a"), row(2, "2", raw_id="b")))
    world.store.delete(key(1))
    world.catalog.crash_at = point
    try:
        world.feed()
    except Crash:
        world.reopen()
    world.catalog.crash_at = None
    fed(world)
    assert processed(world) == {1: "2", 2: "2"}
    assert [item["pk"] for item in world.lake.landing_rows(STREAM)] == [1, 2]
    nothing_more(world)


def test_what_does_not_fit_is_replaced_in_parts_and_told(world: FeedWorld) -> None:
    old = sync(world, 1, *range(10))
    fed(world)
    sync(world, 2, 0)
    world.store.delete(old)
    fed_in_parts = world.catalog
    fed_in_parts.most_rows = 3
    assert fed(world).replaced == 9
    assert processed(world) == {0: "2"}
    parts = [item.part for item in world.catalog.merges if item.generation is not None]
    assert parts[0] == (0, 1) and len(parts) > 3


def test_what_fits_nowhere_fails_the_stream_and_the_next_feed_tries_again(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    fed(world)
    sync(world, 2, 1)
    fed(world)
    world.store.delete(old)
    world.catalog.most_rows = 0
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "out_of_memory"
    assert any(item.spill for item in world.catalog.merges)
    world.catalog.most_rows = None
    assert fed(world).replaced == 1


def test_objects_that_go_meanwhile_leave_it_to_the_next_feed_and_other_failures_are_failures(
    world: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = sync(world, 1, 1, 2)
    fed(world)
    sync(world, 2, 1)
    fed(world)
    world.store.delete(old)
    transform = world.lake.transform

    def failing(pending: PendingTransform) -> BuildResult:
        if pending.generation is not None:
            raise TransformError("dbt failed", found="no such object")
        return transform(pending)

    monkeypatch.setattr(world.lake, "transform", failing)
    report = world.feed()
    assert report.error is not None and report.error["kind"] == "transform"

    def gone_meanwhile(pending: PendingTransform) -> BuildResult:
        sync(world, 3, 5)
        world.store.delete(key(2))
        return failing(pending)

    monkeypatch.setattr(world.lake, "transform", gone_meanwhile)
    assert fed(world).replaced == 0
    monkeypatch.undo()
    assert fed(world).replaced == 2
    assert processed(world) == {5: "3"}


def test_an_older_generation_that_went_before_it_was_merged_is_no_policys_business(world: FeedWorld) -> None:
    sync(world, 1, 1)
    fed(world)
    old = sync(world, 2, 2)
    world.catalog.crash_at = "after_register"
    with pytest.raises(Crash):
        world.feed()
    world.reopen()
    world.store.delete(old)
    world.store.delete(key(1))
    sync(world, 3, 3)
    assert fed(world, on_vanished=ObjectPolicy.FAIL).replaced == 1
    assert processed(world) == {3: "3"}


def test_a_replay_brings_nothing_back_and_may_be_what_replaces(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    sync(world, 2, 1)
    fed(world)
    world.store.delete(old)
    report = world.replay(DAY + timedelta(days=2), DAY + timedelta(days=2))
    assert (report.error, report.replaced) == (None, 1)
    report = world.replay(DAY, DAY + timedelta(days=9))
    assert report.error is None and processed(world) == {1: "2"}


def test_a_run_looks_and_feeds_only_a_stream_whose_rows_may_leave() -> None:
    app = MemoryApplication(FeedWorld(OVERWRITES))
    app.settings = replace(
        app.settings,
        streams={k: replace(s, destination_sync_mode="overwrite") for k, s in app.settings.streams.items()},
    )
    world = app.world
    old = sync(world, 1, 1, 2)
    sync(world, 2, 1)
    feed_all(app.open(), stop=lambda: False)
    opened = app.opened_committers
    world.store.delete(old)
    (report,) = feed_all(app.open(), stop=lambda: False).streams
    assert (report.status, report.replaced, app.opened_committers) == (StreamStatus.OK, 1, opened + 1)
    world.reopen()
    assert processed(world) == {1: "2"}
    (report,) = feed_all(app.open(), stop=lambda: False).streams
    assert (report.status, app.opened_committers) == (StreamStatus.NOTHING_NEW, opened + 1)


def test_the_enriched_models_are_built_again_though_no_mark_has_moved(world: FeedWorld) -> None:
    old = sync(world, 1, 1, 2)
    sync(world, 2, 1)
    fed(world)
    world.lake.enrich()
    assert not world.lake.enriched_is_stale()
    world.store.delete(old)
    fed(world)
    assert world.lake.enriched_is_stale()


def test_nothing_is_asked_of_the_catalog_when_nothing_has_gone(world: FeedWorld) -> None:
    sync(world, 1, 1)
    ports = world.ports().planning_ports()
    assert replacing_of(OVERWRITES, ports.reader, plan_stream(OVERWRITES, ports)) is None
