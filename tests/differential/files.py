"""Parquet as Hypothesis makes it: every type that Airbyte writes, by two writers, with and without statistics."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, Contract

LONG = 5_000
"""Bytes of a text beyond the writers' limits for statistics."""
_INTEGERS = st.one_of(st.integers(-3, 3), st.sampled_from([-(2**63), 2**63 - 1, 2**31, 127, 128]))
_SMALL = st.integers(-100, 100)
_FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, float("nan"), float("inf"), float("-inf"), 1e300, -1e300, 5e-324, 0.1, 1 / 3]),
    st.floats(),
)
_TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "b", "Z", "é", "日本", "\U0001f600", "a\0b", "\0", "\n\\.\n", '"', ",", "\\N", "\t", "NULL"]
    ),
    st.text(max_size=4),
    st.sampled_from(["x" * 255, "x" * 256, "x" * 257, "ÿ" * LONG, "y" * 4096]),
)
_JSON = st.sampled_from(['{"a": 1}', "[]", "null", '{"a": "\\u0000"}', '"' + "k" * LONG + '"'])
_BYTES = st.one_of(st.binary(max_size=4), st.sampled_from([b"", b"\xff\xfe", b"\x00", b"z" * LONG]))
_DATES = st.one_of(st.dates(), st.sampled_from([date(1, 1, 1), date(9999, 12, 31), date(1970, 1, 1)]))
_TIMES = st.one_of(st.times(), st.sampled_from([time(0), time(23, 59, 59, 999999)]))
_plain = datetime  # without a zone, as a column of type TIMESTAMP has it
_MOMENTS = st.one_of(
    st.datetimes(min_value=_plain(1700, 1, 1), max_value=_plain(2200, 1, 1)),
    st.sampled_from([_plain(1970, 1, 1), _plain(1969, 12, 31, 23, 59, 59, 999999), _plain(2026, 1, 1)]),
)
_UNITS = ("ms", "us", "ns")


@dataclass(frozen=True, slots=True)
class Type:
    """A landing column's type, and how files may have it."""

    landing: str
    arrow: tuple[pa.DataType, ...]
    values: st.SearchStrategy[Any]


def _decimal(precision: int, scale: int) -> Type:
    most = 10**precision - 1
    values = st.one_of(st.integers(-most, most), st.sampled_from([0, most, -most])).map(
        lambda number: Decimal(number).scaleb(-scale) if precision <= 28 else _scaled(number, scale)
    )
    return Type(f"DECIMAL({precision},{scale})", (pa.decimal128(precision, scale),), values)


def _scaled(number: int, scale: int) -> Decimal:
    return Decimal((int(number < 0), tuple(int(digit) for digit in str(abs(number))), -scale))


_STRUCT = pa.struct([("a", pa.string()), ("b", pa.int64()), ("c", pa.struct([("d", pa.float64())]))])
_LESS = pa.struct([("b", pa.int32()), ("A", pa.string()), ("unknown", pa.string())])
_STRUCTS = st.fixed_dictionaries(
    {},
    optional={
        "a": st.none() | _TEXTS,
        "b": st.none() | _SMALL,
        "c": st.none() | st.fixed_dictionaries({}, optional={"d": st.none() | _FLOATS}),
    },
)
TYPES = (
    Type("BIGINT", (pa.int64(),), _INTEGERS),
    Type("BIGINT", (pa.int64(), pa.int32(), pa.int16(), pa.int8()), _SMALL),
    Type("BIGINT", (pa.uint32(), pa.uint8(), pa.int64()), st.integers(0, 255)),
    Type("DOUBLE", (pa.float64(),), _FLOATS),
    Type("VARCHAR", (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())), _TEXTS),
    Type("VARCHAR", (pa.string(),), _JSON),
    Type("BOOLEAN", (pa.bool_(),), st.booleans()),
    Type("DATE", (pa.date32(),), _DATES),
    Type("TIME", (pa.time64("us"),), _TIMES),
    Type("TIMESTAMP WITH TIME ZONE", tuple(pa.timestamp(u, tz="UTC") for u in _UNITS), _MOMENTS),
    Type("TIMESTAMP", tuple(pa.timestamp(u) for u in _UNITS[:2]), _MOMENTS),
    Type("TIMESTAMP_NS", (pa.timestamp("ns"),), _MOMENTS),
    _decimal(4, 2),
    _decimal(9, 0),
    _decimal(18, 4),
    _decimal(38, 10),
    Type("BLOB", (pa.binary(),), _BYTES),
    Type("STRUCT(a VARCHAR, b BIGINT, c STRUCT(d DOUBLE))", (_STRUCT,), _STRUCTS),
    Type("STRUCT(a VARCHAR, b BIGINT, c STRUCT(d DOUBLE))", (_STRUCT, _LESS), st.just({})),
    Type("VARCHAR[]", (pa.list_(pa.string()),), st.lists(st.none() | _TEXTS, max_size=3)),
    Type(
        "BIGINT[][]", (pa.list_(pa.list_(pa.int64())),), st.lists(st.none() | st.lists(_SMALL, max_size=2), max_size=2)
    ),
    Type(
        "STRUCT(a VARCHAR, b BIGINT)[]",
        (pa.list_(pa.struct([("a", pa.string()), ("b", pa.int64())])),),
        st.lists(st.none() | st.fixed_dictionaries({"a": st.none() | _TEXTS, "b": st.none() | _SMALL}), max_size=2),
    ),
    Type(
        "MAP(VARCHAR, BIGINT)",
        (pa.map_(pa.string(), pa.int64()),),
        st.dictionaries(st.sampled_from(["k", "é", ""]), st.none() | _SMALL, max_size=2).map(lambda d: list(d.items())),
    ),
)
NAMES = ("plain", "Mixed", "with.dot", 'with"quote', "ünïcode", "it's", "select", "a b", "x/y", "%25", "a")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Case:
    """A landing table and the batches of files that it gets."""

    contract: Contract
    batches: tuple[tuple[bytes, ...], ...] = field(repr=False)


@st.composite
def cases(draw: st.DrawFn, *, columns: int = 4, rows: int = 4, files: int = 3, batches: int = 2) -> Case:
    """A landing table, and files that mostly fit it. The numbers are the most of each."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=columns, unique_by=str.lower))
    types = {name: draw(st.sampled_from(TYPES)) for name in names}
    contract = Contract(
        columns=tuple(Column(name=name, type=parse_type(kind.landing)) for name, kind in types.items()), primary_key=()
    )
    given = draw(st.lists(st.integers(1, files), min_size=1, max_size=batches))
    return Case(contract=contract, batches=tuple(tuple(draw(_file(types, rows=rows)) for _ in range(n)) for n in given))


@st.composite
def _file(draw: st.DrawFn, types: dict[str, Type], *, rows: int) -> bytes:
    count = draw(st.integers(0, rows))
    present = draw(st.lists(st.sampled_from(sorted(types)), min_size=1, max_size=len(types), unique=True))
    columns: dict[str, pa.Array] = {"_airbyte_raw_id": pa.array([str(n) for n in range(count)], pa.string())}
    for name in present:
        kind = draw(st.sampled_from(types[name].arrow))
        values = st.none() if draw(st.integers(0, 5)) == 0 else st.none() | types[name].values
        given = [draw(values) for _ in range(count)]
        other = name.upper() if name.isascii() else name  # DuckLake takes only ASCII letters for the same
        columns[draw(st.sampled_from([name, name, other]))] = _array(given, kind)
    if draw(st.booleans()):
        columns["extra"] = pa.array([f"e{number}" for number in range(count)], pa.string())
    return draw(st.sampled_from(WRITERS))(pa.table(columns))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(kind):
        ticks = {"ms": 1000, "us": 1, "ns": 1}[kind.unit]
        values = [
            None if value is None else value.replace(microsecond=value.microsecond // ticks * ticks) for value in values
        ]
        if kind.tz is not None:
            values = [None if value is None else value.replace(tzinfo=UTC) for value in values]
    return pa.array(values, kind)


def _by_pyarrow(**options: Any) -> Callable[[pa.Table], bytes]:
    def write(table: pa.Table) -> bytes:
        out = io.BytesIO()
        pq.write_table(table, out, **options)
        return out.getvalue()

    return write


def by_duckdb(table: pa.Table) -> bytes:
    """The table as DuckDB writes it."""
    out = Path(_FOLDER) / "by_duckdb.parquet"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("written", table)
        connection.execute(f"COPY written TO '{out}' (FORMAT parquet, ROW_GROUP_SIZE 2048)")
    return out.read_bytes()


def into(folder: Path) -> None:
    """Where DuckDB writes its files."""
    global _FOLDER
    _FOLDER = str(folder)


_FOLDER = "."
WRITERS: tuple[Callable[[pa.Table], bytes], ...] = (
    _by_pyarrow(),
    _by_pyarrow(),
    _by_pyarrow(row_group_size=2),
    _by_pyarrow(write_statistics=False),
    _by_pyarrow(version="1.0", use_dictionary=False, compression="none"),
    by_duckdb,
)
