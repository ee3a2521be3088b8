"""Marks move forward only (P11)."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lakeray.steps.advance import next_path
from lakeray.values.keys import day_of
from lakeray.values.model import Cursor, StreamName

STREAM = StreamName("shop", "orders")


def key(off: int, name: str = "part_0", *, padded: bool = True) -> str:
    day = date(2025, 12, 25) + timedelta(days=off)
    month, number = (f"{day.month:02d}", f"{day.day:02d}") if padded else (day.month, day.day)
    return f"{STREAM}/year={day.year}/month={month}/day={number}/{name}.parquet"


keys = st.builds(
    key,
    st.integers(0, 20),
    st.sampled_from(["part_0", "part_1", "part_01", "part_2", "part_10", "uuid-é"]),
    padded=st.booleans(),
)
odd = st.sampled_from([f"{STREAM}/loose.parquet", f"{STREAM}/year=2026/month=99/day=1/x.parquet"])


def day(path: str | None) -> date:
    return date.min if path is None else day_of(path, otherwise=date.min)


def moved(start: str | None, *arrived: str) -> str | None:
    return next_path(Cursor(stream=STREAM, path=start), arrived)


@given(st.one_of(st.none(), keys), st.lists(keys | odd, max_size=8))
def test_the_cursor_never_goes_back_and_never_leads(start: str | None, arrived: list[str]) -> None:
    path = moved(start, *arrived)
    assert day(path) >= day(start)
    assert day(path) == max([day(start), *(day(item) for item in arrived)])
    assert path == start or path in arrived
    assert moved(path, *arrived) == path


@given(
    st.one_of(st.none(), keys), st.lists(keys, max_size=6).flatmap(lambda x: st.tuples(st.just(x), st.permutations(x)))
)
def test_the_order_of_the_keys_does_not_matter(start: str | None, orders: tuple[list[str], list[str]]) -> None:
    assert moved(start, *orders[0]) == moved(start, *orders[1])


def test_ten_is_ahead_of_two_and_day_ten_of_day_nine() -> None:
    assert moved(key(0, "part_2"), key(0, "part_10")) == key(0, "part_10")
    nine, ten = key(15, padded=False), key(16, padded=False)
    assert nine.endswith("day=9/part_0.parquet") and moved(nine, ten) == ten and moved(ten, nine) == ten


def test_a_key_of_a_day_to_come_never_moves_the_cursor() -> None:
    cursor = Cursor(stream=STREAM, path=key(0))
    assert next_path(cursor, [key(5), key(6)], until=day(key(5))) == key(5)
    assert next_path(cursor, [key(6)], until=day(key(5))) == key(0)


def test_a_key_without_a_day_never_moves_the_cursor() -> None:
    assert moved(None, f"{STREAM}/loose.parquet") is None
    assert moved(key(0), f"{STREAM}/zzz.parquet") == key(0)
