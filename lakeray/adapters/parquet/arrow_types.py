"""Arrow types as the types that DuckDB reads from such a Parquet file, and back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct
from lakeray.values.model import Column

_MAX_DECIMAL = 38
"""DuckDB's widest DECIMAL; it reads anything wider as DOUBLE."""

_MAX_KNOWN = 8
"""Schemas that are kept for comparison; each keeps its file's footer, some megabytes at most."""
_MAX_NAME = 1_000
"""Characters of a column's or a field's name (inclusive)."""
_MAX_LEVELS = 16
"""How deep types are nested at most (inclusive). DuckDB takes 2ⁿ steps for n lists in each other: for 45 it hangs."""

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
_FROM_ARROW: dict[int, str] = {
    pa.bool_().id: "BOOLEAN",
    pa.int8().id: "TINYINT",
    pa.int16().id: "SMALLINT",
    pa.int32().id: "INTEGER",
    pa.int64().id: "BIGINT",
    pa.uint8().id: "UTINYINT",
    pa.uint16().id: "USMALLINT",
    pa.uint32().id: "UINTEGER",
    pa.uint64().id: "UBIGINT",
    pa.float16().id: "FLOAT",
    pa.float32().id: "FLOAT",
    pa.float64().id: "DOUBLE",
    pa.date32().id: "DATE",
    pa.date64().id: "DATE",
    pa.time32("ms").id: "TIME",
    pa.time64("us").id: "TIME",
    pa.string().id: "VARCHAR",
    pa.large_string().id: "VARCHAR",
    pa.string_view().id: "VARCHAR",
    pa.binary().id: "BLOB",
    pa.large_binary().id: "BLOB",
    pa.binary(1).id: "BLOB",
    pa.binary_view().id: "BLOB",
    pa.duration("us").id: "BIGINT",
    pa.null().id: "NULL",
}
_EXTENSIONS = {"arrow.json": "JSON", "arrow.uuid": "UUID"}

_Leaf = Callable[[pa.DataType], ColumnType]


def arrow_type(kind: ColumnType) -> pa.DataType:
    """The Arrow type to write ``kind`` with. JSON is written as text, which is what both sides store.

    Not always the inverse of ``column_type``: Parquet has no seconds, and DuckDB reads s, ms and us as ``TIMESTAMP``.

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


def column_type(arrow: pa.DataType) -> ColumnType:
    """The type as which DuckDB reads a Parquet column that Arrow reads as ``arrow``; ``NULL`` for an untyped one.

    Two things are lost in Arrow and need ``file_columns``: INT96 timestamps, and times adjusted to UTC (parquet-avro
    writes such).

    Raises:
        ValueError: Parquet cannot hold ``arrow``; the message names it.
    """
    return _convert(arrow, leaf=_leaf)


def file_columns(schema: pq.ParquetSchema) -> tuple[Column, ...]:
    """The columns of a Parquet file with the types DuckDB reads, from its footer alone, in the file's order.

    Raises:
        TooDeepError: a column is nested too deep.
        ValueError: a type that DuckDB has no name for, or a name that cannot be a column's.
    """
    leaf = _physical_leaf(schema)
    return tuple(
        Column(name=_checked(field.name), type=_convert(field.type, leaf=leaf)) for field in schema.to_arrow_schema()
    )


class TooDeepError(ValueError):
    """A column is nested deeper than can be worked with."""


class KnownSchemas:
    """``file_columns`` with a memory of a few schemas: most files of a batch have the same.

    Two files have the same columns when Arrow reads the same schema from both and their Parquet leaves are equal;
    either alone is not enough: Parquet's comparison ignores the names of structs, Arrow's types lose INT96 and JSON.
    Equal schemas give the very same tuple, so that what depends on it can be known by identity.
    """

    def __init__(self) -> None:
        self._known: deque[tuple[pq.ParquetSchema, pa.Schema, tuple[Column, ...]]] = deque(maxlen=_MAX_KNOWN)

        self._written: deque[tuple[bytes, Mapping[bytes, bytes] | None, tuple[Column, ...]]] = deque(maxlen=_MAX_KNOWN)

    def of_bytes(self, footer: bytes, extra: Mapping[bytes, bytes] | None) -> tuple[Column, ...] | None:
        """The columns of a file whose footer begins with a schema that was remembered; None for another schema.

        Args:
            extra: the footer's key-value metadata, where Arrow's writers keep types of theirs.
        """
        for written, of_writer, columns in tuple(self._written):
            if footer.startswith(written) and of_writer == extra:
                return columns
        return None

    def remember(self, written: bytes, extra: Mapping[bytes, bytes] | None, columns: tuple[Column, ...]) -> None:
        """Remember a schema's columns by its bytes: the footer up to the schema's end."""
        self._written.append((written, extra, columns))

    def columns(self, schema: pq.ParquetSchema, *, arrow: pa.Schema) -> tuple[Column, ...]:
        """The columns of a file. Threads may call it at once; two that meet a schema first both convert it.

        Args:
            arrow: ``schema.to_arrow_schema()``, which whoever read the footer has already.
        """
        for parquet, known, columns in tuple(self._known):
            if known.equals(arrow) and parquet.equals(schema):
                return columns
        columns = file_columns(schema)
        self._known.append((schema, arrow, columns))
        return columns


def _arrow_scalar(name: str) -> pa.DataType:
    if name in _TO_ARROW:
        return _TO_ARROW[name]
    if name.startswith("DECIMAL("):
        precision, scale = name.removeprefix("DECIMAL(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    raise ValueError(f"no Arrow type for the column type {name}")


def _convert(arrow: pa.DataType, *, leaf: _Leaf, level: int = 0) -> ColumnType:
    if level > _MAX_LEVELS:
        raise TooDeepError(f"more than {_MAX_LEVELS} levels")
    inner = partial(_convert, leaf=leaf, level=level + 1)
    if pa.types.is_dictionary(arrow):
        return inner(arrow.value_type)
    if pa.types.is_struct(arrow):
        parts = (arrow.field(index) for index in range(arrow.num_fields))
        return Struct(tuple((_checked(part.name), inner(part.type)) for part in parts))
    if pa.types.is_map(arrow):
        return MapOf(inner(arrow.key_type), inner(arrow.item_type))
    if _is_list(arrow):
        return ListOf(inner(arrow.value_type))
    return leaf(arrow)


def _checked(name: str) -> str:
    if not 0 < len(name) <= _MAX_NAME or "\0" in name:
        raise ValueError(f"a column's name of {len(name)} characters: {name[:20]!r}")
    return name


def _is_list(arrow: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(arrow)
        or types.is_large_list(arrow)
        or types.is_fixed_size_list(arrow)
        or types.is_list_view(arrow)
        or types.is_large_list_view(arrow)
    )


def _leaf(arrow: pa.DataType) -> ColumnType:
    if pa.types.is_timestamp(arrow):
        if arrow.tz is not None:
            return Scalar("TIMESTAMP WITH TIME ZONE")
        return Scalar("TIMESTAMP_NS" if arrow.unit == "ns" else "TIMESTAMP")
    if pa.types.is_decimal(arrow):
        wide = arrow.precision > _MAX_DECIMAL
        return Scalar("DOUBLE" if wide else f"DECIMAL({arrow.precision},{arrow.scale})")
    if isinstance(arrow, pa.BaseExtensionType):
        name = _EXTENSIONS.get(arrow.extension_name)
        return Scalar(name) if name else column_type(arrow.storage_type)
    if arrow.id in _FROM_ARROW:
        return Scalar(_FROM_ARROW[arrow.id])
    raise ValueError(f"no column type for the Arrow type {arrow}")


def _physical_leaf(schema: pq.ParquetSchema) -> _Leaf:
    """A leaf conversion that looks at the Parquet leaves too: Arrow's leaves come in the same order."""
    position: Iterator[int] = count()

    def leaf(arrow: pa.DataType) -> ColumnType:
        column = schema.column(next(position))
        if column.physical_type == "INT96":
            return Scalar("TIMESTAMP")
        match column.logical_type.type:
            case "NULL" if column.physical_type != "INT32":
                # Writers keep columns without a value as INT32. DuckDB's process ends at statistics of any other.
                raise ValueError(f"an untyped column kept as {column.physical_type}")
            case "JSON" | "UUID" as name:
                return Scalar(name)
            case "TIME" if json.loads(column.logical_type.to_json())["isAdjustedToUTC"]:
                return Scalar("TIME WITH TIME ZONE")
        return _leaf(arrow)

    return leaf
