"""A merge of our own: rows written once, what they replace found by key and age alone, one commit of the catalog (P12).

Prepare, resolve, commit. What was resolved holds as long as nobody else changes the table; whoever commits to another
table meanwhile only takes the number that the lists were written for, and they are written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from lakeray.adapters.ducklake.catalog.attempts import AnswerLost, LayoutMoved, NotProved, until_landed
from lakeray.adapters.ducklake.catalog.delete_rows import Deletes
from lakeray.adapters.ducklake.catalog.merge_writer import MergeCommit, MergeWriter, PreparedFile, TableMoved
from lakeray.adapters.ducklake.catalog.table_files import TableState
from lakeray.adapters.ducklake.writing.delete_lists import write_lists
from lakeray.adapters.ducklake.writing.newest import newest
from lakeray.adapters.ducklake.writing.prepare import prepare, without
from lakeray.adapters.ducklake.writing.record_order import RecordOrder
from lakeray.adapters.ducklake.writing.resolve import STALE, Resolved, resolve
from lakeray.values.column_types import quoted
from lakeray.values.model import StreamName


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRows:
    """Rows to merge into a stream's processed table."""

    commit_id: str
    stream: StreamName
    rows: str
    """A relation, as ``newest`` wants it."""
    key: Sequence[str]
    order: RecordOrder
    through: int | None = None
    """The DuckLake snapshot through which the stream is merged by this; None moves no mark."""
    row_group_bytes: int = 0
    """What a thread collects before it writes a row group; 0 leaves it to DuckDB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRows:
    """What a merge did."""

    snapshot: int | None
    """The DuckLake snapshot; None when there was nothing to write."""
    written: int
    """Rows that are in the table by it."""
    replaced: int
    """Rows that left for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    state: TableState
    resolved: Resolved
    file: PreparedFile | None
    """What is to be added: the prepared file, or one without its rows that are no newer; None when all are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    stream: StreamName
    columns: Mapping[str, str]
    """By name, in order."""

    @property
    def table(self) -> str:
        return f"lakehouse.main.{quoted(self.stream.processed_table)}"


class PreparedMerge:
    """Merges into processed tables, by one connection that has the lake attached."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        writer: MergeWriter,
        *,
        new_name: Callable[[], str],
        discard: Callable[[Sequence[str]], None],
    ) -> None:
        """Use a connection.

        Args:
            new_name: a text that no other file of the lake has in its name.
            discard: deletes files by their full paths: those that a merge wrote, and has no use for.
        """
        self._connection = connection
        self._writer = writer
        self._new_name = new_name
        self._discard = discard
        self._written: list[str] = []

    def merge(self, batch: NewRows, *, at: datetime) -> MergedRows:
        """Merge once. Files that were written stay when it fails: whether they are used may not be known then.

        Raises:
            NotProved: the table or the catalog is not one that may be written directly; nothing was committed.
            LeaseLostError: another committer took over; nothing was committed.
            CatalogFailed: the database failed before the COMMIT.
            AnswerLost: the COMMIT may have landed, and was not found.
            duckdb.Error: the storage failed, a value cannot be cast, or memory ran out; nothing was committed.
        """
        self._written = []
        with self._connection.cursor() as cursor:
            state = self._writer.look(batch.stream)
            target = _Target(stream=batch.stream, columns=_columns(cursor, batch.stream))
            file = prepare(
                cursor,
                newest(cursor, batch.rows, key=batch.key, order=batch.order),
                columns=target.columns,
                ids=self._writer.columns(batch.stream).target,
                state=state,
                name=self._named(".parquet"),
                row_group_bytes=batch.row_group_bytes,
            )
            merged, used = self._committed(cursor, batch, file, target, at=at)
        self._discard([state.folder.full + name for name in self._written if name not in used])
        return merged

    def _committed(
        self,
        cursor: duckdb.DuckDBPyConnection,
        batch: NewRows,
        file: PreparedFile | None,
        target: _Target,
        *,
        at: datetime,
    ) -> tuple[MergedRows, set[str]]:
        """What was done, and the names of the files that are in the catalog now."""
        found: _Found | None = None

        def write() -> tuple[MergedRows, set[str]]:
            nonlocal found
            if found is None:
                found = self._resolved(cursor, batch, file, target)
            if found.file is None and batch.through is None:
                return MergedRows(snapshot=None, written=0, replaced=0), set()
            commit = self._stated(cursor, batch, found)
            try:
                self._writer.commit(commit, at=at)
            except (TableMoved, LayoutMoved):
                found = None
                raise
            except AnswerLost:
                if self._writer.read_back(commit) is None:
                    raise
            used = {item.path for item in commit.files} | {item.path for item in commit.deletes.lists}
            written = sum(item.facts.block.rows[0] for item in commit.files)
            replaced = found.resolved.killed if commit.files else 0
            return MergedRows(snapshot=commit.snapshot, written=written, replaced=replaced), used

        return until_landed(write)

    def _resolved(
        self, cursor: duckdb.DuckDBPyConnection, batch: NewRows, file: PreparedFile | None, target: _Target
    ) -> _Found:
        state = self._writer.look(batch.stream)
        if _columns(cursor, batch.stream) != target.columns:
            raise NotProved("the table was altered while the rows were written")
        if file is None:
            return _Found(state=state, resolved=Resolved(killed=0, stale=0), file=None)
        resolved = resolve(
            cursor,
            target.table,
            columns=list(target.columns),
            state=state,
            prepared=file.path,
            key=batch.key,
            order=batch.order,
        )
        left: PreparedFile | None = file
        if resolved.stale:
            left = without(
                cursor,
                file,
                STALE,
                columns=target.columns,
                ids=self._writer.columns(batch.stream).target,
                state=state,
                name=self._named(".parquet"),
                row_group_bytes=batch.row_group_bytes,
            )
        return _Found(state=state, resolved=resolved, file=left)

    def _stated(self, cursor: duckdb.DuckDBPyConnection, batch: NewRows, found: _Found) -> MergeCommit:
        """The commit, with its lists written for the next snapshot. Where nothing is added, nothing is deleted."""
        snapshot = self._writer.head() + 1
        deletes = Deletes()
        if found.file is not None:
            deletes = write_lists(
                cursor, found.state, snapshot=snapshot, new_name=lambda: self._named("-delete.parquet")
            )
        return MergeCommit(
            commit_id=batch.commit_id,
            stream=batch.stream,
            state=found.state,
            snapshot=snapshot,
            files=[] if found.file is None else [found.file],
            deletes=deletes,
            through=batch.through,
        )

    def _named(self, end: str) -> str:
        self._written.append(f"ducklake-{self._new_name()}{end}")
        return self._written[-1]


def _columns(cursor: duckdb.DuckDBPyConnection, stream: StreamName) -> dict[str, str]:
    rows = cursor.execute(f"DESCRIBE {_Target(stream=stream, columns={}).table}").fetchall()
    return {row[0]: row[1] for row in rows}
