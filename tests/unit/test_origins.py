"""Where a record is from: what of the one order of records no column of it carries (P12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from lakeray.values.model import SourceFile
from lakeray.values.origins import origin, origin_of
from tests.support.fakes.records import origin_rank

AT = datetime(2026, 1, 31, 6, 0, 0, 5, tzinfo=UTC)
times = st.integers(0, 10**16).map(lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=n))
keys = st.text(alphabet="part_0129/", max_size=8)


def test_an_origin_is_a_text_of_time_and_key() -> None:
    file = SourceFile(key="shop/orders/part_2", etag="e", size_bytes=1, last_modified=AT)
    assert origin_of(file) == "2026-01-31T06:00:00.000005Z shop/orders/part_2"
    elsewhere = AT.astimezone(timezone(timedelta(hours=-9)))
    assert origin("shop/orders/part_2", elsewhere) == origin_of(file)


@given(times, times, keys, keys)
def test_origins_sort_by_time_then_by_key_and_no_two_are_equal(
    one: datetime, other: datetime, key: str, other_key: str
) -> None:
    first, second = origin_rank(origin(key, one)), origin_rank(origin(other_key, other))
    if one != other:
        assert (first < second) == (one < other)
    else:
        assert (first == second) == (key == other_key)
    assert origin_rank(origin(key, None)) < second


def test_part_10_is_newer_than_part_9() -> None:
    assert origin_rank(origin("part_9", AT)) < origin_rank(origin("part_10", AT))
