"""One rule says what there is to do; a feed says ``nothing_new`` and writes nothing if and only if it is empty."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.planning import PlanningPorts, missing_of, plan_stream, vanished_policy
from lakeray.run import feed_all, rules_for, standing_of
from lakeray.steps.work import Standing, Work, lacks_columns, work_of
from lakeray.values.column_types import parse_type
from lakeray.values.model import (
    Batch,
    Changed,
    Column,
    ObjectPolicy,
    Oversize,
    Plan,
    SourceFile,
    StreamStatus,
)
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.feeds import FeedWorld, key_for
from tests.support.fakes.records import CONTRACT, OWN_COLUMNS, STREAM, row
from tests.support.fakes.settings import settings
from tests.support.fakes.world import START

FILE = SourceFile(key="shop/orders/a.parquet", etag="1", size_bytes=1, last_modified=START)
NAMES = frozenset(column.name for column in CONTRACT.columns)
IDLE = Standing(landing=NAMES, is_merged=True, oldest_merged_day=None, clean_before=None)
EMPTY = Plan(stream=STREAM)
BATCH = Batch(id="b", stream=STREAM, files=(FILE,), size_bytes=1, projected_bytes=1)
REPORT, DROP = ObjectPolicy.REPORT, ObjectPolicy.DROP


def found(planned: Plan, standing: Standing = IDLE, *, gone: ObjectPolicy = REPORT):
    return work_of(planned, standing, contract=CONTRACT, on_vanished=gone)


@pytest.mark.parametrize(
    ("planned", "standing", "policies", "wanted"),
    [
        (EMPTY, IDLE, {}, set()),
        (replace(EMPTY, batches=(BATCH,)), IDLE, {}, {Work.TAKE_IN}),
        (replace(EMPTY, oversize=(Oversize(file=FILE, projected_bytes=2, allowed_bytes=1),)), IDLE, {}, {Work.REFUSE}),
        (replace(EMPTY, too_late=(FILE,), skipped=(FILE,)), IDLE, {}, set()),
        (replace(EMPTY, reregister=(BATCH,)), IDLE, {}, {Work.REREGISTER}),
        (replace(EMPTY, unfinished=("k",)), IDLE, {}, {Work.REREGISTER}),
        (EMPTY, replace(IDLE, is_merged=False), {}, {Work.MERGE}),
        (EMPTY, replace(IDLE, landing=NAMES - {"value"}), {}, {Work.WIDEN}),
        (EMPTY, replace(IDLE, landing=None), {}, set()),
        (replace(EMPTY, vanished=("k",)), IDLE, {}, set()),
        (replace(EMPTY, vanished=("k",)), IDLE, {"gone": DROP}, {Work.OBJECTS}),
        (
            replace(EMPTY, changed=(Changed(file=FILE, registered_etag="0", registered_size_bytes=1),)),
            IDLE,
            {},
            {Work.OBJECTS},
        ),
        (replace(EMPTY, waiting=(FILE,)), IDLE, {}, set()),
        (EMPTY, replace(IDLE, is_claimed=False), {}, {Work.CLAIM}),
        (EMPTY, replace(IDLE, oldest_merged_day=date(2026, 1, 1), clean_before=date(2026, 1, 1)), {}, set()),
        (EMPTY, replace(IDLE, oldest_merged_day=date(2026, 1, 1), clean_before=date(2026, 1, 2)), {}, {Work.CLEAN}),
        (EMPTY, replace(IDLE, oldest_merged_day=date(2026, 1, 1)), {}, set()),
    ],
)
def test_each_kind_of_work_is_found_by_what_makes_it(
    planned: Plan, standing: Standing, policies: dict[str, ObjectPolicy], wanted: set[Work]
) -> None:
    assert found(planned, standing, **policies) == wanted


def test_what_something_newer_explains_is_no_policys_work_and_a_replacement_is_work() -> None:
    gone = replace(EMPTY, vanished=("k",))
    rules = {"contract": CONTRACT, "on_vanished": DROP}
    assert work_of(gone, IDLE, **rules, replaced={"k"}) == set()
    assert work_of(gone, IDLE, **rules, replaced={"k"}, is_replaceable=True) == {Work.REPLACE}


def test_columns_are_compared_without_case() -> None:
    assert not lacks_columns({name.upper() for name in NAMES}, CONTRACT)
    wider = replace(CONTRACT, columns=(*CONTRACT.columns, Column(name="more", type=parse_type("DATE"))))
    assert lacks_columns(NAMES, wider)


DAYS = st.integers(0, 14).map(lambda number: date(2026, 3, 1) + timedelta(days=number))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), DAYS, st.integers(0, 2)),
        st.tuples(st.just("overwrite"), DAYS, st.integers(0, 2)),
        st.tuples(st.just("delete"), DAYS, st.integers(0, 2)),
        st.tuples(st.just("bad"), DAYS, st.integers(0, 2)),
        st.tuples(st.just("widen"), DAYS, st.just(0)),
        st.tuples(st.just("drop"), DAYS, st.just(0)),
        st.tuples(st.just("accept"), DAYS, st.just(0)),
        st.tuples(st.just("retry"), DAYS, st.integers(0, 2)),
        st.tuples(st.just("days"), DAYS, st.integers(1, 3)),
        st.tuples(st.just("crash"), DAYS, st.just(0)),
        st.tuples(st.just("rewind"), DAYS, st.just(0)),
        st.tuples(st.just("feed"), DAYS, st.just(0)),
    ),
    max_size=12,
)


def act(lake: MemoryApplication, step: tuple[str, date, int]) -> None:
    what, day, number = step
    world, key = lake.world, key_for(day, f"part_{number}.parquet")
    match what:
        case "put":
            world.put(key, row(number, str(day)))
        case "overwrite":
            if key in world.store.keys():  # noqa: SIM118 - a method of the store
                world.put(key, row(number, f"{day} again"))
        case "delete":
            world.store.delete(key)
        case "bad":
            world.put_bytes(key, b"no Parquet")
        case "widen":
            wider = {**ORDERS, "fields": {**OWN_COLUMNS, "more": "DATE"}}
            lake.configure(streams=settings(streams={STREAM.slug: wider}).streams)
        case "drop":
            lake.configure(feed=replace(lake.settings.feed, on_changed=DROP, on_vanished=DROP))
        case "accept":
            lake.configure(feed=replace(lake.settings.feed, accept_empty=not lake.settings.feed.accept_empty))
        case "retry":
            world.reopen()
            world.lake.set_quarantine([key], status="retry")
        case "days":
            world.clock.move(days=number)
        case "crash":
            world.catalog.fail_transform = not world.catalog.fail_transform
        case "rewind":
            world.reopen()
            if world.lake.cursor(STREAM).path is not None:
                world.committer_rewinds(0)
        case "feed":
            feed_all(lake.open(), stop=lambda: False)


@given(steps=STEPS)
def test_a_feed_says_nothing_new_and_writes_nothing_if_and_only_if_there_is_no_work(
    steps: list[tuple[str, date, int]],
) -> None:
    lake = MemoryApplication(FeedWorld())
    for step in steps:
        act(lake, step)
    lake.world.catalog.fail_transform = False
    app = lake.open()
    app_rules = rules_for(lake.settings, app.streams()[0])
    snapshot = app.planning_snapshot()
    planned = plan_stream(
        app_rules, PlanningPorts(store=app.store, reader=snapshot, today=app.today(), generation_of=app.generation_of)
    )
    missing = missing_of(app_rules, app.planning_ports(), planned)
    work = work_of(
        planned,
        standing_of(app_rules, snapshot),
        contract=app_rules.contract,
        on_vanished=vanished_policy(app_rules, missing),
    )
    before = lake.world.catalog.head
    (report,) = feed_all(app, stop=lambda: False).streams
    after = lake.world.catalog.head
    of_stream = ("tables", "files", "ledger", "batches", "quarantine", "cursors", "processed", "peaks")
    wrote = any(getattr(before, part) != getattr(after, part) for part in of_stream)
    if missing is not None and not app_rules.accept_empty:
        assert report.error is not None and (report.error["kind"], wrote) == ("not_there", False)
        return
    assert report.error is None
    assert (report.status is StreamStatus.OK) == bool(work) == wrote, (report.status, work)
    if not work:
        is_empty = not planned.listed_files and not planned.live_files
        assert report.status is (StreamStatus.WAITING if is_empty else StreamStatus.NOTHING_NEW)
