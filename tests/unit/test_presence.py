"""A listing is believed or not by what is live and by what is gone alone (P3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.steps.presence import LEAST, SHARE, is_waiting, missing, replaced
from lakeray.values.model import Plan
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM

DAY = date(2026, 3, 1)
PLACE = "s3://landing/raw/shop/orders/"


def planned(*, live: int, gone: int, listed: int) -> Plan:
    keys = tuple(key_for(DAY, f"part_{number}.parquet") for number in range(gone))
    return Plan(stream=STREAM, live_files=live, vanished=keys, listed_files=listed)


@pytest.mark.parametrize(
    ("live", "gone", "listed", "is_refused"),
    [
        (0, 0, 0, False),
        (0, 0, 9, False),
        (1, 1, 0, True),
        (1, 1, 9, False),
        (3, 3, 9, False),
        (4, 2, 9, False),
        (4, 3, 9, True),
        (1000, 500, 500, False),
        (1000, 501, 499, True),
        (9, 0, 9, False),
    ],
)
def test_nothing_listed_or_most_of_it_gone_is_not_believed(live: int, gone: int, listed: int, is_refused: bool) -> None:
    refused = missing(planned(live=live, gone=gone, listed=listed), place=PLACE)
    assert (refused is not None) == is_refused
    if refused is not None:
        assert PLACE in refused.about and f"{live:,}" in refused.expected
        assert "storage.url" in refused.todo and "feed.accept_empty" in refused.todo


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_the_rule_is_as_it_is_written(live: int, gone: int, others: int) -> None:
    gone = min(live, gone)
    plan = planned(live=live, gone=gone, listed=live - gone + others)
    wanted = gone > 0 and (plan.listed_files == 0 or (live >= LEAST and gone > live * SHARE))
    assert (missing(plan, place=PLACE) is not None) == wanted
    assert is_waiting(plan) == (live == 0 and others == 0)


def test_only_what_is_not_newer_than_the_newest_listed_was_replaced() -> None:
    plan = replace(planned(live=6, gone=6, listed=1), newest_day=DAY)
    assert replaced(plan, overwrites=True) == set(plan.vanished)
    assert missing(plan, place=PLACE, replaced=replaced(plan, overwrites=True)) is None
    assert missing(plan, place=PLACE, replaced=replaced(plan, overwrites=False)) is not None
    later = replace(plan, vanished=tuple(key_for(date(2026, 3, 2), f"part_{number}.parquet") for number in range(6)))
    assert missing(later, place=PLACE, replaced=replaced(later, overwrites=True)) is not None
    nothing = replace(plan, listed_files=0, newest_day=None)
    assert missing(nothing, place=PLACE, replaced=replaced(nothing, overwrites=True)) is not None
