"""What may go: whole files, merged, of days behind cursor − retention (P13)."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from lakeray.steps.clean import clean_before, plan_clean
from lakeray.steps.discover import horizon
from lakeray.values.model import Cursor
from tests.support.fakes.feeds import FeedWorld, key_for
from tests.support.fakes.records import STREAM, row


def cursor(day: date | None) -> Cursor:
    return Cursor(stream=STREAM, path=None if day is None else key_for(day))


def test_the_day_of_the_retention_itself_stays() -> None:
    assert clean_before(cursor(date(2026, 3, 10)), retention_days=7) == date(2026, 3, 3)
    assert clean_before(cursor(date(2026, 3, 10)), retention_days=0) == date(2026, 3, 10)


def test_without_a_cursor_nothing_may_go() -> None:
    assert clean_before(cursor(None), retention_days=7) is None
    assert clean_before(Cursor(stream=STREAM, path="shop/orders/loose.parquet"), retention_days=7) is None
    world = FeedWorld()
    assert plan_clean(STREAM, cursor=cursor(None), reader=world.lake, retention_days=0).files == ()


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
    at = world.lake.cursor(STREAM)
    assert plan_clean(STREAM, cursor=at, reader=world.lake, retention_days=7).files == ()
    world.catalog.fail_transform = False
    world.feed(retention_days=99)
    planned = plan_clean(STREAM, cursor=world.lake.cursor(STREAM), reader=world.lake, retention_days=7)
    assert [entry.key for entry in planned.files] == [old] and planned.before == date(2026, 3, 3)
