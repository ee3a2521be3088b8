"""What a key says: its day, whether it is data, and an order for batching alone (P3)."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.values.keys import day_of, file_day, is_source_file, natural_order
from lakeray.values.model import SourceFile

NEVER = date.max


@pytest.mark.parametrize(
    "key",
    [
        "shop/orders/year=2026/month=01/day=09/part_0.parquet",
        "shop/orders/year=2026/month=1/day=9/part_0.parquet",
        "shop/orders/year=2026/month=1/day=09/part_0.parquet-1",
        "shop/orders/year=2026/month=01/day=9/deeper/part_0.parquet",
        "shop/orders/2026_01_09_1767916800000_0.parquet",
    ],
)
def test_every_spelling_of_a_day_is_the_same_day(key: str) -> None:
    assert day_of(key, otherwise=NEVER) == date(2026, 1, 9)


@pytest.mark.parametrize(
    "key",
    [
        "shop/orders/part_0.parquet",
        "shop/orders/year=2026/month=02/day=30/part_0.parquet",
        "shop/orders/year=2026/month=13/day=01/part_0.parquet",
        "shop/orders/year=0000/month=01/day=01/part_0.parquet",
        "shop/orders/myyear=2026/month=01/day=01/part_0.parquet",
        "shop/orders/year=2026/month=01/day=011/part_0.parquet",
        "shop/orders/2026_13_09_1767916800000_0.parquet",
        "",
    ],
)
def test_a_key_without_a_real_day_names_none(key: str) -> None:
    assert day_of(key, otherwise=NEVER) == NEVER


def test_a_file_without_a_day_in_its_key_is_of_the_day_of_its_last_change() -> None:
    changed = datetime(2026, 3, 4, 23, tzinfo=UTC)
    assert file_day(SourceFile(key="a/b/x.parquet", etag="e", size_bytes=1, last_modified=changed)) == date(2026, 3, 4)
    dated = "a/b/year=2026/month=1/day=2/x.parquet"
    assert file_day(SourceFile(key=dated, etag="e", size_bytes=1, last_modified=changed)) == date(2026, 1, 2)


@pytest.mark.parametrize("name", ["part_0.parquet", "part_0.parquet-1", "a b'%.parquet-12", "8d4f-uuid.parquet"])
def test_parquet_and_its_renamed_twins_are_data(name: str) -> None:
    assert is_source_file(f"shop/orders/year=2026/month=01/day=01/{name}")


@pytest.mark.parametrize(
    "key",
    [
        "shop/orders/part.csv",
        "shop/orders/part.parquet.tmp",
        "shop/orders/part.parquet-",
        "shop/orders/part.parquet-a",
        "shop/orders/part.parquet/",
        "shop/orders/__airbyte_tmp/part.parquet",
        "shop/orders/__airbyte_marker.parquet",
    ],
)
def test_everything_else_is_not_data(key: str) -> None:
    assert not is_source_file(key)


def test_ten_comes_after_two() -> None:
    keys = ["part_10.parquet", "part_2.parquet", "part_1.parquet", "part_a.parquet", "part.parquet"]
    assert sorted(keys, key=natural_order)[:3] != sorted(keys)[:3]
    assert [key for key in sorted(keys, key=natural_order) if key[5:6].isdigit()] == [
        "part_1.parquet",
        "part_2.parquet",
        "part_10.parquet",
    ]


@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_names_can_be_ordered(keys: list[str]) -> None:
    assert sorted(sorted(keys, key=natural_order)) == sorted(keys)
