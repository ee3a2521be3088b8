"""Forgetting files whose bytes are gone or have become others (P14).

DuckLake cannot delete their rows: a DELETE reads the file. Nor may the file be expired and cleaned up in the usual
way: the path may hold a new object by now, and the clean-up would delete that. So the file leaves the catalog as if
it had never been registered, in one transaction of the catalog itself; no snapshot could have read it any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.values.errors import CatalogError
from lakeray.values.model import LedgerEntry, Removal, StreamName

_CATALOG = "__ducklake_metadata_lakehouse"
_OF_FILES = ("ducklake_file_column_stats", "ducklake_delete_file", "ducklake_data_file")


def forget(
    connection: duckdb.DuckDBPyConnection,
    *,
    token: int,
    stream: StreamName,
    paths: Sequence[str],
    entries: Sequence[LedgerEntry],
    reason: Removal,
    at: datetime,
) -> int:
    """Take the paths out of the catalog and mark their ledger entries removed; returns the rows that went.

    First the catalog, then the ledger: cut off in between, ``doctor`` finds entries that are not registered and a
    second call ends the work.

    Raises:
        CatalogError: the catalog failed.
    """
    try:
        with fenced(connection, token=token, message=f"{stream}: about to forget {len(paths)} file(s)"):
            pass  # a stale committer stops here, before the catalog is touched
        rows = leave_landing(connection, stream, paths)
        with fenced(connection, token=token, message=f"{stream}: {reason}, {len(entries)} file(s)") as cursor:
            insert_removals(cursor, stream, entries, reason=reason, at=at)
    except (duckdb.Error, AnswerLost) as error:
        raise CatalogError(
            f"{stream}: forgetting files was cut off", found=first_line(error), todo="Run it again: it goes on"
        ) from error
    return rows


def forget_to_register(
    connection: duckdb.DuckDBPyConnection,
    *,
    token: int,
    stream: StreamName,
    entries: Sequence[LedgerEntry],
    reason: Removal,
    replaces: bool,
    at: datetime,
) -> int:
    """Forget files whose objects are as they were, so that they can be registered anew; returns the rows that went.

    Until they are, the record of rejected files has them as ``retry``: cut off in between, the next feed takes them in.

    Args:
        replaces: their rows replace the very same records in the processed table.

    Raises:
        CatalogError: the catalog failed.
    """
    named = {"source": stream.source, "stream": stream.stream, "keys": [entry.key for entry in entries]}
    record = {
        **named,
        "etags": [entry.etag for entry in entries],
        "sizes": [entry.size_bytes for entry in entries],
        "reason": str(reason),
        "detail": "it left the landing table to be registered anew",
        "seen_at": at,
    }
    try:
        with fenced(connection, token=token, message=f"{stream}: about to register {len(entries)} anew") as cursor:
            cursor.execute(sql.load("ducklake/delete_quarantine"), named)
            cursor.execute(sql.load("ducklake/add_retry"), record)
            if replaces:
                cursor.execute(sql.load("ducklake/insert_registered_anew"), named)
    except (duckdb.Error, AnswerLost) as error:
        raise CatalogError(
            f"{stream}: registering files anew was cut off", found=first_line(error), todo="Run it again: it goes on"
        ) from error
    paths = [entry.registered_path for entry in entries]
    return forget(connection, token=token, stream=stream, paths=paths, entries=entries, reason=reason, at=at)


def release(connection: duckdb.DuckDBPyConnection, *, token: int, stream: StreamName, paths: Sequence[str]) -> None:
    """Make way for new objects under paths whose older registration still waits to be cleaned up.

    Part numbers are used again after deletions. The old bytes are gone; were the old registration left, its clean-up
    would delete the new object.

    Raises:
        LeaseLostError: the token is stale; nothing was changed.
        CatalogError: the catalog failed.
    """
    try:
        with fenced(connection, token=token, message=f"{stream}: {len(paths)} path(s) hold new objects"):
            pass
        leave_landing(connection, stream, paths)
        with connection.cursor() as cursor:
            unschedule(cursor, paths)
    except (duckdb.Error, AnswerLost) as error:
        raise CatalogError(
            f"{stream}: making way for new objects failed", found=first_line(error), todo="Run the feed again"
        ) from error


def unschedule(cursor: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Take paths off DuckLake's list of files to delete: the objects there are not the ones that were registered."""
    if paths:
        table = f"{_CATALOG}.ducklake_files_scheduled_for_deletion"
        cursor.execute(f"DELETE FROM {table} WHERE path IN (SELECT unnest(?))", [list(paths)])


def leave_catalog(cursor: duckdb.DuckDBPyConnection, identifiers: Sequence[int]) -> None:
    """Take data files out of the catalog as if they had never been registered, in one transaction of its own."""
    if not identifiers:
        return
    cursor.execute("BEGIN TRANSACTION")
    try:
        for table in _OF_FILES:
            cursor.execute(
                f"DELETE FROM {_CATALOG}.{table} WHERE data_file_id IN (SELECT unnest(?))", [list(identifiers)]
            )
        cursor.execute("COMMIT")
    except duckdb.Error:
        cursor.execute("ROLLBACK")
        raise


def leave_landing(connection: duckdb.DuckDBPyConnection, stream: StreamName, paths: Sequence[str]) -> int:
    """Take a landing table's files out of the catalog, as ``leave_catalog`` does; the rows that were live."""
    with connection.cursor() as cursor:
        found = cursor.execute(
            sql.load("ducklake/landing_file_ids"), {"table": stream.landing_table, "paths": list(paths)}
        )
        files = found.fetchall()
        leave_catalog(cursor, [row[0] for row in files])
    return sum(int(row[1]) for row in files)


def insert_removals(
    cursor: duckdb.DuckDBPyConnection,
    stream: StreamName,
    entries: Sequence[LedgerEntry],
    *,
    reason: Removal,
    at: datetime,
) -> None:
    """Mark ledger entries removed, inside the caller's transaction."""
    named = {"source": stream.source, "stream": stream.stream, "keys": [entry.key for entry in entries]}
    cursor.execute(sql.load("ducklake/delete_left_out"), named)
    cursor.execute(
        sql.load("ducklake/insert_removals"),
        {
            **named,
            "etags": [entry.etag for entry in entries],
            "snapshots": [entry.snapshot for entry in entries],
            "reason": str(reason),
            "key_may_return": reason.key_may_return,
            "removed_at": at,
        },
    )
