"""Parquet files of other writers, every type under every contract: the cells of docs/compatibility.md."""

from __future__ import annotations

import datetime as dt
import io
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import fastparquet
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.robustness.corpus import changed
from tests.robustness.thrift import BINARY
from tests.robustness.thrift import Struct as Thrift

UTC = dt.UTC
MOMENTS = [dt.datetime(2026, 1, 1, 12, 30, tzinfo=UTC), dt.datetime(1970, 1, 1, tzinfo=UTC), None]
"""Within what nanoseconds reach; the whole range is tested by itself."""
TYPES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "bool": (pa.bool_(), [True, False, None]),
    "int8": (pa.int8(), [-128, 127, None]),
    "int16": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "int64": (pa.int64(), [-(2**53), 2**53, None]),
    "uint8": (pa.uint8(), [0, 255, None]),
    "uint16": (pa.uint16(), [0, 65535, None]),
    "uint32": (pa.uint32(), [0, 2**32 - 1, None]),
    "uint64": (pa.uint64(), [0, 2**64 - 1, None]),
    "float16": (pa.float16(), [1.5, -0.1, None]),
    "float32": (pa.float32(), [0.1, -1e30, None]),
    "float64": (pa.float64(), [0.1, 1e300, None]),
    "decimal(9,2)": (pa.decimal128(9, 2), [Decimal("1.25"), Decimal("-9999999.99"), None]),
    "decimal(38,9)": (pa.decimal128(38, 9), [Decimal("1e20"), Decimal("-0.000000001"), None]),
    "decimal(60,2)": (pa.decimal256(60, 2), [Decimal("1.25"), Decimal("1e50"), None]),
    "date": (pa.date32(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
    "time(ms)": (pa.time32("ms"), [dt.time(9, 30), dt.time(23, 59, 59, 999000), None]),
    "time(us)": (pa.time64("us"), [dt.time(9, 30), dt.time(23, 59, 59, 999999), None]),
    "timestamp(ms)": (pa.timestamp("ms"), MOMENTS),
    "timestamp(us)": (pa.timestamp("us"), MOMENTS),
    "timestamp(ns)": (pa.timestamp("ns"), MOMENTS),
    "timestamp(ms, UTC)": (pa.timestamp("ms", "UTC"), MOMENTS),
    "timestamp(us, UTC)": (pa.timestamp("us", "UTC"), MOMENTS),
    "string": (pa.string(), ["a", "é\U0001f600'\"\\", None]),
    "binary": (pa.binary(), [b"a", b"\x00\xff", None]),
    "fixed binary": (pa.binary(3), [b"abc", b"\x00\xff\x01", None]),
    "uuid": (pa.uuid(), [uuid.UUID(int=1).bytes, uuid.UUID(int=2**128 - 1).bytes, None]),
    "untyped": (pa.null(), [None, None, None]),
    "list<int64>": (pa.list_(pa.int64()), [[1, None], [], None]),
    "list<float32>": (pa.list_(pa.float32()), [[0.1, None], [], None]),
    "struct<a: int32, b: string>": (pa.struct([("a", pa.int32()), ("b", pa.string())]), [{"a": 1, "b": "x"}, {}, None]),
    "map<string, int64>": (pa.map_(pa.string(), pa.int64()), [[("k", 1)], [], None]),
}
CONTRACTS = (
    *("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "UBIGINT", "FLOAT", "DOUBLE", "DECIMAL(9,2)", "DECIMAL(38,9)"),
    *("DATE", "TIME", "TIMESTAMP"),
    *("TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE", "VARCHAR", "BLOB", "UUID", "DOUBLE[]"),
    *("STRUCT(a BIGINT, b VARCHAR)", "MAP(VARCHAR, BIGINT)"),
)
Writer = Callable[[pa.Table], bytes]


def _arrow(**options: Any) -> Writer:
    def write(table: pa.Table) -> bytes:
        out = io.BytesIO()
        pq.write_table(table, out, **options)
        return out.getvalue()

    return write


def _by_path(write: Callable[[pa.Table, str], None]) -> Writer:
    """A writer that takes the path of a file."""

    def written(table: pa.Table) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.parquet"
            write(table, str(path))
            return path.read_bytes()

    return written


def _duckdb(table: pa.Table, path: str) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.from_arrow(table).write_parquet(path)


def _polars(table: pa.Table, path: str) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(path)


_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}
"""What pandas calls numbers that can be missing: as plain ones they would be doubles."""


def _fastparquet(table: pa.Table, path: str) -> None:
    kind = table.schema.field("c").type
    encoding = "bytes" if pa.types.is_binary(kind) else "decimal" if pa.types.is_decimal(kind) else "utf8"
    frame = table.to_pandas(types_mapper=_NULLABLE.get)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fastparquet uses what pandas gives up
        fastparquet.write(path, frame, object_encoding={"_airbyte_raw_id": "utf8", "c": encoding}, has_nulls=True)


def _java(table: pa.Table) -> bytes:
    """As parquet-avro of Airbyte lays it out: converted types alone, INT96, times in UTC, items called ``array``."""

    def strip(meta: Thrift) -> None:
        for element in meta[2][1].items:
            if 6 in element:
                element.pop(10, None)
        meta[6] = (BINARY, b"parquet-mr version 1.10.1 (build a89df8f9932b6ef6633d06069e50c9b7970bebd1)")
        meta.pop(5, None)

    options = {"use_deprecated_int96_timestamps": True, "write_time_adjusted_to_utc": True, "store_schema": False}
    return changed(_arrow(use_compliant_nested_type=False, **options)(table), strip)


WRITERS: dict[str, Writer] = {
    "pyarrow": _arrow(),
    "pyarrow, pages v2": _arrow(data_page_version="2.0", use_dictionary=False, compression="zstd"),
    "pyarrow, no statistics": _arrow(write_statistics=False, store_schema=False, version="1.0", compression="gzip"),
    "DuckDB": _by_path(_duckdb),
    "Java's layout": _java,
    "polars": _by_path(_polars),
    "fastparquet": _by_path(_fastparquet),
}
CANNOT = {
    "DuckDB": ("float16", "decimal(60,2)"),
    "polars": ("decimal(60,2)",),
    "fastparquet": (
        *("float16", "decimal(9,2)", "decimal(38,9)", "decimal(60,2)", "date", "time(ms)", "time(us)"),
        *("fixed binary", "uuid", "untyped"),
        *("list<int64>", "list<float32>", "struct<a: int32, b: string>", "map<string, int64>"),
    ),
}
"""Types that a writer does not have."""


@lru_cache(maxsize=1)
def files() -> tuple[tuple[str, str, bytes], ...]:
    """Each type by each writer, and the file; a writer that cannot write a type is left out."""
    return tuple(_files())


def _files() -> Iterator[tuple[str, str, bytes]]:
    """Each type by each writer, and the file; a writer that cannot write a type is left out."""
    for kind, (arrow, values) in TYPES.items():
        for writer, write in WRITERS.items():
            if kind in CANNOT.get(writer, ()):
                continue
            name = f"{kind} by {writer}"
            storage = pa.array(values, arrow.storage_type if isinstance(arrow, pa.BaseExtensionType) else arrow)
            column = (
                pa.ExtensionArray.from_storage(arrow, storage) if isinstance(arrow, pa.BaseExtensionType) else storage
            )
            ids = [f"{name} {number}" for number in range(len(values))]
            yield kind, writer, write(pa.table({"_airbyte_raw_id": ids, "c": column}))
