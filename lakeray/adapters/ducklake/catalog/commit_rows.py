"""What every commit asks of the catalog first, and the snapshot that it adds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import NotProved
from lakeray.adapters.ducklake.catalog.catalog_ids import CatalogIds
from lakeray.adapters.ducklake.catalog.catalog_state import Head, TableSize
from lakeray.adapters.ducklake.catalog.session import Statement
from lakeray.adapters.ducklake.catalog.table_statistics import ColumnStats
from lakeray.values.errors import LeaseLostError

_LEASE = "SELECT token, holder FROM {committer} WHERE end_snapshot IS NULL"


def lease(layout: CatalogIds) -> Statement:
    """Who holds the lease (P10)."""
    return _LEASE.format(committer=layout.bookkeeping["committer"].rows_in), []


def as_text(stored: Any) -> str | None:
    """A text from an inlined table."""
    return bytes(stored).decode("utf-8", "surrogatepass") if isinstance(stored, bytes | memoryview) else stored


def timestamp(at: datetime) -> str:
    """A time as DuckDB writes it."""
    text = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    fraction = f"{at.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}+00" if fraction else f"{text}+00"


def require_lease(rows: Sequence[tuple[Any, ...]], *, token: int) -> None:
    """See that the lease is this token's.

    Raises:
        LeaseLostError: it is not.
    """
    if rows and rows[0][0] == token:
        return
    raise LeaseLostError(
        "the lease is lost; nothing was written",
        expected=f"fencing token {token}",
        found="no lease" if not rows else f"token {rows[0][0]}, held by {as_text(rows[0][1])}",
        todo="Another committer took over; let it work",
    )


def require_inlined(layout: CatalogIds, sizes: Sequence[tuple[Any, ...]]) -> None:
    """A flush (CHECKPOINT too) moves inlined rows to Parquet, and the schema's version stays.

    Raises:
        NotProved: the bookkeeping was flushed.
    """
    flushed = {table_id for table_id, _, _, size_bytes in sizes if size_bytes}
    moved = sorted(name for name, book in layout.bookkeeping.items() if book.table_id in flushed)
    if moved:
        raise NotProved(f"meta.{moved[0]} was flushed: its older rows are in Parquet files")


def sizes_of(rows: Sequence[tuple[Any, ...]]) -> dict[int, TableSize]:
    """The answer of ``table_stats``, by table."""
    return {row[0]: TableSize(rows=row[1], next_row_id=row[2], size_bytes=row[3]) for row in rows}


def head_of(rows: Sequence[tuple[Any, ...]]) -> Head:
    """The answer of ``head``."""
    snapshot, schema_version, next_catalog_id, next_file_id = rows[0]
    return Head(
        snapshot=snapshot, schema_version=schema_version, next_catalog_id=next_catalog_id, next_file_id=next_file_id
    )


def bounds_of(rows: Sequence[tuple[Any, ...]]) -> dict[int, dict[int, ColumnStats]]:
    """The answer of ``column_stats``, by table and column."""
    found: dict[int, dict[int, ColumnStats]] = {}
    for table_id, column_id, has_null, has_nan, low, high, extra in rows:
        found.setdefault(table_id, {})[column_id] = ColumnStats(
            contains_null=None if has_null is None else bool(has_null),
            min_value=low,
            max_value=high,
            contains_nan=None if has_nan is None else bool(has_nan),
            extra_stats=extra,
        )
    return found


def snapshot_row(head: Head, at: datetime) -> Statement:
    """The successor of the newest snapshot: the row is the lock, and is written first."""
    values = [head.snapshot + 1, timestamp(at), head.schema_version, head.next_catalog_id, head.next_file_id]
    return sql.load("catalog/add_snapshot"), values
