"""Registering one batch, by the catalog writer or through DuckLake's own call: data files, ledger, cursor in one
DuckLake snapshot (P7, P8).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

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
    until_landed,
)
from lakeray.adapters.ducklake.catalog.catalog_ids import TargetTable
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing.alter import alter, lacking
from lakeray.adapters.ducklake.writing.extension_writer import ExtensionWriter, FileRefused, RawStore
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.adapters.ducklake.writing.forget import release
from lakeray.adapters.ducklake.writing.statistics_repair import mend
from lakeray.values.errors import CatalogError, LeaseLostError
from lakeray.values.faults import Fault, FaultPoint
from lakeray.values.keys import file_day
from lakeray.values.model import (
    Accepted,
    Column,
    CommitOutcome,
    CommitRequest,
    Landed,
    LeaseIs,
    LedgerLacks,
    Refused,
    Rejected,
    StreamName,
    Unknown,
)
from lakeray.values.origins import origin_of
from lakeray.values.requirements import State, first_unmet

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog.writer import CatalogWriter

_Widened = Mapping[str, str | None]
"""Columns that were widened for a request, with their types before; None for those that were not there."""


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
        self._columns_at: dict[str, tuple[int, Mapping[str, str]]] = {}
        """By landing table: the schema version, and the columns as of it."""
        self._not_by_writer = "lake.writer is extension"

    def commit(self, request: CommitRequest, *, at: datetime) -> CommitOutcome:
        """Register the batch. Files that DuckLake itself refuses are left out and rejected; the others go on (P6).

        Raises:
            CatalogError: the catalog failed before the COMMIT; nothing was written.
            StorageError: the object store failed; nothing was written.
        """
        attempt = request
        widened: dict[str, str | None] = {}
        while True:
            try:
                return self._tried(attempt, widened=widened, at=at)
            except PathsWait as waiting:
                release(self._connection, token=self._token, stream=request.stream, paths=waiting.paths)
            except FileRefused as refused:
                attempt = self._call.without_refused(attempt, refused.cause)

    def _tried(self, request: CommitRequest, *, widened: dict[str, str | None], at: datetime) -> CommitOutcome:
        try:
            landed = self._written(request, widened=widened, at=at)
            if landed is not None:
                return landed
            self._attempt(request, widened=widened, at=at)
        except RequirementFailed as failed:
            return failed.refused
        except LeaseLostError as lost:
            return Refused(requirement=LeaseIs(token=self._token), expected=lost.expected, found=lost.found)
        except AnswerLost as lost:
            return Unknown(commit_id=request.commit_id, cause=str(lost))
        except duckdb.Error as error:
            raise CatalogError(
                f"{request.stream}: the commit failed and was rolled back", found=first_line(error)
            ) from error
        found = self.read_back(request.commit_id)
        if found is None:
            return Unknown(commit_id=request.commit_id, cause="COMMIT gave no error, yet nothing is there")
        self._mend_statistics(request, found)
        return replace(found, request=request, registered_by=self._by_call)

    def path(self, item: Accepted) -> str:
        """What is registered for a file."""
        return self._call.path(item)

    def commit_together(self, requests: Sequence[CommitRequest], *, at: datetime) -> dict[str, CommitOutcome]:
        """Register batches of different streams in one DuckLake snapshot; the outcomes by commit id.

        A batch that has none is for ``commit``: the writer left it out, or cannot write it. Nothing of it is written.
        """
        if self._writer is None or len(requests) < 2:
            return {}
        attempts = [attempt for attempt in (self._fitting(self._writer, item) for item in requests) if attempt]
        fit = [attempt.request for attempt in attempts]
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

    def _fitting(self, writer: CatalogWriter, request: CommitRequest) -> Attempt | None:
        """The batch as the writer can take it; None when it is to go alone, as one that widens its table does."""
        if any(item.needs for item in request.files):
            return None
        try:
            writer.require_statistics(request)
            return self._looked_up(writer, request, widened={})
        except (NotProved, Conflict, CatalogFailed):
            return None  # `commit` finds the same, and says it

    @property
    def _by_call(self) -> str:
        return f"DuckLake's call: {self._not_by_writer}"

    def _written(self, request: CommitRequest, *, widened: dict[str, str | None], at: datetime) -> Landed | None:
        """The commit by the writer; None when the batch is for DuckLake's call.

        Args:
            widened: the columns that were added for it so far, or their types before; grows.
        """
        if self._writer is None:
            return None
        try:
            return self._by_writer(self._writer, request, widened=widened, at=at)
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

    def _by_writer(
        self, writer: CatalogWriter, request: CommitRequest, *, widened: dict[str, str | None], at: datetime
    ) -> Landed:
        writer.require_statistics(request)  # before the landing table is widened for it
        needs = _needs(request)

        def write() -> Landed:
            attempt = self._looked_up(writer, request, widened=widened)
            now = self._columns_at[request.stream.landing_table][1]
            if lacking(now, needs):
                writer.require(attempt)  # what is refused widens nothing
                widened.update({**self._widen(request.stream, now, needs), **widened})
                writer.schema_version(TargetTable.landing(request.stream), again=True)
            written = writer.write([attempt], at=at)
            if written.snapshot is None:
                raise written.left_out[request.commit_id]
            return Landed(snapshot=written.snapshot, request=request, registered_by="catalog writer")

        return until_landed(write)

    def _looked_up(self, writer: CatalogWriter, request: CommitRequest, *, widened: _Widened) -> Attempt:
        """The request with its paths, and with the landing table's columns as they were before this commit."""
        table = request.stream.landing_table
        version = writer.schema_version(TargetTable.landing(request.stream))
        known = self._columns_at.get(table)
        if known is None or known[0] != version:
            try:
                with self._connection.cursor() as cursor:
                    known = self._columns_at[table] = (version, _columns(cursor, table))
            except duckdb.Error as error:
                raise CatalogFailed(first_line(error)) from error
        return Attempt(request=request, paths=self._paths(request), columns=_before(known[1], widened))

    def _widen(self, stream: StreamName, now: Mapping[str, str], needs: Sequence[Column]) -> _Widened:
        """Widening first, in a snapshot of its own, takes nothing in. The columns that it changes, as they were."""
        with fenced(self._connection, token=self._token, message=f"{stream}: new columns") as cursor:
            alter(cursor, stream.landing_table, now, needs)
            then = _columns(cursor, stream.landing_table)
        return {name: now.get(name) for name, kind in then.items() if now.get(name) != kind}

    def _paths(self, request: CommitRequest) -> list[str]:
        return [self._call.path(item) for item in request.files]

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

    def _attempt(self, request: CommitRequest, *, widened: _Widened, at: datetime) -> None:
        extra = commit_extra([request], registered_by=self._by_call)
        message = f"{request.stream}: {len(request.files)} file(s)"
        with fenced(self._connection, token=self._token, message=message, extra=extra) as cursor:
            self._require(cursor, request, widened=widened)
            self._call.widen(cursor, request)
            self._write_bookkeeping(cursor, request, at=at)
            self._call.register(cursor, request)
            self._fault(FaultPoint.BEFORE_COMMIT)
        self._fault(FaultPoint.AFTER_COMMIT)

    def _require(self, cursor: duckdb.DuckDBPyConnection, request: CommitRequest, *, widened: _Widened) -> None:
        """See that the requirements hold, in the transaction that touched the lease's row: the token is ours there."""
        stream, paths = request.stream, self._paths(request)
        at = cursor.execute(sql.load("ducklake/cursor"), [stream.source, stream.stream]).fetchone()
        lacks = [requirement.keys for requirement in request.requirements if isinstance(requirement, LedgerLacks)]
        keys = {"source": stream.source, "stream": stream.stream, "keys": [key for keys in lacks for key in keys]}
        live = cursor.execute(sql.load("ducklake/already_live"), keys).fetchall() if keys["keys"] else []
        doomed = cursor.execute(sql.load("ducklake/doomed"), {"paths": paths}).fetchall() if paths else []
        state = State(
            token=self._token,
            cursor_path=None if at is None else at[0],
            columns=_before(_columns(cursor, stream.landing_table), widened),
            live_keys={key for (key,) in live},
            live_paths={path for path, is_live in doomed if is_live},
        )
        refused = first_unmet(request.requirements, state)
        if refused is not None:
            raise RequirementFailed(refused)
        if doomed:
            raise PathsWait([path for path, _ in doomed])

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
            paths = self._paths(request)
            origins = [origin_of(item.file) for item in request.files]
            cursor.execute(sql.load("ducklake/insert_origins"), {**named, "paths": paths, "origins": origins})
            cursor.execute(
                sql.load("ducklake/insert_ledger"),
                {
                    **named,
                    **_ledger_rows(request.files),
                    "paths": paths,
                    "batch_id": request.batch_id,
                    "commit_id": request.commit_id,
                    "taken_at": at,
                },
            )
        left_out = [item for item in request.files if item.left_out]
        if left_out:
            cursor.execute(sql.load("ducklake/insert_left_out"), {**named, **_left_out_rows(left_out)})
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


def _columns(cursor: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    """A landing table's columns and types, in order; none when there is no table."""
    return dict(cursor.execute(sql.load("ducklake/columns"), ["staging", table]).fetchall())


def _before(columns: Mapping[str, str], widened: _Widened) -> dict[str, str]:
    before = {name: widened.get(name, kind) for name, kind in columns.items()}
    return {name: kind for name, kind in before.items() if kind is not None}


def _needs(request: CommitRequest) -> list[Column]:
    return list(dict.fromkeys(need for item in request.files for need in item.needs))


def _ledger_rows(files: Sequence[Accepted]) -> dict[str, list[str] | list[int] | list[date]]:
    return {
        "keys": [item.file.key for item in files],
        "etags": [item.file.etag for item in files],
        "sizes": [item.file.size_bytes for item in files],
        "rows": [item.footer.rows for item in files],
        "days": [file_day(item.file) for item in files],
    }


def _left_out_rows(files: Sequence[Accepted]) -> dict[str, list[str]]:
    return {
        "keys": [item.file.key for item in files],
        "etags": [item.file.etag for item in files],
        "fields": [json.dumps(item.left_out) for item in files],
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
