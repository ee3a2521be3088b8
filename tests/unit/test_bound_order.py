"""Bounds compared as texts: in the order of what they say, or left to DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.adapters.ducklake.values.bound_order import Unsure, key_of


def key(kind: str) -> Callable[[str], object]:
    found = key_of(kind)
    assert found is not None
    return found


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_integers_are_in_the_order_of_numbers(numbers: list[int]) -> None:
    assert sorted(map(str, numbers), key=key("BIGINT")) == [str(number) for number in sorted(numbers)]


@given(st.lists(st.text()))
def test_texts_are_in_the_order_of_their_octets(texts: list[str]) -> None:
    assert sorted(texts, key=key("VARCHAR")) == sorted(texts, key=lambda text: text.encode("utf-8", "surrogatepass"))


@given(st.lists(st.datetimes()))
def test_times_are_in_the_order_of_time(moments: list[datetime]) -> None:
    for kind, zone in (("TIMESTAMP", ""), ("TIMESTAMP WITH TIME ZONE", "+00")):
        written = [text(moment) + zone for moment in moments]
        assert sorted(written, key=key(kind)) == [text(moment) + zone for moment in sorted(moments)]


def text(moment: datetime) -> str:
    """As DuckDB writes it: no zeros at the end of the fraction."""
    whole = f"{moment.year:04d}-{moment:%m-%d %H:%M:%S}"
    return f"{whole}.{moment.microsecond:06d}".rstrip("0") if moment.microsecond else whole


@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False, places=3)))
def test_decimals_are_in_the_order_of_numbers(numbers: list[object]) -> None:
    written = [f"{number:f}" for number in numbers]
    assert sorted(written, key=key("DECIMAL(18,3)")) == [f"{number:f}" for number in sorted(numbers)]  # type: ignore[type-var]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_doubles_are_in_the_order_of_numbers(numbers: list[float]) -> None:
    assert sorted(map(repr, numbers), key=key("DOUBLE")) == [repr(number) for number in sorted(numbers)]


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("BIGINT", "1e3"),
        ("BIGINT", ""),
        ("DATE", "12026-01-01"),
        ("DATE", "0044-03-15 (BC)"),
        ("DATE", "infinity"),
        ("DATE", ""),
        ("TIMESTAMP WITH TIME ZONE", "2026-01-01 00:00:00+02"),
        ("DOUBLE", "nan"),
        ("DOUBLE", "inf"),
        ("DECIMAL(4,2)", "NaN"),
    ],
)
def test_a_text_of_another_form_is_left_to_duckdb(kind: str, written: str) -> None:
    with pytest.raises(Unsure):
        key(kind)(written)


@pytest.mark.parametrize("kind", ["FLOAT", "HUGEINT"])
def test_types_whose_texts_say_too_little_are_left_to_duckdb(kind: str) -> None:
    assert key_of(kind) is None


def test_a_day_and_its_first_moment_are_apart() -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    later = [text(first + timedelta(microseconds=step)) + "+00" for step in (0, 1, 10, 100_000, 1_000_000)]
    assert sorted(set(later), key=key("TIMESTAMP WITH TIME ZONE")) == later
