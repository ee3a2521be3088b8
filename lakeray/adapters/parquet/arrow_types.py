"""The Arrow types that a column's types are written with."""

from __future__ import annotations

import pyarrow as pa

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct

_TO_ARROW: dict[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_S": pa.timestamp("s"),
    "TIMESTAMP_MS": pa.timestamp("ms"),
    "TIMESTAMP_NS": pa.timestamp("ns"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "VARCHAR": pa.string(),
    "JSON": pa.string(),
    "BLOB": pa.binary(),
    "UUID": pa.uuid(),
    "NULL": pa.null(),
}


def arrow_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type to write ``kind`` with. JSON is written as text, which is what both sides store.

    Raises:
        ValueError: no Arrow type holds ``kind``; the message names it.
    """
    match kind:
        case Struct(fields=fields):
            return pa.struct([pa.field(name, arrow_type(part)) for name, part in fields])
        case ListOf(item=item):
            return pa.list_(arrow_type(item))
        case MapOf(key=key, value=value):
            return pa.map_(arrow_type(key), arrow_type(value))
        case Scalar(name=name):
            return _arrow_scalar(name)


def _arrow_scalar(name: str) -> pa.DataType:
    if name in _TO_ARROW:
        return _TO_ARROW[name]
    if name.startswith("DECIMAL("):
        precision, scale = name.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    raise ValueError(f"no Arrow type for the column type {name}")
