"""Bounds are never too narrow, whatever the file's type is under the table's: filters find what is there (issue 13).

DuckLake passes over a file, and over a whole table, by the bounds that its catalog keeps. They are compared in the
table's type; a bound that was written as the file's type says it, FLOAT's 0.1 for one, lies beside its value.
"""

from __future__ import annotations

import datetime as dt
import io
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, Contract
from tests.differential.lakes import Twins, WrittenLake, truth

UTC = dt.UTC
DAY = dt.datetime(2026, 1, 1, 0, 0, 0, 1000, UTC)
LATE = dt.datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)
EARLY = dt.datetime(1, 1, 1, tzinfo=UTC)
MOMENTS = [DAY, LATE, EARLY]
SMALL = [1, -7, 100]
PAIRS: dict[str, tuple[str, pa.DataType, list[Any]]] = {
    "float_double": ("DOUBLE", pa.float32(), [0.1, -0.3, 16777216.0]),
    "half_double": ("DOUBLE", pa.float16(), [0.1, -0.3, 1000.5]),
    "double": ("DOUBLE", pa.float64(), [0.1, -1e300, 5e-324]),
    "float": ("FLOAT", pa.float32(), [0.1, -3.4e38, 1e-45]),
    "half_float": ("FLOAT", pa.float16(), [0.1, -0.3, 6.1e-5]),
    "byte_big": ("BIGINT", pa.int8(), SMALL),
    "short_int": ("INTEGER", pa.int16(), SMALL),
    "int_big": ("BIGINT", pa.int32(), [2**31 - 1, -(2**31), 0]),
    "uint_big": ("BIGINT", pa.uint32(), [2**32 - 1, 0, 2**31]),
    "ubyte_short": ("SMALLINT", pa.uint8(), [255, 0, 128]),
    "ushort_uint": ("UINTEGER", pa.uint16(), [65535, 0, 32768]),
    "ubig": ("UBIGINT", pa.uint64(), [2**64 - 1, 0, 2**63]),
    "big": ("BIGINT", pa.int64(), [2**63 - 1, -(2**63), 0]),
    "decimal": ("DECIMAL(9,2)", pa.decimal128(9, 2), [Decimal("0.01"), Decimal("-9999999.99"), Decimal("5.50")]),
    "wide": ("DECIMAL(38,9)", pa.decimal128(38, 9), [Decimal("1e28"), Decimal("-1e28"), Decimal("0.000000001")]),
    "date": ("DATE", pa.date32(), [dt.date(2026, 1, 1), dt.date(1, 1, 1), dt.date(9999, 12, 31)]),
    "millis": ("TIMESTAMP WITH TIME ZONE", pa.timestamp("ms", "UTC"), MOMENTS),
    "micros": ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us", "UTC"), MOMENTS),
    "naive": ("TIMESTAMP", pa.timestamp("us"), MOMENTS),
    "naive_ms": ("TIMESTAMP", pa.timestamp("ms"), MOMENTS),
    "time": ("TIME", pa.time64("us"), [dt.time(0), dt.time(9, 30, 0, 1), dt.time(23, 59, 59, 999999)]),
    "text": ("VARCHAR", pa.string(), ["a", "é" * 100, "\U0010ffff" * 70]),
    "blob": ("BLOB", pa.binary(), [b"\0", b"\xff" * 70, b"a'b\\x41"]),
    "flag": ("BOOLEAN", pa.bool_(), [True, False, True]),
    "uuid": ("UUID", pa.uuid(), [uuid.UUID(int=1), uuid.UUID(int=2**128 - 1), uuid.UUID(int=2**127)]),
    "double_of_int": ("DOUBLE", pa.int64(), [2**53, -(2**53), 1]),
    "zone_of_naive": ("TIMESTAMP WITH TIME ZONE", pa.timestamp("us"), MOMENTS),
}
"""The landing column's type, the file's, and three values of three files."""
OPERATORS = ("=", ">=", "<=")
INSIDE = ("float_double", "float", "half_float", "uint_big", "decimal", "micros", "time", "text", "uuid")
"""Looked at as fields of a struct, too."""
ON_POSTGRES = ("float_double", "half_float", "uint_big", "decimal", "micros", "text", "blob", "double_of_int")
"""Bounds are texts in both catalogs; of the types whose texts are peculiar, one each."""


def contract(names: Sequence[str]) -> Contract:
    """A column of each pair, and all of them again as fields of a struct."""
    types = {name: PAIRS[name][0] for name in names}
    inside = "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in types.items()) + ")"
    columns = {"_airbyte_raw_id": "VARCHAR", **types, "inside": inside}
    return Contract(
        columns=tuple(Column(name=name, type=parse_type(kind)) for name, kind in columns.items()), primary_key=()
    )


def array(kind: pa.DataType, value: Any) -> pa.Array:
    """One value; Arrow makes no UUIDs of its own."""
    if isinstance(kind, pa.UuidType):
        return pa.ExtensionArray.from_storage(kind, pa.array([value.bytes], pa.binary(16)))
    return pa.array([value], kind)


def nested(name: str) -> bool:
    """Whether the pair is taken in inside of a struct: a copy is made of whole columns alone."""
    return not name.endswith(("_of_int", "_of_naive"))


def parquet(names: Sequence[str], number: int) -> bytes:
    out = io.BytesIO()
    columns = {name: array(PAIRS[name][1], PAIRS[name][2][number]) for name in names}
    inner = {name: values for name, values in columns.items() if nested(name)}
    struct = pa.StructArray.from_arrays(list(inner.values()), names=list(inner))
    table = pa.table({"_airbyte_raw_id": [str(number)], **columns, "inside": struct})
    pq.write_table(table, out, data_page_version="2.0")
    return out.getvalue()


def wrong(lake: WrittenLake, landing: str, column: str, kind: str) -> list[str]:
    """Comparisons that find other rows in landing than in the raw files themselves."""
    values = [
        text for (text,) in lake.rows(f"SELECT DISTINCT CAST({column} AS VARCHAR) FROM truth") if text is not None
    ]
    asked = [
        f"{column} {sign} CAST('{text.replace(chr(39), chr(39) * 2)}' AS {kind})"
        for text in values
        for sign in OPERATORS
    ]
    counts = ", ".join(f"(SELECT count(*) FROM $t WHERE {where})" for where in asked)
    found, there = (lake.rows(f"SELECT {counts.replace('$t', table)}")[0] for table in (landing, "truth"))
    return [f"{where}: {a} of {b}" for where, a, b in zip(asked, found, there, strict=True) if a != b]


@pytest.mark.parametrize(
    ("catalog_kind", "names"), [("sqlite", tuple(PAIRS)), ("postgres", ON_POSTGRES)], indirect=["catalog_kind"]
)
def test_filters_find_what_is_in_the_files_for_every_pair_of_types(pair: Twins, names: tuple[str, ...]) -> None:
    terms = contract(names)
    stream = pair.new_stream(terms)
    files = [pair.put(pair.key(stream, f"{number}"), parquet(names, number)) for number in range(3)]
    for batch in [files[:1], files[1:]]:
        for taken in pair.take_in(stream, terms, batch).values():
            assert taken.request is not None and taken.request.rejected == ()
    for name, lake in pair.lakes.items():
        lake.rows("SET TimeZone = 'UTC'")
        truth(lake, stream, [pair.extension.raw.url(file.key) for file in files])
        landing = f"lakehouse.staging.{stream.landing_table}"
        found = [
            text
            for column, kind in ((name, PAIRS[name][0]) for name in names)
            for path in ([column, f"inside.{column}"] if column in INSIDE else [column])
            for text in wrong(lake, landing, path, kind)
        ]
        assert not found, (name, found)
