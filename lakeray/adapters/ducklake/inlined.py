"""The bookkeeping's rows of a commit, as DuckLake keeps inlined rows in the catalog."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from lakeray import sql
from lakeray.adapters.ducklake.layout import Layout, TableLayout
from lakeray.adapters.ducklake.session import CatalogSession, Statement
from lakeray.adapters.ducklake.table_stats import ColumnStats, added_rows, merged, summed_up, widened
from lakeray.keys import file_day
from lakeray.model import CommitRequest, LedgerEntry, StreamName

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog_writer import Before

LEASE = "SELECT token, holder FROM {committer} WHERE end_snapshot IS NULL"
CURSOR = (
    "SELECT cursor_path, transformed_snapshot, row_id FROM {feeder_cursors} "
    "WHERE source = $1 AND stream = $2 AND end_snapshot IS NULL"
)
TAKEN_IN = (
    "SELECT l.file_key FROM {ledger} AS l WHERE l.source = $1 AND l.stream = $2 AND l.file_key = ANY($3) "
    "AND l.end_snapshot IS NULL AND NOT EXISTS (SELECT 1 FROM {removals} AS r WHERE r.source = $1 AND r.stream = $2 "
    "AND r.file_key = l.file_key AND r.registered_snapshot = l.begin_snapshot AND r.end_snapshot IS NULL) LIMIT 5"
)
_END_CURSOR = "UPDATE {feeder_cursors} SET end_snapshot = $1 WHERE source = $2 AND stream = $3 AND end_snapshot IS NULL"
_END_REJECTED = (
    "UPDATE {quarantine} SET end_snapshot = $1 WHERE source = $2 AND stream = $3 AND file_key = ANY($4) "
    "AND end_snapshot IS NULL"
)

Text = Callable[[str | None], Any]


def as_text(stored: Any) -> str | None:
    """A text from an inlined table."""
    return bytes(stored).decode("utf-8", "surrogatepass") if isinstance(stored, bytes | memoryview) else stored


def timestamp(at: datetime) -> str:
    """A time as DuckDB writes it."""
    text = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    fraction = f"{at.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}+00" if fraction else f"{text}+00"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Added:
    book: TableLayout
    rows: list[dict[str, Any]]
    keeps_row_id: int | None = None
    """The row id of the row that these replace."""


@dataclass(slots=True, kw_only=True)
class PlannedBooks:
    """What a commit writes of the bookkeeping."""

    snapshot: int
    before: Before
    text: Text
    added: list[_Added]
    ended: list[Statement]
    changes: list[str] = field(default_factory=list)

    @property
    def tables(self) -> int:
        """How many tables get rows."""
        return sum(bool(item.rows) for item in self.added)

    def write(self, session: CatalogSession, *, connection: duckdb.DuckDBPyConnection) -> None:
        """Write it, inside the commit's transaction."""
        if self.ended:
            session.execute(self.ended)
        statements: list[Statement] = []
        stats: list[pa.Table] = []
        for item in self.added:
            if item.rows:
                session.append(item.book.rows_in, self._rows(item))
                found = self._statistics(item, connection=connection)
                stats.append(column_stats(item.book.table_id, found))
                statements += self._forgotten(item, found)
        session.execute(statements)
        session.append("ducklake_table_column_stats", pa.concat_tables(stats))

    def _rows(self, item: _Added) -> pa.Table:
        size = self.before.sizes.get(item.book.table_id)
        first = size.next_row_id if size is not None else 0
        columns: dict[str, Any] = {
            "row_id": [
                first + number if item.keeps_row_id is None else item.keeps_row_id for number in range(len(item.rows))
            ],
            "begin_snapshot": [self.snapshot] * len(item.rows),
        }
        stored = {name: pa.array(values, pa.int64()) for name, values in columns.items()}
        for name in item.rows[0]:
            stored[name] = _stored([row[name] for row in item.rows], item.book.types[item.book.number(name)], self.text)
        return pa.table(stored)

    def _statistics(self, item: _Added, *, connection: duckdb.DuckDBPyConnection) -> dict[int, ColumnStats]:
        book = item.book
        size = self.before.sizes.get(book.table_id)
        bounds = self.before.bounds.get(book.table_id, {})
        rows = [
            (book.number(name), *_known([_plain(row[name]) for row in item.rows], book.types[book.number(name)]))
            for name in item.rows[0]
        ]
        summary = summed_up(added_rows(rows), types=book.types, connection=connection)
        return merged(
            bounds,
            summary,
            unknown=(),
            missing=(),
            had_rows=size is not None and size.rows > 0,
            wider=widened(bounds, summary, types=book.types, connection=connection),
        )

    def _forgotten(self, item: _Added, stats: Mapping[int, ColumnStats]) -> list[Statement]:
        table_id, count = item.book.table_id, len(item.rows)
        row_ids = 0 if item.keeps_row_id is not None else count
        return [
            grown(table_id, table_id in self.before.sizes, rows=count, row_ids=row_ids),
            forget_column_stats(table_id, stats),
        ]


def grown(table_id: int, exists: bool, *, rows: int, row_ids: int, size_bytes: int = 0) -> Statement:
    """A table's new size."""
    name = "catalog_grow_table" if exists else "catalog_add_table_stats"
    return sql.load(name), [table_id, rows, row_ids, size_bytes]


def forget_column_stats(table_id: int, stats: Mapping[int, ColumnStats]) -> Statement:
    """Make way for columns' new bounds."""
    return sql.load("catalog_forget_column_stats"), [table_id, list(stats)]


def column_stats(table_id: int, stats: Mapping[int, ColumnStats]) -> pa.Table:
    """Columns' new bounds, as rows of ducklake_table_column_stats."""
    return pa.table(
        {
            "table_id": pa.array([table_id] * len(stats), pa.int64()),
            "column_id": pa.array(stats.keys(), pa.int64()),
            "contains_null": pa.array([item.contains_null for item in stats.values()], pa.bool_()),
            "contains_nan": pa.array([item.contains_nan for item in stats.values()], pa.bool_()),
            "min_value": pa.array([item.min_value for item in stats.values()], pa.string()),
            "max_value": pa.array([item.max_value for item in stats.values()], pa.string()),
            "extra_stats": pa.array([item.extra_stats for item in stats.values()], pa.string()),
        }
    )


def plan(
    request: CommitRequest, *, paths: Sequence[str], layout: Layout, before: Before, at: datetime, text: Text
) -> PlannedBooks:
    """What the commit writes of the bookkeeping; nothing is written yet."""
    snapshot = before.head.snapshot + 1
    books, stream = layout.books, {"source": request.stream.source, "stream": request.stream.stream}
    rows_in = {name: book.rows_in for name, book in books.items()}
    named = [text(value) for value in stream.values()]
    taken = [item.file.key for item in request.files]
    touched = [text(key) for key in taken + [item.file.key for item in request.rejected]]
    ended: list[Statement] = [(_END_REJECTED.format(**rows_in), [snapshot, *named, touched])] if touched else []
    if before.cursor is not None:
        ended.append((_END_CURSOR.format(**rows_in), [snapshot, *named]))
    cursor_row = {
        **stream,
        "cursor_path": request.cursor_path,
        "transformed_snapshot": before.cursor[1] if before.cursor else 0,
        "updated_at": at,
    }
    keeps = before.cursor[0] if before.cursor else None
    added = [
        _Added(book=books["ledger"], rows=_ledger(request, stream, paths, at)),
        _Added(book=books["quarantine"], rows=_quarantine(request, stream, at)),
        _Added(book=books["batches"], rows=[_batch(request, stream, at)]),
        _Added(book=books["feeder_cursors"], rows=[cursor_row], keeps_row_id=keeps),
    ]
    changes = [f"inlined_insert:{item.book.table_id}" for item in added if item.rows]
    if touched:
        changes.append(f"inlined_delete:{books['quarantine'].table_id}")
    if before.cursor is not None:
        changes.append(f"inlined_delete:{books['feeder_cursors'].table_id}")
    return PlannedBooks(snapshot=snapshot, before=before, text=text, added=added, ended=ended, changes=changes)


def plan_removals(
    stream: StreamName,
    files: Sequence[LedgerEntry],
    *,
    layout: Layout,
    before: Before,
    reason: str,
    at: datetime,
    text: Text,
) -> PlannedBooks:
    """What the removal of whole files writes of the bookkeeping; nothing is written yet."""
    rows = [
        {
            "source": stream.source,
            "stream": stream.stream,
            "file_key": entry.key,
            "etag": entry.etag,
            "registered_snapshot": entry.snapshot,
            "reason": reason,
            "removed_at": at,
        }
        for entry in files
    ]
    book, snapshot = layout.books["removals"], before.head.snapshot + 1
    added, changes = [_Added(book=book, rows=rows)], [f"inlined_insert:{book.table_id}"]
    return PlannedBooks(snapshot=snapshot, before=before, text=text, added=added, ended=[], changes=changes)


def _ledger(request: CommitRequest, stream: dict[str, str], paths: Sequence[str], at: datetime) -> list[dict[str, Any]]:
    return [
        {
            **stream,
            "file_key": item.file.key,
            "etag": item.file.etag,
            "size_bytes": item.file.size_bytes,
            "row_count": item.footer.rows,
            "file_day": file_day(item.file),
            "batch_id": request.batch_id,
            "commit_id": request.commit_id,
            "registered_path": path,
            "taken_at": at,
        }
        for item, path in zip(request.files, paths, strict=True)
    ]


def _quarantine(request: CommitRequest, stream: dict[str, str], at: datetime) -> list[dict[str, Any]]:
    return [
        {
            **stream,
            "file_key": item.file.key,
            "etag": item.file.etag,
            "size_bytes": item.file.size_bytes,
            "reason": str(item.reason),
            "detail": item.detail,
            "status": "rejected",
            "seen_at": at,
        }
        for item in request.rejected
    ]


def _batch(request: CommitRequest, stream: dict[str, str], at: datetime) -> dict[str, Any]:
    return {
        "commit_id": request.commit_id,
        "batch_id": request.batch_id,
        **stream,
        "file_count": len(request.files),
        "row_count": request.rows,
        "size_bytes": request.size_bytes,
        "committed_at": at,
    }


def _stored(values: list[Any], kind: str, text: Text) -> pa.Array:
    if kind == "int64":
        return pa.array(values, pa.int64())
    if kind != "varchar":
        return pa.array([_plain(value) for value in values], pa.string())
    stored = [text(value) for value in values]
    if any(isinstance(value, bytes) for value in stored):
        return pa.array([None if value is None else "\\x" + value.hex() for value in stored], pa.string())
    return pa.array(stored, pa.string())


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return timestamp(value)
    return value.isoformat() if isinstance(value, date) else value


def _known(values: list[Any], kind: str) -> tuple[int, int, str | None, str | None]:
    there = [value for value in values if value is not None]
    if not there:
        return 0, len(values), None, None
    ordered = sorted(there, key=(lambda value: value) if kind == "int64" else _octets)
    return len(there), len(values) - len(there), str(ordered[0]), str(ordered[-1])


def _octets(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
