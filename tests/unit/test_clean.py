"""What may go: whole files, merged, of days behind cursor − retention (P13)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.planning import leaving_of, plan_stream
from lakeray.steps.clean import Leaving, RawRules, clean_before, plan_clean
from lakeray.steps.discover import horizon
from lakeray.values.model import CleanPlan, Cursor, ObjectPolicy, RawPolicy
from tests.support.fakes.feeds import FeedWorld, key_for
from tests.support.fakes.records import STREAM, row


def cursor(day: date | None) -> Cursor:
    return Cursor(stream=STREAM, path=None if day is None else key_for(day))


def planned(world: FeedWorld, *, days: int = 7, raw: RawRules | None = None) -> CleanPlan:
    raw = RawRules() if raw is None else raw
    at = world.lake.cursor(STREAM)
    return plan_clean(STREAM, cursor=at, reader=world.lake, retention_days=days, raw=raw)


def test_the_day_of_the_retention_itself_stays() -> None:
    assert clean_before(cursor(date(2026, 3, 10)), retention_days=7) == date(2026, 3, 3)
    assert clean_before(cursor(date(2026, 3, 10)), retention_days=0) == date(2026, 3, 10)


def test_without_a_cursor_nothing_may_go() -> None:
    assert clean_before(cursor(None), retention_days=7) is None
    assert clean_before(Cursor(stream=STREAM, path="shop/orders/loose.parquet"), retention_days=7) is None
    world = FeedWorld()
    assert planned(world, days=0).files == ()


@given(st.dates(date(2000, 1, 1)), st.integers(0, 60), st.integers(0, 60))
def test_what_goes_is_always_behind_what_a_feed_still_looks_for(day: date, lookback: int, retention: int) -> None:
    before = clean_before(cursor(day), retention_days=retention)
    since = horizon(cursor(day), lookback_days=lookback, retention_days=retention)
    assert before is not None and since is not None and since <= before <= day


def test_only_merged_files_of_older_days_are_planned() -> None:
    world = FeedWorld()
    old, edge, new = (key_for(date(2026, 3, day)) for day in (1, 3, 10))
    for number, key in enumerate((old, edge, new)):
        world.put(key, row(number))
    world.catalog.fail_transform = True
    world.feed(retention_days=99)
    assert planned(world).files == ()
    world.catalog.fail_transform = False
    world.feed(retention_days=99)
    found = planned(world)
    assert [entry.key for entry in found.files] == [old] and found.before == date(2026, 3, 3)
    assert (found.kept, found.deleted) == (found.files, ())  # the first plan listed it


OLD, LATER, NEW = (key_for(date(2026, 3, day)) for day in (1, 2, 20))


def fed() -> FeedWorld:
    """The first plan lists one old file and a new one; another old file comes later, by replay."""
    world = FeedWorld()
    world.put(OLD, row(1))
    world.put(NEW, row(2))
    world.feed(retention_days=99)
    world.put(LATER, row(3))
    world.feed(retention_days=99)
    return world


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (RawRules(), [OLD]),
        (RawRules(delete_existing=True), []),
        (RawRules(raw=RawPolicy.KEEP), [OLD, LATER]),
        (RawRules(raw=RawPolicy.KEEP, delete_existing=True), [OLD, LATER]),
    ],
)
def test_whose_objects_stay_is_a_matter_of_policy_and_of_the_first_plan(raw: RawRules, kept: list[str]) -> None:
    found = planned(fed(), raw=raw)
    assert [entry.key for entry in found.files] == [OLD, LATER]
    assert [entry.key for entry in found.kept] == kept
    assert [entry.key for entry in found.deleted] == [key for key in (OLD, LATER) if key not in kept]


def test_an_object_written_anew_is_not_the_one_that_the_first_plan_listed() -> None:
    world = fed()
    world.put(OLD, row(1, "another"))
    world.feed(retention_days=99, on_changed=ObjectPolicy.DROP)
    found = planned(world)
    assert {entry.key for entry in found.files} == {OLD, LATER} and found.kept == ()


def foreseen(world: FeedWorld, *, raw: RawRules | None = None) -> Leaving:
    rules = replace(world.rules, raw=raw or RawRules())
    found = plan_stream(rules, world.ports().planning_ports())
    return leaving_of(rules, found, reader=world.lake, now=world.clock.now())


def test_a_plan_foresees_what_leaves_landing_and_what_is_deleted() -> None:
    world = FeedWorld()
    assert foreseen(world) == Leaving()
    world.put("shop/orders/loose.parquet", row(0))
    assert foreseen(world) == Leaving()  # no key tells a day
    world.put(OLD, row(1))
    assert foreseen(world) == Leaving()
    world.put(NEW, row(2))
    assert foreseen(world) == Leaving(files=1, deleted=0)
    assert foreseen(world, raw=RawRules(delete_existing=True)) == Leaving(files=1, deleted=1)
    assert foreseen(world, raw=RawRules(raw=RawPolicy.KEEP)) == Leaving(files=1, deleted=0)
    world.feed(retention_days=99)
    world.put(key_for(date(2026, 3, 14)), row(3))
    world.put(key_for(date(2026, 3, 30)), row(4))
    assert foreseen(world) == Leaving(files=3, deleted=1)  # of what is live and of what is planned
    assert foreseen(world, raw=RawRules(delete_existing=True)) == Leaving(files=3, deleted=3)


def test_a_key_of_the_far_future_makes_nothing_leave() -> None:
    world = FeedWorld()
    world.put(OLD, row(1))
    world.put(key_for(date(2099, 1, 1)), row(2))
    assert foreseen(world) == Leaving()
