"""The types of a file's columns are those that DuckDB reads, and what it must not see is refused before it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet.arrow_types import arrow_type
from lakeray.adapters.parquet.schemas import KnownSchemas, RefusedSchema
from lakeray.values.column_types import ColumnType, Scalar, parse_type
from lakeray.values.model import Column, RejectReason
from tests.robustness.corpus import changed, split
from tests.robustness.thrift import I32, STRUCT, TRUE
from tests.robustness.thrift import Struct as Thrift

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
]
TIMES = [pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns"), pa.duration("us")]
COPIED = [pa.float16(), pa.time32("s"), pa.time32("ms"), pa.time64("ns")]
"""What DuckLake takes for another type than DuckDB reads."""
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


def columns(path: Path) -> tuple[Column, ...]:
    """The columns of a file, by its footer."""
    return columns_of(path.read_bytes())


def columns_of(content: bytes) -> tuple[Column, ...]:
    metadata = pq.read_metadata(pa.BufferReader(content)).metadata
    return KnownSchemas().of(split(content)[1] + content[-8:], metadata).columns


@pytest.mark.parametrize("arrow", INTEGERS + NUMBERS + TIMES + TIMESTAMPS + TEXTS + NESTED, ids=str)
@pytest.mark.parametrize("store_schema", [True, False], ids=["arrow_schema", "plain"])
def test_a_column_has_the_type_that_duckdb_reads(tmp_path: Path, arrow: pa.DataType, store_schema: bool) -> None:
    path = write(tmp_path / "x.parquet", arrow=arrow, store_schema=store_schema)
    assert columns(path) == (Column(name="c", type=described(path), copied=arrow in COPIED),)


@pytest.mark.parametrize("nested", [pa.list_(COPIED[0]), pa.struct([("a", pa.int64()), ("b", COPIED[1])])], ids=str)
def test_a_column_is_copied_for_what_is_inside_of_it_and_for_nothing_beside(
    tmp_path: Path, nested: pa.DataType
) -> None:
    made = pa.table({"a": pa.nulls(1, pa.list_(pa.int64())), "c": pa.nulls(1, nested), "d": pa.nulls(1, pa.int64())})
    pq.write_table(made, tmp_path / "x.parquet")
    assert [column.copied for column in columns(tmp_path / "x.parquet")] == [False, True, False]


@pytest.mark.parametrize("text", [*SCALARS, "TIMESTAMP WITH TIME ZONE", "MAP(VARCHAR, BIGINT)", "BIGINT[][]"])
def test_a_written_column_type_is_read_as_itself(tmp_path: Path, text: str) -> None:
    kind = parse_type(f'STRUCT("a b" {text}, b {text}[])')
    path = write(tmp_path / "x.parquet", arrow=arrow_type(kind))
    assert columns(path) == (Column(name="c", type=kind),)


def test_json_is_written_as_text() -> None:
    assert arrow_type(Scalar("JSON")) == pa.string()


def test_an_untyped_column_is_null_also_inside_others(tmp_path: Path) -> None:
    assert arrow_type(Scalar("NULL")) == pa.null()
    nested = pa.struct([("a", pa.int64()), ("n", pa.null()), ("l", pa.list_(pa.null()))])
    (column,) = columns(write(tmp_path / "x.parquet", arrow=nested))
    assert str(column.type) == 'STRUCT("a" BIGINT, "n" NULL, "l" NULL[])'
    assert columns(write(tmp_path / "y.parquet", arrow=pa.null()))[0].type == Scalar("NULL")


@pytest.mark.parametrize("unit", ["TIMESTAMP_S", "TIMESTAMP_MS"])
def test_coarse_timestamps_are_read_as_timestamp(tmp_path: Path, unit: str) -> None:
    path = write(tmp_path / "x.parquet", arrow=arrow_type(Scalar(unit)))
    assert columns(path)[0].type == Scalar("TIMESTAMP")


def test_int96_and_times_in_utc_are_read_as_duckdb_does(tmp_path: Path) -> None:
    nested = pa.struct([("first", pa.list_(pa.int64())), ("at", pa.timestamp("ns")), ("day", pa.time64("us"))])
    options = {"use_deprecated_int96_timestamps": True, "write_time_adjusted_to_utc": True}
    path = write(tmp_path / "x.parquet", arrow=nested, **options)
    assert columns(path)[0].type == parse_type('STRUCT("first" BIGINT[], at TIMESTAMP, day TIME WITH TIME ZONE)')


def edited(column: pa.Array, *, element: int = 1, **fields: Any) -> bytes:
    """A file whose schema element has other fields; a number is Thrift's, None leaves the field out."""
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"c": column}), out, store_schema=False)

    def change(meta: Thrift) -> None:
        found = meta[2][1].items[element]
        for name, value in fields.items():
            found.pop(int(name[1:]), None)
            if value is not None:
                found[int(name[1:])] = value
        meta[2][1].items[element] = {key: found[key] for key in sorted(found)}

    return changed(out.getvalue().to_pybytes(), change)


def test_lists_of_older_writers_and_texts_of_other_kinds_are_what_duckdb_reads() -> None:
    enum = edited(pa.array(["a"]), f6=(I32, 4), f10=(STRUCT, {4: (STRUCT, {})}))
    plain = edited(pa.array(["a"]), f6=None, f10=None)
    unannotated = edited(pa.array([[1]]), f6=None, f10=None)
    contents = {"enum": enum, "plain": plain, "unannotated": unannotated}
    assert {name: str(columns_of(content)[0].type) for name, content in contents.items()} == {
        "enum": "VARCHAR",
        "plain": "BLOB",
        "unannotated": 'STRUCT("list" BIGINT[])',
    }


def decimal(precision: int, scale: int) -> bytes:
    logical = (STRUCT, {5: (STRUCT, {1: (I32, scale), 2: (I32, precision)})})
    return edited(pa.array([None], pa.decimal128(20, 2)), f7=(I32, scale), f8=(I32, precision), f10=logical)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (decimal(39, 2), RejectReason.UNSUPPORTED_TYPE),
        (decimal(2000, 2), RejectReason.UNSUPPORTED_TYPE),
        (edited(pa.array(["a"]), f6=(I32, 20), f10=(STRUCT, {13: (STRUCT, {})})), RejectReason.UNSUPPORTED_TYPE),
        (decimal(0, 0), RejectReason.CORRUPT),
        (decimal(5, 6), RejectReason.CORRUPT),
        (decimal(5, -1), RejectReason.CORRUPT),
        (edited(pa.array(["a"]), f6=None, f10=(STRUCT, {11: (STRUCT, {})})), RejectReason.CORRUPT),
        (edited(pa.array([1]), f10=(STRUCT, {7: (STRUCT, {1: (TRUE, True)})})), RejectReason.CORRUPT),
    ],
)
def test_a_schema_that_duckdb_must_not_see_or_cannot_read_is_refused(content: bytes, reason: RejectReason) -> None:
    with pytest.raises(RefusedSchema) as refused:
        KnownSchemas().of(split(content)[1] + content[-8:], None)
    assert refused.value.reason is reason, refused.value.detail


def test_a_decimal_inside_of_a_list_is_refused_by_its_name() -> None:
    nested = pa.struct([("amounts", pa.list_(pa.decimal256(60, 2)))])
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"c": pa.nulls(1, nested)}), out)
    with pytest.raises(RefusedSchema, match=r"column c\.amounts\.list\.element: .* at most 38 digits, found 60"):
        columns_of(out.getvalue().to_pybytes())


def test_after_an_internal_error_duckdb_is_asked_anew(tmp_path: Path) -> None:
    broken = edited(pa.array([1]), element=0, f5=(I32, 2))
    with pytest.raises(ValueError):
        KnownSchemas().of(split(broken)[1] + broken[-8:], None)
    assert columns(write(tmp_path / "x.parquet", arrow=pa.int64()))[0].type == Scalar("BIGINT")


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(ValueError, match="HUGEINT"):
        arrow_type(Scalar("HUGEINT"))
