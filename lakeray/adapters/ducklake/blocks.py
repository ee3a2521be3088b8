"""What DuckLake's catalog stores of registered files, worked out before the commit: a block for files of one schema."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa

ColumnPath = tuple[str, ...]
"""A column or a field of one, from the landing table down: ``("customer", "email")``; list items are ``element``."""

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
class Block:
    """Files of one Parquet schema and what the catalog stores of them. Lists have one item per file."""

    columns: tuple[ColumnPath, ...]
    """What ``column`` in the statistics counts."""
    mapping: tuple[MappedName, ...]
    rows: tuple[int, ...]
    size_bytes: tuple[int, ...]
    footer_bytes: tuple[int, ...]
    statistics: pa.Table = field(compare=False)
    """Rows of ``STATISTICS``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file's place in a block."""

    block: Block
    position: int
