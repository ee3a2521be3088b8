"""What the statistics of several files say together of one column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from lakeray.adapters.ducklake import sql

_AS_DUCKDB = {
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamp_s": "TIMESTAMP_S",
    "timestamp_ms": "TIMESTAMP_MS",
    "timestamp_ns": "TIMESTAMP_NS",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
"""DuckLake's names of the types whose bounds are compared as values; all others are compared as text."""


_DECIMAL = re.compile(r"decimal\(\d+,\d+\)")


ADDED = pa.schema(
    [
        ("column_id", pa.int64()),
        ("value_count", pa.int64()),
        ("null_count", pa.int64()),
        ("min_value", pa.string()),
        ("max_value", pa.string()),
    ]
)
"""What is known of rows that are added: one row for each file and column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What all the added rows together say of one column."""

    has_null: bool | None
    bounded: bool
    """Whether every value lies within the bounds; also true when there is no value."""
    min_value: str | None
    max_value: str | None


def summed_up(
    added: pa.Table, *, types: Mapping[int, str], connection: duckdb.DuckDBPyConnection
) -> dict[int, Summary]:
    """Sum up rows of ``ADDED`` by column."""
    if not added.num_rows:
        return {}
    kinds = pc.dictionary_encode(added.column("column_id")).combine_chunks()
    present = [as_duckdb(types[column_id]) for column_id in kinds.dictionary.to_pylist()]
    number_of = {kind: number for number, kind in enumerate(dict.fromkeys(present))}
    of_column = pa.array([number_of[kind] for kind in present], pa.int32())
    one = sql.load("ducklake/sum_statistics")
    statement = " UNION ALL ".join(
        one.replace("$type", kind).replace("$kind", str(number)) for kind, number in number_of.items()
    )
    with connection.cursor() as cursor:
        cursor.register("added_statistics", added.append_column("kind", of_column.take(kinds.indices)))
        # No bound values: with one, DuckDB's client looks for pandas at each call, which takes longer than the query.
        rows = cursor.execute(statement).fetchall()
        cursor.unregister("added_statistics")
    return {
        column_id: Summary(has_null=has_null, bounded=bounded, min_value=low, max_value=high)
        for column_id, has_null, bounded, low, high in rows
    }


def as_duckdb(kind: str) -> str:
    """The type as which bounds are compared."""
    if _DECIMAL.fullmatch(kind):
        return kind.upper()
    return _AS_DUCKDB.get(kind, "VARCHAR")


def added_rows(rows: Sequence[Sequence[object]]) -> pa.Table:
    """Rows of ``ADDED``."""
    columns: list[Sequence[object]] = list(zip(*rows, strict=True)) if rows else [()] * len(ADDED)
    return pa.table(
        {field.name: pa.array(values, field.type) for field, values in zip(ADDED, columns, strict=True)}, schema=ADDED
    )
