"""Registering one batch, by the catalog writer or through DuckLake's own call: data files, ledger, cursor in one
DuckLake snapshot (P7, P8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, assert_never

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import (
    AnswerLost,
    Attempt,
    CatalogFailed,
    Conflict,
    LayoutMoved,
    NotProved,
    PathsWait,
    RequirementFailed,
    commit_extra,
    failed,
    until_landed,
)
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing.extension_writer import ExtensionWriter, FileRefused, RawStore, add_column
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.adapters.ducklake.writing.forget import release
from lakeray.adapters.ducklake.writing.statistics_repair import mend
from lakeray.values.column_types import parse_type, same_type
from lakeray.values.errors import CatalogError, LeaseLostError
from lakeray.values.faults import Fault, FaultPoint
from lakeray.values.keys import file_day
from lakeray.values.model import (
    Accepted,
    CommitOutcome,
    CommitRequest,
    ContractIs,
    CursorIs,
    Landed,
    LeaseIs,
    LedgerLacks,
    Refused,
    Rejected,
    Requirement,
    Unknown,
)

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog.writer import CatalogWriter


class Registration:
    """Commits batches on one connection, holding one fencing token."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        token: int,
        store: RawStore,
        fault: Fault,
        writer: CatalogWriter | None = None,
        writer_only: bool = False,
    ) -> None:
        """Commit through DuckLake's own call, or through a writer where it can.

        Args:
            writer_only: a batch that the writer cannot write is an error.
        """
        self._connection = connection
        self._token = token
        self._call = ExtensionWriter(connection, store=store)
        self._fault = fault
        self._writer = writer
        self._writer_only = writer_only
        self._checked: dict[str, tuple[int, Mapping[str, str]]] = {}
        self._not_by_writer = "lake.writer is extension"

    def commit(self, request: CommitRequest, *, at: datetime) -> CommitOutcome:
        """Register the batch. Files that DuckLake itself refuses are left out and rejected; the others go on (P6).

        Raises:
            CatalogError: the catalog failed before the COMMIT; nothing was written.
            StorageError: the object store failed; nothing was written.
        """
        attempt = request
        while True:
            try:
                landed = self._written(attempt, at=at)
                if landed is not None:
                    return landed
                self._attempt(attempt, at=at)
            except RequirementFailed as failed:
                return failed.refused
            except LeaseLostError as lost:
                return Refused(requirement=LeaseIs(token=self._token), expected=lost.expected, found=lost.found)
            except AnswerLost as lost:
                return Unknown(commit_id=request.commit_id, cause=str(lost))
            except PathsWait as waiting:
                release(self._connection, token=self._token, stream=request.stream, paths=waiting.paths)
            except FileRefused as refused:
                attempt = self._call.without_refused(attempt, refused.cause)
            except duckdb.Error as error:
                raise CatalogError(
                    f"{request.stream}: the commit failed and was rolled back", found=first_line(error)
                ) from error
            else:
                found = self.read_back(request.commit_id)
                if found is None:
                    return Unknown(commit_id=request.commit_id, cause="COMMIT gave no error, yet nothing is there")
                self._mend_statistics(attempt, found)
                return replace(found, request=attempt, registered_by=self._by_call)

    def commit_together(self, requests: Sequence[CommitRequest], *, at: datetime) -> dict[str, CommitOutcome]:
        """Register batches of different streams in one DuckLake snapshot; the outcomes by commit id.

        A batch that has none is for ``commit``: the writer left it out, or cannot write it. Nothing of it is written.
        """
        if self._writer is None or len(requests) < 2:
            return {}
        fit = [request for request in requests if self._fits(self._writer, request)]
        attempts = [Attempt(request=item, paths=[self._call.path(file) for file in item.files]) for item in fit]
        try:
            written = self._writer.write(attempts, at=at) if len(fit) > 1 else None
        except (Conflict, CatalogFailed, LayoutMoved):
            return {}  # nothing was written, and one by one is how that is sorted out
        except AnswerLost as lost:
            return {item.commit_id: Unknown(commit_id=item.commit_id, cause=str(lost)) for item in fit}
        if written is None or written.snapshot is None:
            return {}
        landed = [item for item in fit if item.commit_id not in written.left_out]
        return {
            item.commit_id: Landed(snapshot=written.snapshot, request=item, registered_by="catalog writer")
            for item in landed
        }

    def _fits(self, writer: CatalogWriter, request: CommitRequest) -> bool:
        """Whether the writer can take the batch as it is; a batch that widens its table goes alone."""
        if any(item.new_columns for item in request.files):
            return False
        try:
            writer.require_statistics(request)
            self._require_contract(writer, request, [])
        except (NotProved, RequirementFailed, Conflict, CatalogFailed):
            return False  # `commit` finds the same, and says it
        return True

    @property
    def _by_call(self) -> str:
        return f"DuckLake's call: {self._not_by_writer}"

    def _written(self, request: CommitRequest, *, at: datetime) -> Landed | None:
        """The commit by the writer; None when the batch is for DuckLake's call."""
        if self._writer is None:
            return None
        try:
            return self._by_writer(self._writer, request, at=at)
        except NotProved as reason:
            if self._writer_only:
                raise CatalogError(
                    f"{request.stream}: the catalog writer cannot write this batch; nothing was written",
                    found=str(reason),
                    todo="Set lake.writer=auto: DuckLake's own call then takes what the writer cannot",
                ) from None
            self._not_by_writer = str(reason)
            return None
        except CatalogFailed as failure:
            raise CatalogError(f"{request.stream}: the commit failed and was rolled back", found=str(failure)) from None

    def _by_writer(self, writer: CatalogWriter, request: CommitRequest, *, at: datetime) -> Landed:
        writer.require_statistics(request)  # before the landing table is widened for it
        paths = [self._call.path(item) for item in request.files]

        def write() -> Landed:
            self._require_contract(writer, request, paths)
            written = writer.write([Attempt(request=request, paths=paths)], at=at)
            if written.snapshot is None:
                raise written.left_out[request.commit_id]
            return Landed(snapshot=written.snapshot, request=request, registered_by="catalog writer")

        return until_landed(write)

    def _require_contract(self, writer: CatalogWriter, request: CommitRequest, paths: Sequence[str]) -> None:
        """ContractIs, and then the batch's new columns: widening first, in a snapshot of its own, takes nothing in."""
        table = request.stream.landing_table
        new = {column.name: column for item in request.files for column in item.new_columns}
        for requirement in request.requirements:
            if not isinstance(requirement, ContractIs):
                continue
            version = writer.schema_version(table)
            if not new and self._checked.get(table) == (version, requirement.columns):
                continue
            found = dict(self._columns(table))
            present = [name for name in new if name in found and name not in requirement.columns]
            if not _same_columns(requirement.columns, {n: kind for n, kind in found.items() if n not in present}):
                raise failed(requirement, f"{len(requirement.columns)} landing columns as planned", "other columns")
            lacking = [column for name, column in new.items() if name not in found]
            if lacking:
                writer.require(request, paths=paths)  # what is refused widens nothing
                with fenced(self._connection, token=self._token, message=f"{request.stream}: new columns") as cursor:
                    for column in lacking:
                        add_column(cursor, table, column.name, str(column.type))
                version = writer.schema_version(table, again=True)
            self._checked[table] = (version, requirement.columns)

    def _columns(self, table: str) -> list[tuple[str, str]]:
        with self._connection.cursor() as cursor:
            return cursor.execute(sql.load("ducklake/columns"), ["staging", table]).fetchall()

    def _mend_statistics(self, request: CommitRequest, landed: Landed) -> None:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("BEGIN TRANSACTION")
                mend(cursor, landing_table=request.stream.landing_table, snapshot=landed.snapshot)
                cursor.execute("COMMIT")
        except duckdb.Error as error:
            raise CatalogError(
                f"{request.stream}: the batch is registered, its table's statistics are not mended",
                found=first_line(error),
                todo="Run the feed again",
            ) from error

    def read_back(self, commit_id: str) -> Landed | None:
        """Whether the commit is in the catalog, and as which DuckLake snapshot (P9)."""
        try:
            with self._connection.cursor() as cursor:
                row = cursor.execute(
                    "SELECT snapshot_id FROM lakehouse.meta.batches WHERE commit_id = ?", [commit_id]
                ).fetchone()
        except duckdb.Error as error:
            raise CatalogError(
                f"whether commit {commit_id} landed cannot be read",
                found=first_line(error),
                todo="Run the feed again: it starts by looking what was taken in",
            ) from error
        return None if row is None else Landed(snapshot=row[0])

    def _attempt(self, request: CommitRequest, *, at: datetime) -> None:
        extra = commit_extra([request], registered_by=self._by_call)
        message = f"{request.stream}: {len(request.files)} file(s)"
        with fenced(self._connection, token=self._token, message=message, extra=extra) as cursor:
            for requirement in request.requirements:
                self._require(cursor, request, requirement)
            for column in (column for item in request.files for column in item.new_columns):
                add_column(cursor, request.stream.landing_table, column.name, str(column.type))
            self._write_bookkeeping(cursor, request, at=at)
            self._call.register(cursor, request)
            self._fault(FaultPoint.BEFORE_COMMIT)
        self._fault(FaultPoint.AFTER_COMMIT)

    def _require(self, cursor: duckdb.DuckDBPyConnection, request: CommitRequest, requirement: Requirement) -> None:
        named = {"source": request.stream.source, "stream": request.stream.stream}
        match requirement:
            case LeaseIs(token=token):
                if token != self._token:
                    raise failed(requirement, f"fencing token {token}", f"token {self._token}")
            case CursorIs(path=path):
                row = cursor.execute(sql.load("ducklake/cursor"), list(named.values())).fetchone()
                found = None if row is None else row[0]
                if found != path:
                    raise failed(requirement, f"cursor {path}", str(found))
            case ContractIs(columns=columns):
                rows = cursor.execute(
                    sql.load("ducklake/columns"), ["staging", request.stream.landing_table]
                ).fetchall()
                if not _same_columns(columns, dict(rows)):
                    raise failed(requirement, f"{len(columns)} landing columns as planned", "other columns")
            case LedgerLacks(keys=keys):
                rows = (
                    cursor.execute(sql.load("ducklake/already_live"), {**named, "keys": list(keys)}).fetchall()
                    if keys
                    else []
                )
                if rows:
                    raise failed(requirement, "files that are not taken in", f"taken in already: {rows[0][0]}")
                self._require_undoomed(cursor, request, requirement)
            case _:
                assert_never(requirement)

    def _require_undoomed(
        self, cursor: duckdb.DuckDBPyConnection, request: CommitRequest, requirement: LedgerLacks
    ) -> None:
        paths = [self._call.path(item) for item in request.files]
        rows = cursor.execute(sql.load("ducklake/doomed"), {"paths": paths}).fetchall() if paths else []
        live = [path for path, is_live in rows if is_live]
        if live:
            raise failed(requirement, "paths that are not registered", f"registered already: {live[0]}")
        if rows:
            raise PathsWait([path for path, _ in rows])

    def _write_bookkeeping(self, cursor: duckdb.DuckDBPyConnection, request: CommitRequest, *, at: datetime) -> None:
        named: dict[str, Any] = {"source": request.stream.source, "stream": request.stream.stream}
        touched = [item.file.key for item in request.files] + [item.file.key for item in request.rejected]
        cursor.execute(sql.load("ducklake/delete_quarantine"), {**named, "keys": touched})
        if request.rejected:
            cursor.execute(
                sql.load("ducklake/insert_quarantine"),
                {**named, **quarantine_rows(request.rejected), "status": "rejected", "seen_at": at},
            )
        if request.files:
            cursor.execute(
                sql.load("ducklake/insert_ledger"),
                {
                    **named,
                    **_ledger_rows(request.files),
                    "paths": [self._call.path(item) for item in request.files],
                    "batch_id": request.batch_id,
                    "commit_id": request.commit_id,
                    "taken_at": at,
                },
            )
        stream = request.stream
        cursor.execute(
            sql.load("ducklake/insert_batch"),
            [
                request.commit_id,
                request.batch_id,
                stream.source,
                stream.stream,
                len(request.files),
                request.rows,
                request.size_bytes,
                at,
            ],
        )
        write_cursor(cursor, stream.source, stream.stream, path=request.cursor_path, at=at)


def write_cursor(
    cursor: duckdb.DuckDBPyConnection, source: str, stream: str, *, path: str | None, at: datetime
) -> None:
    """Move the stream's public cursor inside the caller's transaction."""
    row = cursor.execute(
        "UPDATE lakehouse.meta.feeder_cursors SET cursor_path = ?, updated_at = ? WHERE source = ? AND stream = ?",
        [path, at, source, stream],
    ).fetchone()
    if row is None or row[0] == 0:
        cursor.execute("INSERT INTO lakehouse.meta.feeder_cursors VALUES (?, ?, ?, 0, ?)", [source, stream, path, at])


def _same_columns(wanted: Mapping[str, str], found: Mapping[str, str]) -> bool:
    return wanted.keys() == found.keys() and all(
        same_type(parse_type(kind), parse_type(found[name])) for name, kind in wanted.items()
    )


def _ledger_rows(files: Sequence[Accepted]) -> dict[str, list[str] | list[int] | list[date]]:
    return {
        "keys": [item.file.key for item in files],
        "etags": [item.file.etag for item in files],
        "sizes": [item.file.size_bytes for item in files],
        "rows": [item.footer.rows for item in files],
        "days": [file_day(item.file) for item in files],
    }


def quarantine_rows(rejected: Sequence[Rejected]) -> dict[str, list[str] | list[int]]:
    """Rejected files as the columns of ``insert_quarantine.sql``."""
    return {
        "keys": [item.file.key for item in rejected],
        "etags": [item.file.etag for item in rejected],
        "sizes": [item.file.size_bytes for item in rejected],
        "reasons": [str(item.reason) for item in rejected],
        "details": [item.detail for item in rejected],
    }
