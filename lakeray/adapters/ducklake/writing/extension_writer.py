"""DuckLake's own call that registers files, and which of them it does not take (P6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.duckdb_errors import first_line, refuses_a_file, storage_failed
from lakeray.adapters.ducklake.writing.alter import alter
from lakeray.values.causes import storage_cause
from lakeray.values.errors import CatalogError
from lakeray.values.globs import glob_escaped
from lakeray.values.model import Accepted, CommitRequest, LedgerLacks, Rejected, RejectReason, SourceFile, StreamName
from lakeray.values.redaction import line_without_values
from lakeray.values.refusals import named_reason


class RawStore(Protocol):
    """The part of the object store that registration needs."""

    def url(self, key: str) -> str:
        """What is registered."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""


class FileRefused(Exception):
    """DuckLake does not take a file of the batch; its text says which, or not."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class ExtensionWriter:
    """Registers files inside a transaction of the caller's, and finds those that are refused."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, store: RawStore) -> None:
        self._connection = connection
        self._store = store

    def path(self, item: Accepted) -> str:
        """What is registered for a file."""
        return item.registered_path or self._store.url(item.file.key)

    def widen(self, cursor: duckdb.DuckDBPyConnection, request: CommitRequest) -> None:
        """Give the landing table what the request's files need of it, inside the open transaction."""
        needs = [need for item in request.files for need in item.needs]
        if needs:
            table = request.stream.landing_table
            have = dict(cursor.execute(sql.load("ducklake/columns"), ["staging", table]).fetchall())
            alter(cursor, table, have, needs)

    def register(self, cursor: duckdb.DuckDBPyConnection, request: CommitRequest) -> None:
        """Call it for the request's files, inside the open transaction.

        Raises:
            FileRefused: it does not take one of them.
            StorageError: the storage failed.
            duckdb.Error: the catalog failed.
        """
        paths = [glob_escaped(self.path(item)) for item in request.files]
        if not paths:
            return
        try:
            cursor.execute(sql.load("ducklake/register"), [request.stream.landing_table, paths])
        except duckdb.Error as error:
            _raise_unless_about_a_file(error, request.stream)
            raise FileRefused(str(error)) from error

    def without_refused(self, request: CommitRequest, cause: str) -> CommitRequest:
        """The request without the files that were refused, those rejected.

        Args:
            cause: what DuckLake said.

        Raises:
            CatalogError: it refuses none of the files by itself, or the catalog failed.
        """
        named = [item for item in request.files if _names(cause, self.path(item))]
        culprits = named or [item for item in request.files if self._refuses_alone(request, item)]
        if not culprits:
            raise CatalogError(f"{request.stream}: DuckLake refused the batch, but none of its files", found=cause)
        keys = {item.file.key for item in culprits}
        kept = tuple(item for item in request.files if item.file.key not in keys)
        return replace(
            request,
            files=kept,
            rejected=request.rejected + tuple(self._rejection(item, cause) for item in culprits),
            requirements=tuple(
                LedgerLacks(keys=tuple(item.file.key for item in kept)) if isinstance(r, LedgerLacks) else r
                for r in request.requirements
            ),
        )

    def _refuses_alone(self, request: CommitRequest, item: Accepted) -> bool:
        try:
            return self._tried_alone(request, item)
        except duckdb.Error as error:
            raise CatalogError(
                f"{request.stream}: the catalog failed; nothing was written", found=first_line(error)
            ) from error

    def _tried_alone(self, request: CommitRequest, item: Accepted) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute("BEGIN TRANSACTION")
            try:
                self.widen(cursor, replace(request, files=(item,)))
                paths = [glob_escaped(self.path(item))]
                cursor.execute(sql.load("ducklake/register"), [request.stream.landing_table, paths])
            except duckdb.Error as error:
                _raise_unless_about_a_file(error, request.stream)
                return True
            finally:
                cursor.execute("ROLLBACK")
        return False

    def _rejection(self, item: Accepted, cause: str) -> Rejected:
        now = self._store.head(item.file.key)
        if now is None:
            return Rejected(
                file=item.file,
                reason=RejectReason.VANISHED,
                detail="expected the object that was validated, found none",
            )
        if now.identity != item.file.identity:
            return Rejected(
                file=item.file,
                reason=RejectReason.CHANGED,
                detail=f"expected ETag {item.file.etag}, found {now.etag}: it was overwritten meanwhile",
            )
        reason, detail = named_reason(cause) or (RejectReason.REFUSED_BY_LAKE, line_without_values(cause))
        return Rejected(file=item.file, reason=reason, detail=detail)


def _raise_unless_about_a_file(error: duckdb.Error, stream: StreamName) -> None:
    """Raise ``error`` again unless DuckDB says by it that it cannot read or map a file."""
    if not refuses_a_file(error, in_storage=True):
        raise error
    if storage_failed(error):
        cause = storage_cause(str(error))
        raise cause(
            f"{stream}: the storage failed while files were registered; nothing was written",
            found=first_line(error),
            todo=cause.advice or "Run the feed again when the storage answers",
        ) from error


def _names(cause: str, path: str) -> bool:
    return f'"{path}"' in cause or f'"{glob_escaped(path)}"' in cause or f"'{path}'" in cause
