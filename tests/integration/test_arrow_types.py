"""The types we derive from a footer are the ones DuckDB sees: checked against its own DESCRIBE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet.arrow_types import arrow_type, column_type, file_columns
from lakeray.values.column_types import ColumnType, Scalar, parse_type
from lakeray.values.model import Column

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
NUMBERS = [
    pa.float16(),
    pa.float32(),
    pa.float64(),
    pa.decimal32(5, 2),
    pa.decimal64(15, 2),
    pa.decimal128(10, 2),
    pa.decimal128(38, 9),
    pa.decimal256(20, 2),
    pa.decimal256(50, 2),
]
TIMES = [pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.duration("us")]
TIMESTAMPS = [pa.timestamp(unit, tz) for unit in ("s", "ms", "us", "ns") for tz in (None, "UTC", "Europe/Berlin")]
TEXTS = [
    pa.bool_(),
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary(5),
    pa.binary_view(),
    pa.json_(),
    pa.uuid(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.int64()),
]
NESTED = [
    pa.struct([("a", pa.int64()), ("b-c", pa.string()), ('q"x', pa.struct([("Deep", pa.timestamp("us", "UTC"))]))]),
    pa.list_(pa.int64()),
    pa.large_list(pa.string()),
    pa.list_(pa.int64(), 2),
    pa.list_view(pa.int64()),
    pa.list_(pa.list_(pa.struct([("amount", pa.float64()), ("tags", pa.list_(pa.string()))]))),
    pa.map_(pa.string(), pa.list_(pa.decimal128(9, 3))),
]
SCALARS = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "VARCHAR",
    "BLOB",
    "UUID",
    "DECIMAL(10,2)",
    "DECIMAL(38,0)",
]


def write(path: Path, *, arrow: pa.DataType, **options: Any) -> Path:
    """A Parquet file with one column ``c`` of the type ``arrow``."""
    pq.write_table(pa.table({"c": pa.nulls(1, arrow)}), path, **options)
    return path


def described(path: Path) -> ColumnType:
    """The type of the file's first column as DuckDB reads it."""
    rows = duckdb.sql(f"DESCRIBE SELECT * FROM read_parquet('{path}')").fetchall()
    return parse_type(rows[0][1])


@pytest.mark.parametrize("arrow", INTEGERS + NUMBERS + TIMES + TIMESTAMPS + TEXTS + NESTED, ids=str)
@pytest.mark.parametrize("store_schema", [True, False], ids=["arrow_schema", "plain"])
def test_column_type_is_what_duckdb_describes(tmp_path: Path, arrow: pa.DataType, store_schema: bool) -> None:
    path = write(tmp_path / "x.parquet", arrow=arrow, store_schema=store_schema)
    read = pq.read_schema(path).field(0).type
    assert column_type(read) == described(path)
    if store_schema:
        assert column_type(arrow) == described(path)
    assert file_columns(pq.ParquetFile(path).schema) == (Column(name="c", type=described(path)),)


@pytest.mark.parametrize("text", [*SCALARS, "TIMESTAMP WITH TIME ZONE", "MAP(VARCHAR, BIGINT)", "BIGINT[][]"])
def test_a_written_column_type_is_described_as_itself(tmp_path: Path, text: str) -> None:
    kind = parse_type(f'STRUCT("a b" {text}, b {text}[])')
    path = write(tmp_path / "x.parquet", arrow=arrow_type(kind))
    assert described(path) == kind
    assert column_type(arrow_type(kind)) == kind


def test_json_is_written_as_text() -> None:
    assert arrow_type(Scalar("JSON")) == pa.string()


def test_an_untyped_column_is_null() -> None:
    assert column_type(pa.null()) == Scalar("NULL")
    assert arrow_type(Scalar("NULL")) == pa.null()


@pytest.mark.parametrize("unit", ["TIMESTAMP_S", "TIMESTAMP_MS"])
def test_coarse_timestamps_are_described_as_timestamp(tmp_path: Path, unit: str) -> None:
    path = write(tmp_path / "x.parquet", arrow=arrow_type(Scalar(unit)))
    assert described(path) == Scalar("TIMESTAMP") == column_type(arrow_type(Scalar(unit)))


def test_int96_and_adjusted_times_need_the_parquet_schema(tmp_path: Path) -> None:
    nested = pa.struct([("first", pa.list_(pa.int64())), ("at", pa.timestamp("ns")), ("day", pa.time64("us"))])
    options = {"use_deprecated_int96_timestamps": True, "write_time_adjusted_to_utc": True}
    path = write(tmp_path / "x.parquet", arrow=nested, **options)
    expected = parse_type('STRUCT("first" BIGINT[], at TIMESTAMP, day TIME WITH TIME ZONE)')
    assert described(path) == expected
    assert file_columns(pq.ParquetFile(path).schema)[0].type == expected


def test_what_cannot_be_converted_is_named() -> None:
    with pytest.raises(ValueError, match="month_day_nano_interval"):
        column_type(pa.month_day_nano_interval())
    with pytest.raises(ValueError, match="HUGEINT"):
        arrow_type(Scalar("HUGEINT"))
