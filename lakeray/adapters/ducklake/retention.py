"""Taking rows and objects out, through the catalog alone (P13)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

import duckdb

from lakeray import sql
from lakeray.adapters.ducklake.connection import first_line
from lakeray.adapters.ducklake.writes import AnswerLost, fenced
from lakeray.column_types import quoted
from lakeray.errors import CatalogError, DamageError
from lakeray.faults import Fault, FaultPoint
from lakeray.model import LedgerEntry, StreamName

_CHUNK = 1000
"""Files per DELETE: DuckDB prunes an IN list of names to their files, and plans a longer one slowly."""


class DeletesRaw(Protocol):
    """The part of the object store that clean-up needs."""

    def url(self, key: str) -> str:
        """What is registered for a raw object."""

    def delete(self, key: str) -> None:
        """Delete one object; one that is gone already is no error."""


class Retention:
    """Removal and expiry on one connection, holding one fencing token."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, token: int, store: DeletesRaw, fault: Fault) -> None:
        self._connection = connection
        self._token = token
        self._store = store
        self._fault = fault

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: str, at: datetime) -> int:
        """Take whole files out of landing. Metadata only: every row of a file goes, so no delete file is written.

        Raises:
            DamageError: the landing table does not hold the rows that the ledger says; nothing was removed.
            CatalogError: the catalog failed.
        """
        removed = 0
        try:
            for chunk in _chunks(files):
                removed += self._remove_chunk(stream, chunk, reason=reason, at=at)
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(
                f"{stream}: clean-up was cut off", found=first_line(error), todo="Run it again: it goes on from here"
            ) from error
        self._fault(FaultPoint.AFTER_REMOVE)
        return removed

    def expire(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """Expire DuckLake snapshots that no consumer waits for, then let storage lose what none of them shows.

        Raises:
            DamageError: a path that is scheduled for deletion is still in use; nothing was deleted.
            CatalogError: the catalog or the storage failed.
        """
        try:
            with self._connection.cursor() as cursor:
                return self._expire(cursor, older_than=older_than, dry_run=dry_run)
        except duckdb.Error as error:
            raise CatalogError(
                "expiring DuckLake snapshots failed", found=first_line(error), todo="Run `lakeray clean` again"
            ) from error

    def _remove_chunk(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: str, at: datetime) -> int:
        paths = [entry.registered_path for entry in files]
        wanted = sum(entry.rows for entry in files)
        marks = ", ".join("?" for _ in paths)
        table = f"lakehouse.staging.{quoted(stream.landing_table)}"
        with fenced(self._connection, token=self._token, message=f"{stream}: {reason}, {len(files)} file(s)") as cursor:
            row = cursor.execute(f"DELETE FROM {table} WHERE filename IN ({marks})", paths).fetchone()
            found = 0 if row is None else int(row[0])
            if found != wanted:
                raise DamageError(
                    f"{stream}: the landing table and the ledger disagree about {len(files)} file(s)",
                    expected=f"{wanted:,} rows",
                    found=f"{found:,} rows",
                    todo="Nothing was removed. Run `lakeray doctor`",
                )
            cursor.execute(
                sql.load("insert_removals"),
                {
                    "source": stream.source,
                    "stream": stream.stream,
                    "keys": [entry.key for entry in files],
                    "etags": [entry.etag for entry in files],
                    "snapshots": [entry.snapshot for entry in files],
                    "reason": reason,
                    "removed_at": at,
                },
            )
        return found

    def _expire(self, cursor: duckdb.DuckDBPyConnection, *, older_than: datetime, dry_run: bool) -> list[str]:
        keep = cursor.execute(sql.load("keep_from")).fetchone()
        keep_from = keep[0] if keep is not None and keep[0] is not None else 2**62
        named = {"older_than": older_than, "keep_from": keep_from}
        snapshots = [row[0] for row in cursor.execute(sql.load("expirable"), named).fetchall()]
        if snapshots and not dry_run:
            cursor.execute("CALL ducklake_expire_snapshots('lakehouse', versions => ?)", [snapshots])
            self._fault(FaultPoint.AFTER_EXPIRE)
        live = cursor.execute(sql.load("scheduled_and_live")).fetchone()
        if live is not None:
            raise DamageError(
                "a file that is in use is scheduled for deletion",
                found=str(live[0]),
                todo="Nothing was deleted. Run `lakeray doctor`",
            )
        rows = cursor.execute("CALL ducklake_cleanup_old_files('lakehouse', dry_run => true, cleanup_all => true)")
        scheduled = [str(row[0]) for row in rows.fetchall()]
        if dry_run or not scheduled:
            return scheduled
        # Before DuckLake's own clean-up: cut off in between, the next run finds the same files scheduled.
        originals = self._delete_originals(cursor, scheduled)
        self._fault(FaultPoint.AFTER_ORIGINALS)
        cursor.execute("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")
        return scheduled + originals

    def _delete_originals(self, cursor: duckdb.DuckDBPyConnection, scheduled: list[str]) -> list[str]:
        """A converted copy stood for its raw object; when the copy goes, so does the object."""
        statement = (
            "SELECT file_key, registered_path FROM lakehouse.meta.ledger WHERE registered_path IN (SELECT unnest(?))"
        )
        rows = cursor.execute(statement, [scheduled]).fetchall()
        keys = [key for key, path in rows if path != self._store.url(key)]
        for key in keys:
            self._store.delete(key)
        return [self._store.url(key) for key in keys]


def _chunks(files: Sequence[LedgerEntry]) -> Iterator[Sequence[LedgerEntry]]:
    for at in range(0, len(files), _CHUNK):
        yield files[at : at + _CHUNK]
