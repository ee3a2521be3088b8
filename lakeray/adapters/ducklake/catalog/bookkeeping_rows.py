"""The bookkeeping's rows of a commit, as DuckLake keeps inlined rows in the catalog."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.catalog_ids import CatalogIds, TableIds
from lakeray.adapters.ducklake.catalog.commit_rows import as_text, timestamp
from lakeray.adapters.ducklake.catalog.session import CatalogSession, Rows, Statement, Step
from lakeray.adapters.ducklake.catalog.table_statistics import ColumnStats, merged, widened
from lakeray.adapters.ducklake.values.column_summary import Summary
from lakeray.values.keys import file_day
from lakeray.values.model import CommitRequest, LedgerEntry, Removal, StreamName
from lakeray.values.origins import origin_of

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog.catalog_state import Before

CURSOR = (
    "SELECT cursor_path, transformed_snapshot, row_id FROM {feeder_cursors} "
    "WHERE source = $1 AND stream = $2 AND end_snapshot IS NULL"
)
TAKEN_IN = (
    "SELECT l.file_key FROM {ledger} AS l WHERE l.source = $1 AND l.stream = $2 AND l.file_key = ANY($3) "
    "AND l.end_snapshot IS NULL AND NOT EXISTS (SELECT 1 FROM {removals} AS r WHERE r.source = $1 AND r.stream = $2 "
    "AND r.file_key = l.file_key AND r.registered_snapshot = l.begin_snapshot AND r.end_snapshot IS NULL)"
)
_END_CURSOR = "UPDATE {feeder_cursors} SET end_snapshot = $1 WHERE source = $2 AND stream = $3 AND end_snapshot IS NULL"
_END_REJECTED = (
    "UPDATE {quarantine} SET end_snapshot = $1 WHERE source = $2 AND stream = $3 AND file_key = ANY($4) "
    "AND end_snapshot IS NULL"
)

_END_LEFT_OUT = (
    "UPDATE {left_out} SET end_snapshot = $1 WHERE source = $2 AND stream = $3 AND file_key = ANY($4) "
    "AND end_snapshot IS NULL"
)

Text = Callable[[str | None], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Same:
    """One value for all rows of a column."""

    value: Any


_Column = _Same | Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Added:
    book: TableIds
    count: int
    columns: Mapping[str, _Column]
    keeps_row_id: int | None = None
    """The row id of the row that these replace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookkeepingRows:
    """What a commit writes of the bookkeeping."""

    snapshot: int
    before: Before
    text: Text
    added: Sequence[_Added]
    """Only tables that get rows."""
    ended: Sequence[Statement]
    changes: Sequence[str]

    @property
    def tables(self) -> int:
        """How many tables get rows."""
        return len(self.added)

    def steps(self, *, connection: duckdb.DuckDBPyConnection) -> list[Step]:
        """What is to be written, inside the commit's transaction."""
        steps: list[Step] = list(self.ended)
        stats: list[pa.Table] = []
        for item in self.added:
            table_id = item.book.table_id
            found = self._statistics(item, connection=connection)
            stats.append(column_stats(table_id, found))
            row_ids = 0 if item.keeps_row_id is not None else item.count
            steps += [
                Rows(item.book.rows_in, self._rows(item)),
                grown(table_id, table_id in self.before.sizes, rows=item.count, row_ids=row_ids),
                forget_column_stats(table_id, found),
            ]
        return [*steps, Rows("ducklake_table_column_stats", pa.concat_tables(stats))]

    def _rows(self, item: _Added) -> pa.Table:
        size = self.before.sizes.get(item.book.table_id)
        first = size.next_row_id if size is not None else 0
        row_ids = range(first, first + item.count) if item.keeps_row_id is None else [item.keeps_row_id]
        stored = {
            "row_id": pa.array(row_ids, pa.int64()),
            "begin_snapshot": pa.repeat(pa.scalar(self.snapshot, pa.int64()), item.count),
        }
        for name, values in item.columns.items():
            kind = item.book.types[item.book.number(name)]
            if isinstance(values, _Same):
                stored[name] = pa.repeat(_stored([values.value], kind, self.text)[0], item.count)
            else:
                stored[name] = _stored(values, kind, self.text)
        return pa.table(stored)

    def _statistics(self, item: _Added, *, connection: duckdb.DuckDBPyConnection) -> dict[int, ColumnStats]:
        book = item.book
        size = self.before.sizes.get(book.table_id)
        bounds = self.before.bounds.get(book.table_id, {})
        summary = {
            (number := book.number(name)): _summary(
                [values.value] if isinstance(values, _Same) else values, book.types[number]
            )
            for name, values in item.columns.items()
        }
        return merged(
            bounds,
            summary,
            unknown=(),
            missing=(),
            had_rows=size is not None and size.rows > 0,
            wider=widened(bounds, summary, types=book.types, connection=connection),
        )


def grown(table_id: int, exists: bool, *, rows: int, row_ids: int, size_bytes: int = 0) -> Statement:
    """A table's new size."""
    name = "grow_table" if exists else "add_table_stats"
    return sql.load(f"catalog/{name}"), [table_id, rows, row_ids, size_bytes]


def forget_column_stats(table_id: int, stats: Mapping[int, ColumnStats]) -> Statement:
    """Make way for columns' new bounds."""
    return sql.load("catalog/forget_column_stats"), [table_id, list(stats)]


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
    request: CommitRequest,
    *,
    paths: Sequence[str],
    layout: CatalogIds,
    before: Before,
    at: datetime,
    session: CatalogSession,
) -> BookkeepingRows:
    """What the commit writes of the bookkeeping; nothing is written yet."""
    snapshot = before.head.snapshot + 1
    books, stream = layout.bookkeeping, {"source": request.stream.source, "stream": request.stream.stream}
    rows_in = {name: book.rows_in for name, book in books.items()}
    named = [session.text(value) for value in stream.values()]
    touched = [item.file.key for item in request.files] + [item.file.key for item in request.rejected]
    ended: list[Statement] = []
    if touched:
        ended.append((_END_REJECTED.format(**rows_in), [snapshot, *named, session.texts(touched)]))
    if before.cursor is not None:
        ended.append((_END_CURSOR.format(**rows_in), [snapshot, *named]))
    same = {name: _Same(value=value) for name, value in stream.items()}
    cursor = {
        "cursor_path": _Same(value=request.cursor_path),
        "transformed_snapshot": _Same(value=before.cursor[1] if before.cursor else 0),
        "updated_at": _Same(value=at),
    }
    keeps = before.cursor[0] if before.cursor else None
    planned = [
        _Added(book=books["ledger"], count=len(request.files), columns=same | _ledger(request, paths, at)),
        _Added(book=books["origins"], count=len(request.files), columns=same | _origins(request, paths)),
        _Added(book=books["quarantine"], count=len(request.rejected), columns=same | _quarantine(request, at)),
        _Added(book=books["batches"], count=1, columns=same | _batch(request, at)),
        _left_out(books["left_out"], request, same),
        _Added(book=books["feeder_cursors"], count=1, columns=same | cursor, keeps_row_id=keeps),
    ]
    added = [item for item in planned if item.count]
    changes = [f"inlined_insert:{item.book.table_id}" for item in added]
    if touched:
        changes.append(f"inlined_delete:{books['quarantine'].table_id}")
    if before.cursor is not None:
        changes.append(f"inlined_delete:{books['feeder_cursors'].table_id}")
    return BookkeepingRows(
        snapshot=snapshot, before=before, text=session.text, added=added, ended=ended, changes=changes
    )


def plan_mark(
    stream: StreamName,
    cursor: tuple[str | None, int, int],
    *,
    through: int,
    layout: CatalogIds,
    before: Before,
    at: datetime,
    session: CatalogSession,
) -> BookkeepingRows:
    """What moves transformed_through; never back (P11). Nothing is written yet.

    Args:
        cursor: the answer of ``CURSOR``: the cursor, transformed_through and the row's id.
        through: the DuckLake snapshot through which everything is merged now.
    """
    book, snapshot = layout.bookkeeping["feeder_cursors"], before.head.snapshot + 1
    columns: dict[str, _Column] = {
        "source": _Same(value=stream.source),
        "stream": _Same(value=stream.stream),
        "cursor_path": _Same(value=as_text(cursor[0])),
        "transformed_snapshot": _Same(value=max(cursor[1], through)),
        "updated_at": _Same(value=at),
    }
    named = [session.text(stream.source), session.text(stream.stream)]
    return BookkeepingRows(
        snapshot=snapshot,
        before=before,
        text=session.text,
        added=[_Added(book=book, count=1, columns=columns, keeps_row_id=cursor[2])],
        ended=[(_END_CURSOR.format(feeder_cursors=book.rows_in), [snapshot, *named])],
        changes=[f"inlined_insert:{book.table_id}", f"inlined_delete:{book.table_id}"],
    )


def plan_removals(
    stream: StreamName,
    files: Sequence[LedgerEntry],
    *,
    layout: CatalogIds,
    before: Before,
    reason: Removal,
    at: datetime,
    session: CatalogSession,
) -> BookkeepingRows:
    """What the removal of whole files writes of the bookkeeping; nothing is written yet."""
    columns: dict[str, _Column] = {
        "source": _Same(value=stream.source),
        "stream": _Same(value=stream.stream),
        "file_key": [entry.key for entry in files],
        "etag": [entry.etag for entry in files],
        "registered_snapshot": [entry.snapshot for entry in files],
        "reason": _Same(value=str(reason)),
        "removed_at": _Same(value=at),
        "key_may_return": _Same(value=reason.key_may_return),
    }
    book, left_out = layout.bookkeeping["removals"], layout.bookkeeping["left_out"]
    snapshot = before.head.snapshot + 1
    keys = session.texts([entry.key for entry in files])
    of_stream = [session.text(stream.source), session.text(stream.stream)]
    return BookkeepingRows(
        snapshot=snapshot,
        before=before,
        text=session.text,
        added=[_Added(book=book, count=len(files), columns=columns)],
        ended=[(_END_LEFT_OUT.format(left_out=left_out.rows_in), [snapshot, *of_stream, keys])],
        changes=[f"inlined_insert:{book.table_id}", f"inlined_delete:{left_out.table_id}"],
    )


def _left_out(book: TableIds, request: CommitRequest, same: Mapping[str, _Column]) -> _Added:
    files = [item for item in request.files if item.left_out]
    columns: dict[str, _Column] = {
        "file_key": [item.file.key for item in files],
        "etag": [item.file.etag for item in files],
        "fields": [json.dumps(item.left_out) for item in files],
        "refused": _Same(value=None),
    }
    return _Added(book=book, count=len(files), columns=dict(same) | columns)


def _ledger(request: CommitRequest, paths: Sequence[str], at: datetime) -> dict[str, _Column]:
    return {
        "file_key": [item.file.key for item in request.files],
        "etag": [item.file.etag for item in request.files],
        "size_bytes": [item.file.size_bytes for item in request.files],
        "row_count": [item.footer.rows for item in request.files],
        "file_day": [file_day(item.file) for item in request.files],
        "batch_id": _Same(value=request.batch_id),
        "commit_id": _Same(value=request.commit_id),
        "registered_path": paths,
        "taken_at": _Same(value=at),
    }


def _origins(request: CommitRequest, paths: Sequence[str]) -> dict[str, _Column]:
    return {
        "registered_path": paths,
        "origin": [origin_of(item.file) for item in request.files],
    }


def _quarantine(request: CommitRequest, at: datetime) -> dict[str, _Column]:
    return {
        "file_key": [item.file.key for item in request.rejected],
        "etag": [item.file.etag for item in request.rejected],
        "size_bytes": [item.file.size_bytes for item in request.rejected],
        "reason": [str(item.reason) for item in request.rejected],
        "detail": [item.detail for item in request.rejected],
        "status": _Same(value="rejected"),
        "seen_at": _Same(value=at),
    }


def _batch(request: CommitRequest, at: datetime) -> dict[str, _Column]:
    values = {
        "commit_id": request.commit_id,
        "batch_id": request.batch_id,
        "file_count": len(request.files),
        "row_count": request.rows,
        "size_bytes": request.size_bytes,
        "committed_at": at,
    }
    return {name: _Same(value=value) for name, value in values.items()}


def _stored(values: Sequence[Any], kind: str, text: Text) -> pa.Array:
    if kind == "int64":
        return pa.array(values, pa.int64())
    if kind == "boolean":
        return pa.array(values, pa.bool_())
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


def _summary(values: Sequence[Any], kind: str) -> Summary:
    there = [value for value in values if value is not None]
    key = _octets if kind == "varchar" else None
    low, high = (min(there, key=key), max(there, key=key)) if there else (None, None)
    return Summary(has_null=len(there) < len(values), bounded=True, min_value=_as_bound(low), max_value=_as_bound(high))


def _as_bound(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(_plain(value))


def _octets(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
