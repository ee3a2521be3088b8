"""A merge as one transaction of the catalog's database: new data files, delete lists, statistics and the mark of
transformed_through in one DuckLake snapshot (P7, P10, P12).

The files and lists are written before it, for the snapshot that is to come. What was seen of the table when they were
made holds as long as no snapshot since has changed it; that is decided at the head that the commit builds on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog import bookkeeping_rows, data_file_rows, delete_rows
from lakeray.adapters.ducklake.catalog.attempts import Conflict, LayoutMoved, NotProved
from lakeray.adapters.ducklake.catalog.bookkeeping_rows import BookkeepingRows
from lakeray.adapters.ducklake.catalog.catalog_ids import CatalogIds, TargetTable, read_catalog_ids
from lakeray.adapters.ducklake.catalog.catalog_state import Before
from lakeray.adapters.ducklake.catalog.commit_rows import (
    bounds_of,
    head_of,
    lease,
    require_inlined,
    require_lease,
    sizes_of,
    snapshot_row,
)
from lakeray.adapters.ducklake.catalog.data_file_rows import PlannedFiles
from lakeray.adapters.ducklake.catalog.delete_rows import Deletes
from lakeray.adapters.ducklake.catalog.name_mappings import KnownMappings
from lakeray.adapters.ducklake.catalog.session import CatalogSession, Statement, Step, committing, looking
from lakeray.adapters.ducklake.catalog.table_files import TableState, files_of, folder_of
from lakeray.adapters.ducklake.values.file_statistics import FileStatistics
from lakeray.values.faults import Fault, FaultPoint
from lakeray.values.model import StreamName

MERGED_BY = "prepared merge"


class TableMoved(Conflict):
    """Somebody changed the table since it was looked at: what to delete must be found again. Nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedFile:
    """A data file that was written for the table, and is in no catalog yet."""

    path: str
    """Below the table's folder."""
    facts: FileStatistics


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeCommit:
    """What a merge writes of one table."""

    commit_id: str
    stream: StreamName
    state: TableState
    """The table as the deletes were found in it."""
    snapshot: int
    """For which the delete lists were written."""
    files: Sequence[PreparedFile]
    deletes: Deletes
    through: int | None
    """The DuckLake snapshot through which the stream is merged by this; None moves no mark."""

    @property
    def extra(self) -> str:
        """What travels with the snapshot, by which the commit is found again."""
        return json.dumps({"commit_id": self.commit_id, "stream": str(self.stream), "merged_by": MERGED_BY})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    head: tuple[int, int]
    """The commit's snapshot, and the first id that is free after it."""
    before: Before
    files: PlannedFiles
    mark: BookkeepingRows | None
    commit: MergeCommit


class MergeWriter:
    """Writes merges into processed tables, holding one fencing token."""

    def __init__(
        self, session: CatalogSession, *, token: int, connection: duckdb.DuckDBPyConnection, fault: Fault
    ) -> None:
        """Use a session.

        Args:
            connection: a DuckDB to compute with.
        """
        self._session = session
        self._token = token
        self._connection = connection
        self._fault = fault
        self._layouts: dict[TargetTable, CatalogIds] = {}

    def look(self, stream: StreamName) -> TableState:
        """The processed table as it is now.

        Raises:
            NotProved: the catalog or the table is not one that may be written directly.
            Conflict, CatalogFailed: the database failed.
        """
        target = TargetTable.processed(stream)
        with looking(self._session):
            head = head_of(self._session.fetch([(sql.load("catalog/head"), [])])[0])
            layout = self._layouts.get(target)
            if layout is None or layout.schema_version != head.schema_version:
                layout = read_catalog_ids(self._session, target, schema_version=head.schema_version)
                self._layouts[target] = layout
            table_id = layout.target.table_id
            files, folder, inlined = self._session.fetch(
                [
                    (sql.load("catalog/table_files"), [table_id]),
                    (sql.load("catalog/table_folder"), [table_id]),
                    (sql.load("catalog/inlined"), []),
                ]
            )
            self._require_in_files([place for number, place in inlined if number == table_id])
        return TableState(
            table_id=table_id,
            snapshot=head.snapshot,
            schema_version=head.schema_version,
            folder=folder_of(folder),
            files=files_of(files),
        )

    def columns(self, stream: StreamName) -> CatalogIds:
        """Where the table that was looked at is in the catalog."""
        return self._layouts[TargetTable.processed(stream)]

    def head(self) -> int:
        """The newest DuckLake snapshot: lists are written for its successor."""
        with looking(self._session):
            return head_of(self._session.fetch([(sql.load("catalog/head"), [])])[0]).snapshot

    def commit(self, commit: MergeCommit, *, at: datetime) -> int:
        """Commit once; the DuckLake snapshot.

        Raises:
            Conflict: somebody else committed, so the lists name another snapshot; nothing was written.
            TableMoved, LayoutMoved: the table is another one by now; nothing was written.
            NotProved: the bookkeeping may not be written directly any more.
            LeaseLostError: another committer took over; nothing was written.
            CatalogFailed: the database failed before the COMMIT.
            AnswerLost: the COMMIT may have landed (``read_back``).
        """
        with committing(self._session):
            plan = self._planned(commit, at=at)
            self._session.write(self._steps(plan, at=at))
            self._fault(FaultPoint.BEFORE_COMMIT)
        self._fault(FaultPoint.AFTER_COMMIT)
        return commit.snapshot

    def read_back(self, commit: MergeCommit) -> int | None:
        """As which DuckLake snapshot the commit landed; None when it did not (P9)."""
        with looking(self._session):
            statement = sql.load("catalog/landed"), [commit.state.snapshot, commit.extra]
            rows = self._session.fetch([statement])[0]
        return rows[0][0] if rows else None

    def close(self) -> None:
        """Let the session go."""
        self._session.close()

    def _require_in_files(self, places: Sequence[str]) -> None:
        """Rows that the catalog keeps are in no file, so no position tells them."""
        statements: list[Statement] = [
            (f"SELECT count(*) FROM {place} WHERE end_snapshot IS NULL", []) for place in places
        ]
        if any(rows[0][0] for rows in self._session.fetch(statements)):
            raise NotProved("rows of the table are kept in the catalog")

    def _planned(self, commit: MergeCommit, *, at: datetime) -> _Plan:
        layout = self._layouts[TargetTable.processed(commit.stream)]
        before, cursor = self._looked(commit, layout)
        files = data_file_rows.plan(
            [item.facts for item in commit.files],
            paths=[item.path for item in commit.files],
            layout=layout,
            before=before,
            known=KnownMappings(layout.target),
            session=self._session,
            own=True,
        )
        mark = None
        if commit.through is not None:
            mark = bookkeeping_rows.plan_mark(
                commit.stream,
                cursor[0],
                through=commit.through,
                layout=layout,
                before=before,
                at=at,
                session=self._session,
            )
        free = files.next_file_id + len(commit.deletes.lists) + (0 if mark is None else mark.tables)
        return _Plan(head=(commit.snapshot, free), before=before, files=files, mark=mark, commit=commit)

    def _looked(self, commit: MergeCommit, layout: CatalogIds) -> tuple[Before, list[tuple[Any, ...]]]:
        """What the catalog says now, if the commit may still be written."""
        stream = [self._session.text(commit.stream.source), self._session.text(commit.stream.stream)]
        tables = [layout.target.table_id, *(book.table_id for book in layout.bookkeeping.values())]
        cursor_in = layout.bookkeeping["feeder_cursors"].rows_in
        found, held, cursor, changes, sizes, bounds = self._session.fetch(
            [
                (sql.load("catalog/head"), []),
                lease(layout),
                (bookkeeping_rows.CURSOR.format(feeder_cursors=cursor_in), stream),
                (sql.load("catalog/changes_since"), [commit.state.snapshot]),
                (sql.load("catalog/table_stats"), [tables]),
                (sql.load("catalog/column_stats"), [tables]),
            ]
        )
        head = head_of(found)
        require_lease(held, token=self._token)
        if head.schema_version != layout.schema_version or head.schema_version != commit.state.schema_version:
            raise LayoutMoved
        if not commit.state.still_holds(head.snapshot, changes):
            raise TableMoved
        if head.snapshot + 1 != commit.snapshot:
            raise Conflict(f"the lists are for snapshot {commit.snapshot}, the next one is {head.snapshot + 1}")
        require_inlined(layout, sizes)
        if commit.through is not None and not cursor:
            raise NotProved(f"{commit.stream} has no cursor")
        return Before(head=head, cursor=None, sizes=sizes_of(sizes), bounds=bounds_of(bounds)), cursor

    def _steps(self, plan: _Plan, *, at: datetime) -> list[Step]:
        commit, files, mark = plan.commit, plan.files, plan.mark
        snapshot, free = plan.head
        changes = [*files.changes]
        if commit.deletes:
            changes.append(f"deleted_from_table:{commit.state.table_id}")
        changes += [] if mark is None else mark.changes
        values = [snapshot, ",".join(changes), "lakeray", f"{commit.stream}: merged", commit.extra]
        return [
            snapshot_row(replace(plan.before.head, next_file_id=free), at),
            (sql.load("catalog/add_changes"), values),
            *([] if mark is None else mark.steps(connection=self._connection)),
            *files.steps(self._session, known=KnownMappings(files.layout.target), connection=self._connection),
            *delete_rows.steps(
                commit.deletes,
                state=commit.state,
                snapshot=snapshot,
                first_id=files.next_file_id,
                at=at,
            ),
        ]
