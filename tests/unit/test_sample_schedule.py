"""The arithmetic under the sample, and streams it does not know: every record is introduced once, keys are right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lakeray.sample import Row, SampleSettings, SampleStream, record_count, sample_files
from lakeray.sample.basket import refunded_order, refunds_of
from lakeray.sample.draw import scatter, spread_id
from lakeray.sample.schedule import Population, Shape
from lakeray.sample.world import World
from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, StreamName

SETTINGS = SampleSettings(days=2, files_per_day=6, rows_per_file=80)
METADATA = {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id"}


def content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in METADATA}


FIELDS = (
    *(
        "id BIGINT",
        "updated_at TIMESTAMP WITH TIME ZONE",
        "created_at TIMESTAMP",
        "email VARCHAR",
        "price DECIMAL(10,2)",
    ),
    *("day DATE", "at TIME", "tags VARCHAR[]", "place STRUCT(city VARCHAR, n INTEGER)", "labels MAP(VARCHAR, DOUBLE)"),
    *("ok BOOLEAN", "extra JSON", "raw BLOB", "uid UUID", "small TINYINT", "nothing NULL"),
)


def generic(*, key: tuple[str, ...] = ("id",), cursor: str | None = "updated_at") -> SampleStream:
    pairs = [field.split(" ", 1) for field in FIELDS]
    columns = tuple(Column(name=name, type=parse_type(kind)) for name, kind in pairs)
    return SampleStream(name=StreamName("crm", "leads"), fields=columns, primary_key=key, cursor_field=cursor)


def test_any_other_stream_gets_every_column_with_key_and_cursor_right() -> None:
    stream = generic()
    rows = [row for file in sample_files(stream, settings=SETTINGS) for row in file.rows()]
    assert rows == [row for file in sample_files(stream, settings=SETTINGS) for row in file.rows()]
    assert all(content(row).keys() == {field.split()[0] for field in FIELDS} for row in rows)
    assert len({row["id"] for row in rows}) == record_count(stream, settings=SETTINGS)
    versions = {(row["id"], row["updated_at"]) for row in rows}
    assert record_count(stream, settings=SETTINGS) < len(versions) < len(rows)
    for name in ("email", "price", "tags", "place", "labels", "ok", "extra"):
        present = sum(row[name] is not None for row in rows)
        assert 0.8 * len(rows) < present < len(rows)


@pytest.mark.parametrize(
    ("key", "cursor"),
    [((), None), ((), "updated_at"), (("id", "email"), None), (("updated_at",), "updated_at"), (("uid",), "day")],
)
def test_any_keys_and_cursor_will_do(key: tuple[str, ...], cursor: str | None) -> None:
    stream = generic(key=key, cursor=cursor)
    rows = [row for file in sample_files(stream, settings=SETTINGS) for row in file.rows()]
    assert all(row[name] is not None for row in rows for name in (*key, *([cursor] if cursor else [])))
    if key:
        keys = {tuple(row[name] for name in key) for row in rows}
        assert len(keys) == record_count(stream, settings=SETTINGS)


@given(
    rows=st.integers(1, 300),
    files=st.integers(1, 40),
    divisor=st.integers(1, 20),
    percent=st.sampled_from([0, 10, 20]),
    moving=st.booleans(),
    capacity=st.none() | st.integers(1, 30),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_every_record_is_introduced_once_and_before_it_is_updated(
    rows: int, files: int, divisor: int, percent: int, moving: bool, capacity: int | None
) -> None:
    shape = Shape(rows_divisor=divisor, update_percent=percent, moving_cursor=moving, capacity=capacity)
    settings = SampleSettings(days=files, files_per_day=1, rows_per_file=rows)
    population = Population.of(shape, settings=settings)
    known = 0
    for file in range(files):
        emissions = list(population.emissions(file))
        assert 0 < len(emissions) <= max(population.rows, 1) + population.resent
        fresh = [emission.record for emission in emissions if emission.version == file]
        assert len(set(fresh)) == len(fresh)
        new = [record for record in fresh if record >= known]
        assert new == list(range(known, known + len(new)))
        known += len(new)
        assert all(0 <= record < known and version <= file for record, version in emissions)
        assert all(population.introduced_in(record) <= version for record, version in emissions)
    assert known == population.first(files)


@given(rows=st.integers(1, 400), per_day=st.integers(1, 12))
@hypothesis_settings(max_examples=30, deadline=None)
def test_an_orders_refunds_and_a_refunds_order_agree(rows: int, per_day: int) -> None:
    world = World.of(SampleSettings(days=2, files_per_day=per_day, rows_per_file=rows))
    refunds = world.populations["shopify/order_refunds"].first(world.settings.files)
    orders = world.populations["shopify/orders"].first(world.settings.files)
    by_order = {refund: refunded_order(world, refund=refund) for refund in range(refunds)}
    for refund, order in by_order.items():
        assert 0 <= order < orders
        assert refund in refunds_of(world, order=order)
    for order in range(orders):
        assert all(refunded_order(world, refund=refund) == order for refund in refunds_of(world, order=order))


def test_ids_do_not_repeat() -> None:
    for digits, base in ((6, 36), (11, 62), (23, 32)):
        assert len({spread_id(number, digits=digits, base=base) for number in range(20_000)}) == 20_000
    fractions = [scatter(record, version) for record in range(100) for version in range(100)]
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert 0.45 < sum(fractions) / len(fractions) < 0.55


@pytest.mark.parametrize("name", ["days", "files_per_day", "rows_per_file", "syncs_per_day"])
def test_settings_below_one_are_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        SampleSettings(**{name: 0})
