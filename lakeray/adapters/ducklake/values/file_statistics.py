"""What DuckLake's catalog stores of registered files, worked out before the commit: a block for files of one schema."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from lakeray.values.names import folded

_NUL = "\0"

ColumnPath = tuple[str, ...]
"""A column or a field of one, from the landing table down: ``("customer", "email")``; list items are ``element``."""


def folded_path(path: ColumnPath) -> ColumnPath:
    """The path as names are compared: two files may spell one new column in two letter cases."""
    return tuple(folded(name) for name in path)


STATISTICS = pa.schema(
    [
        ("file", pa.int32()),
        ("column", pa.int32()),
        ("size_bytes", pa.int64()),
        ("value_count", pa.int64()),
        ("null_count", pa.int64()),
        ("min_value", pa.string()),
        ("max_value", pa.string()),
        ("contains_nan", pa.bool_()),
        ("extra_stats", pa.string()),
    ]
)
"""One row per file and column, as in ducklake_file_column_stats; ``file`` and ``column`` count from 0 in the block."""


SUMMARY = pa.schema(
    [
        ("column", pa.int32()),
        ("has_null", pa.bool_()),
        ("bounded", pa.bool_()),
        ("min_value", pa.string()),
        ("max_value", pa.string()),
    ]
)
"""One row per column: what the statistics of all files of a block say together, as ``table_stats.Summary``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedName:
    """One row of a name mapping: which column of the file fills which of the table."""

    number: int
    """Its place in the mapping, from 0."""
    source_name: str
    target: ColumnPath
    parent: int | None
    """The number of the column that it is a field of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStatistics:
    """Files of one Parquet schema and what the catalog stores of them. Lists have one item per file."""

    columns: tuple[ColumnPath, ...]
    """What ``column`` in the statistics counts."""
    mapping: tuple[MappedName, ...]
    rows: tuple[int, ...]
    size_bytes: tuple[int, ...]
    footer_bytes: tuple[int, ...]
    statistics: pa.Table = field(compare=False)
    """Rows of ``STATISTICS``."""
    types: tuple[str, ...] = ()
    """DuckLake's type of each column when ``summary`` was made."""
    summary: pa.Table | None = field(default=None, compare=False)
    """Rows of ``SUMMARY``; None when nobody has summed the statistics up."""

    def __reduce__(self) -> tuple[Callable[..., SchemaStatistics], tuple[object, ...]]:
        """As it travels from a task: the tables compressed, to a quarter of what they are."""
        values = {of.name: getattr(self, of.name) for of in fields(self)}
        values["statistics"] = _packed(self.statistics)
        values["summary"] = None if self.summary is None else _packed(self.summary)
        return _unpacked, (values,)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatistics:
    """A file's place in a block."""

    block: SchemaStatistics
    position: int


def highest(facts: FileStatistics, column: str) -> str | None:
    """The greatest value of a top-level column of a file, as the catalog writes it; None when none is known."""
    block = facts.block
    if (column,) not in block.columns:
        return None
    of_file = pc.equal(block.statistics.column("file"), facts.position)
    of_column = pc.equal(block.statistics.column("column"), block.columns.index((column,)))
    found: list[str | None] = block.statistics.filter(pc.and_(of_file, of_column)).column("max_value").to_pylist()
    return found[0] if found else None


def _packed(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


def _unpacked(values: dict[str, Any]) -> SchemaStatistics:
    for name in ("statistics", "summary"):
        if values[name] is not None:
            values[name] = pa.ipc.open_stream(values[name]).read_all()
    return SchemaStatistics(**values)


def storable(table: pa.Table, *, types: Sequence[str] = ()) -> pa.Table:
    """Statistics without the bounds by which rows would not be found; a file without a bound is read, not skipped.

    Postgres' text cannot hold a zero. A FLOAT with an exponent is written into DuckLake's query as a DOUBLE, which lies
    beside the bound that is read as FLOAT.

    Args:
        types: DuckLake's type of each ``column``.
    """
    floats = pa.array([number for number, kind in enumerate(types) if kind == "float32"], pa.int32())
    of_float = pc.is_in(table.column("column"), value_set=floats) if len(floats) else None
    for name in ("min_value", "max_value"):
        bounds = table.column(name)
        odd = pc.match_substring(bounds, _NUL)
        if of_float is not None:
            odd = pc.or_(odd, pc.and_(of_float, pc.match_substring(bounds, "e")))
        kept = pc.if_else(odd, pa.scalar(None, pa.string()), bounds)
        table = table.set_column(table.schema.get_field_index(name), name, kept)
    return table
