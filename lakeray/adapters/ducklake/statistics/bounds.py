"""The bounds of Parquet statistics as the text that DuckLake stores: DuckDB's own, by its own cast."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

_UNITS = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
_WIDTHS = {"INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8, "BOOLEAN": 1}
_NUMBERS = {"INT32": "<i4", "INT64": "<i8", "FLOAT": "<f4", "DOUBLE": "<f8", "BOOLEAN": "u1"}
_DECIMAL_BYTES = 16

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kind:
    """How the bytes of a bound are to be read."""

    physical: str
    """Parquet's type."""
    arrow: pa.DataType
    """What they mean; a string for text."""


def kind_of(column: pq.ColumnSchema) -> Kind | None:
    """The kind of a leaf; None for one whose bounds are left to DuckLake itself."""
    physical = str(column.physical_type)
    logical = json.loads(column.logical_type.to_json())
    arrow = _arrow(physical, logical)
    return None if arrow is None else Kind(physical, arrow)


def _arrow(physical: str, logical: dict[str, object]) -> pa.DataType | None:
    match physical, logical["Type"]:
        case "BYTE_ARRAY", "String" | "JSON":
            return pa.string()
        case "BOOLEAN", "None":
            return pa.bool_()
        case "INT32" | "INT64", "None" | "Int" if logical.get("isSigned", True):
            return pa.int32() if physical == "INT32" else pa.int64()
        case "FLOAT", "None":
            return pa.float32()
        case "DOUBLE", "None":
            return pa.float64()
        case "INT32", "Date":
            return pa.date32()
        case "INT64", "Timestamp":
            return pa.timestamp(_UNITS[str(logical["timeUnit"])], tz="UTC" if logical["isAdjustedToUTC"] else None)
        case "INT64", "Time" if logical["timeUnit"] == "microseconds" and not logical["isAdjustedToUTC"]:
            return pa.time64("us")
        case "INT32" | "INT64" | "FIXED_LEN_BYTE_ARRAY", "Decimal":
            return pa.decimal128(int(str(logical["precision"])), int(str(logical["scale"])))
        case _:
            return None


class Unreadable(ValueError):
    """Some of the bounds are not what their kind says; the numbers of those that are not."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(f"{len(numbers)} bounds")
        self.numbers = numbers


def texts(
    kind: Kind,
    data: bytes,
    at: Numbers,
    lengths: Numbers,
    *,
    connection: duckdb.DuckDBPyConnection,
) -> pa.Array:
    """The bounds as DuckDB writes them.

    Args:
        at: where each bound begins in ``data``.
        lengths: bytes of each.

    Raises:
        Unreadable: a bound has another length, is no text, or is a number without an order (NaN).
    """
    if pa.types.is_string(kind.arrow):
        return _strings(data, at, lengths)
    wanted = _WIDTHS.get(kind.physical)
    if wanted is not None and (lengths != wanted).any():
        raise Unreadable(np.flatnonzero(lengths != wanted).tolist())
    values = _decimals(kind, data, at, lengths) if pa.types.is_decimal(kind.arrow) else _values(kind, data, at)
    try:
        found = connection.from_arrow(pa.table({"v": values})).project("CAST(v AS VARCHAR) AS v").to_arrow_table()
    except duckdb.Error as error:
        raise Unreadable(range(len(at))) from error
    return found.column("v").combine_chunks()


def _strings(data: bytes, at: Numbers, lengths: Numbers) -> pa.Array:
    found: list[str] = []
    wrong: list[int] = []
    for number, (start, length) in enumerate(zip(at.tolist(), lengths.tolist(), strict=True)):
        try:
            found.append(data[start : start + length].decode())
        except UnicodeDecodeError:
            wrong.append(number)
    if wrong:
        raise Unreadable(wrong)
    return pa.array(found, pa.string())


def _values(kind: Kind, data: bytes, at: Numbers) -> pa.Array:
    width = _WIDTHS[kind.physical]
    raw = (
        np.ascontiguousarray(np.frombuffer(data, np.uint8)[at[:, None] + np.arange(width)])
        .view(_NUMBERS[kind.physical])
        .ravel()
    )
    if raw.dtype.kind == "f" and not np.isfinite(raw).all():
        raise Unreadable(np.flatnonzero(~np.isfinite(raw)).tolist())
    if pa.types.is_boolean(kind.arrow):
        return pa.array(raw.astype(np.bool_))
    return pa.array(raw).view(kind.arrow)


def _decimals(kind: Kind, data: bytes, at: Numbers, lengths: Numbers) -> pa.Array:
    order = "big" if kind.physical == "FIXED_LEN_BYTE_ARRAY" else "little"
    if (lengths > _DECIMAL_BYTES).any() or (lengths < 1).any():
        raise Unreadable(np.flatnonzero((lengths > _DECIMAL_BYTES) | (lengths < 1)).tolist())
    numbers = (
        int.from_bytes(data[start : start + length], order, signed=True)  # type: ignore[arg-type]
        for start, length in zip(at.tolist(), lengths.tolist(), strict=True)
    )
    packed = b"".join(number.to_bytes(_DECIMAL_BYTES, "little", signed=True) for number in numbers)
    return pa.Array.from_buffers(kind.arrow, len(at), [None, pa.py_buffer(packed)])
