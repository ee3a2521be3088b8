"""What the catalog says before a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakeray.adapters.ducklake.catalog.table_statistics import ColumnStats


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest DuckLake snapshot."""

    snapshot: int
    schema_version: int
    next_catalog_id: int
    next_file_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """A row of ducklake_table_stats."""

    rows: int
    next_row_id: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the catalog says before the commit."""

    head: Head
    cursor: tuple[int, int] | None
    """The cursor's row id and transformed_snapshot; None before the stream's first batch."""
    sizes: Mapping[int, TableSize]
    bounds: Mapping[int, Mapping[int, ColumnStats]]
    """By table and column."""
