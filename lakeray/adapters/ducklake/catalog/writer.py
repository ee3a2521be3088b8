"""Registering batches, or taking files out, by writing DuckLake's catalog itself: one transaction of the catalog's
database (P7, P8, P10, P13).

The newest DuckLake snapshot is read first, and the commit adds its successor: whatever commits in between takes that
number, the catalog refuses the second, and everything is looked at again. So what was read holds when the commit
lands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog import bookkeeping_rows, data_file_rows
from lakeray.adapters.ducklake.catalog.attempts import (
    Attempt,
    LayoutMoved,
    LeftOut,
    NotProved,
    PathsWait,
    RequirementFailed,
    Written,
    commit_extra,
)
from lakeray.adapters.ducklake.catalog.catalog_ids import CatalogIds, TargetTable, read_catalog_ids
from lakeray.adapters.ducklake.catalog.catalog_state import Before, Head
from lakeray.adapters.ducklake.catalog.commit_rows import (
    as_text,
    bounds_of,
    head_of,
    lease,
    require_inlined,
    require_lease,
    sizes_of,
    snapshot_row,
)
from lakeray.adapters.ducklake.catalog.name_mappings import KnownMappings
from lakeray.adapters.ducklake.catalog.session import CatalogSession, Statement, Step, committing, looking
from lakeray.values.errors import LeaseLostError
from lakeray.values.faults import Fault, FaultPoint
from lakeray.values.keys import is_registered_as_it_lies
from lakeray.values.model import CommitRequest, LedgerEntry, LedgerLacks, Removal, StreamName
from lakeray.values.requirements import State, first_unmet

REGISTERED_BY = "catalog writer"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What one attempt writes, but for the snapshot itself."""

    steps: Sequence[Step]
    changes: Sequence[str]
    next_file_id: int


class CatalogWriter:
    """Writes commits into landing tables and takes files out of them, holding one fencing token."""

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
        self._mappings: dict[TargetTable, KnownMappings] = {}

    def write(self, attempts: Sequence[Attempt], *, at: datetime) -> Written:
        """Commit once: all the attempts, of different streams, in one DuckLake snapshot.

        An attempt whose requirements do not hold, or that cannot be written, is left out; why is told.
        ``schema_version`` must have been asked before for each landing table.

        Raises:
            Conflict: somebody else committed in between; nothing was written.
            CatalogFailed: the database failed before the COMMIT.
            AnswerLost: the COMMIT may have landed.
            LayoutMoved: ``schema_version`` is to be asked again.
        """
        self._session.begin()
        try:
            written = self._write(attempts, at=at)
            if written.snapshot is not None:
                self._fault(FaultPoint.BEFORE_COMMIT)
        except BaseException:
            self._session.rollback()
            raise
        if written.snapshot is None:
            self._session.rollback()
            return written
        self._session.commit()
        self._fault(FaultPoint.AFTER_COMMIT)
        return written

    def require(self, attempt: Attempt) -> None:
        """See that the request's requirements hold now; writes nothing. Raises as ``write`` does."""
        with looking(self._session):
            self._look(attempt)

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal, at: datetime) -> int:
        """Take whole files out of the landing table once; returns the rows that went.

        Nothing is read of the files: a DELETE through DuckLake opens every file that the table has, for nothing of
        the catalog tells it which of them hold the rows of these. Raw objects that are kept leave the catalog.

        Raises:
            NotProved: the catalog is not one that may be written directly, or the landing table does not hold these
                files as the ledger says; nothing was written.
            Conflict, CatalogFailed, AnswerLost, LayoutMoved, LeaseLostError: as of ``write``.
        """
        self.schema_version(TargetTable.landing(stream))
        with committing(self._session):
            self._remove(stream, files, reason=reason, at=at)
        return sum(entry.rows for entry in files)

    def _remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal, at: datetime) -> None:
        table = TargetTable.landing(stream)
        layout = self._layouts[table]
        book, landing = layout.bookkeeping["removals"].table_id, layout.target.table_id
        head, held, live, sizes, bounds = self._session.fetch(
            [
                (sql.load("catalog/head"), []),
                lease(layout),
                (
                    sql.load("catalog/live_files"),
                    [landing, self._session.names([entry.registered_path for entry in files])],
                ),
                (sql.load("catalog/table_stats"), [[each.table_id for each in layout.bookkeeping.values()]]),
                (sql.load("catalog/column_stats"), [[book]]),
            ]
        )
        require_lease(held, token=self._token)
        if head_of(head).schema_version != layout.schema_version:
            del self._layouts[table]
            raise LayoutMoved
        require_inlined(layout, sizes)
        _require_as_registered(files, live)
        before = Before(head=head_of(head), cursor=None, sizes=sizes_of(sizes), bounds=bounds_of(bounds))
        books = bookkeeping_rows.plan_removals(
            stream, files, layout=layout, before=before, reason=reason, at=at, session=self._session
        )
        changes = ",".join([f"deleted_from_table:{landing}", *books.changes])
        values = [books.snapshot, changes, "lakeray", f"{stream}: {reason}, {len(files)} file(s)", "{}"]
        self._session.write(
            [
                snapshot_row(replace(before.head, next_file_id=before.head.next_file_id + 1), at),
                (sql.load("catalog/add_changes"), values),
                *_leaving(live, files, reason=reason, snapshot=books.snapshot),
                *books.steps(connection=self._connection),
            ]
        )

    def require_statistics(self, request: CommitRequest) -> None:
        """See that the validation worked out what the catalog stores of every file.

        Raises:
            NotProved: it did not.
        """
        data_file_rows.statistics_of(request.files)

    def close(self) -> None:
        """Let the session go."""
        self._session.close()

    def _write(self, attempts: Sequence[Attempt], *, at: datetime) -> Written:
        head: Head | None = None
        taken: list[CommitRequest] = []
        changes: list[str] = []
        left_out: dict[str, LeftOut] = {}
        for attempt in attempts:
            try:
                # Inside the same transaction: what the attempts before it wrote is seen, sizes and bounds above all.
                layout, before = self._look(attempt)
                before = before if head is None else replace(before, head=head)
                plan = self._plan(attempt, layout=layout, before=before, at=at)
            except (RequirementFailed, PathsWait, NotProved, LeaseLostError) as reason:
                left_out[attempt.request.commit_id] = reason
                continue
            is_first, head = head is None, replace(before.head, next_file_id=plan.next_file_id)
            # The snapshot's row is the lock, and comes first, as DuckLake writes it: whoever commits at the same time
            # waits there, or we do. In another order two commits would wait for each other.
            self._session.write([snapshot_row(head, at), *plan.steps] if is_first else plan.steps)
            taken.append(attempt.request)
            changes += [change for change in plan.changes if change not in changes]
        if head is None:
            return Written(snapshot=None, left_out=left_out)
        snapshot = head.snapshot + 1
        grown = [(sql.load("catalog/grow_snapshot"), [head.next_file_id, snapshot])] if len(taken) > 1 else []
        self._session.write([*grown, _changes(taken, snapshot, changes)])
        return Written(snapshot=snapshot, left_out=left_out)

    def _plan(self, attempt: Attempt, *, layout: CatalogIds, before: Before, at: datetime) -> _Plan:
        request, paths, known = attempt.request, attempt.paths, self._known(attempt.request)
        files = data_file_rows.plan(
            data_file_rows.statistics_of(request.files),
            paths=paths,
            layout=layout,
            before=before,
            known=known,
            session=self._session,
        )
        books = bookkeeping_rows.plan(request, paths=paths, layout=layout, before=before, at=at, session=self._session)
        return _Plan(
            steps=[
                *books.steps(connection=self._connection),
                *files.steps(self._session, known=known, connection=self._connection),
            ],
            changes=[*files.changes, *books.changes],
            next_file_id=files.next_file_id + max(1, books.tables),
        )

    def _known(self, request: CommitRequest) -> KnownMappings:
        return self._mappings[TargetTable.landing(request.stream)]

    def schema_version(self, table: TargetTable, *, again: bool = False) -> int:
        """The version of the schema in which the table was looked at last.

        Args:
            again: look now.

        Raises:
            NotProved: the catalog is not one that may be written directly.
            Conflict, CatalogFailed: the database failed.
        """
        if again or table not in self._layouts:
            with looking(self._session):
                head = head_of(self._session.fetch([(sql.load("catalog/head"), [])])[0])
                layout = read_catalog_ids(self._session, table, schema_version=head.schema_version)
            self._layouts[table] = layout
            self._mappings[table] = KnownMappings(layout.target)
        return self._layouts[table].schema_version

    def _look(self, attempt: Attempt) -> tuple[CatalogIds, Before]:
        table = TargetTable.landing(attempt.request.stream)
        layout = self._layouts[table]
        found = self._session.fetch(self._questions(attempt.request, attempt.paths, layout))
        if head_of(found[0]).schema_version != layout.schema_version:
            del self._layouts[table]
            raise LayoutMoved
        require_inlined(layout, found[5])
        return layout, self._require(attempt, found)

    def _questions(self, request: CommitRequest, paths: Sequence[str], layout: CatalogIds) -> list[Statement]:
        text = self._session.text
        stream = [text(request.stream.source), text(request.stream.stream)]
        tables = [layout.target.table_id, *(book.table_id for book in layout.bookkeeping.values())]
        lacks = [requirement.keys for requirement in request.requirements if isinstance(requirement, LedgerLacks)]
        keys = self._session.texts(list(dict.fromkeys(key for keys in lacks for key in keys)))
        rows_in = {name: book.rows_in for name, book in layout.bookkeeping.items()}
        return [
            (sql.load("catalog/head"), []),
            lease(layout),
            (bookkeeping_rows.CURSOR.format(**rows_in), stream),
            (bookkeeping_rows.TAKEN_IN.format(**rows_in), [*stream, keys]),
            (sql.load("catalog/doomed"), [self._session.names(paths)]),
            (sql.load("catalog/table_stats"), [tables]),
            (sql.load("catalog/column_stats"), [tables]),
        ]

    def _require(self, attempt: Attempt, found: list[list[tuple[Any, ...]]]) -> Before:
        head, held, cursor, taken_in, doomed, sizes, bounds = found
        require_lease(held, token=self._token)
        state = State(
            token=self._token,
            cursor_path=as_text(cursor[0][0]) if cursor else None,
            columns=attempt.columns,
            live_keys={str(as_text(key)) for (key,) in taken_in},
            live_paths={path for path, is_live in doomed if is_live},
        )
        refused = first_unmet(attempt.request.requirements, state)
        if refused is not None:
            raise RequirementFailed(refused)
        if doomed:
            raise PathsWait(sorted({path for path, _ in doomed}))
        return Before(
            head=head_of(head),
            cursor=(cursor[0][2], cursor[0][1]) if cursor else None,
            sizes=sizes_of(sizes),
            bounds=bounds_of(bounds),
        )


def _require_as_registered(files: Sequence[LedgerEntry], live: Sequence[tuple[Any, ...]]) -> None:
    """Each file is registered once and live, with the ledger's rows, and none of them was deleted."""
    wanted = sorted((entry.registered_path, entry.rows) for entry in files)
    if sorted((path, rows) for _, path, rows, _ in live) != wanted or any(row[3] for row in live):
        raise NotProved("the landing table does not hold these files as the ledger says")


def _leaving(
    live: Sequence[tuple[Any, ...]], files: Sequence[LedgerEntry], *, reason: Removal, snapshot: int
) -> list[Statement]:
    """A raw object that is kept leaves the catalog at once: what has ended there, anybody's expiry has deleted."""
    kept = files if reason is Removal.KEPT else ()
    stay = {item.registered_path for item in kept if is_registered_as_it_lies(item.registered_path, key=item.key)}
    ended = [row[0] for row in live if row[1] not in stay]
    left = [row[0] for row in live if row[1] in stay]
    steps: list[Statement] = [(sql.load("catalog/end_files"), [snapshot, ended])] if ended else []
    tables = ("statistics", "deletions", "data_files") if left else ()
    return steps + [(sql.load(f"catalog/forget_{name}"), [left]) for name in tables]


def _changes(requests: Sequence[CommitRequest], snapshot: int, changes: Sequence[str]) -> Statement:
    extra = commit_extra(requests, registered_by=REGISTERED_BY)
    message = ", ".join(f"{request.stream}: {len(request.files)} file(s)" for request in requests)
    return sql.load("catalog/add_changes"), [snapshot, ",".join(changes), "lakeray", message, json.dumps(extra)]
