"""Dropping a stream: its tables and its bookkeeping leave the lake, its raw files stay where they are (ADR 0038).

DuckLake deletes the files of a dropped table when its snapshots expire, whoever made them. So the raw objects leave the
catalog first, those that already wait for their deletion, too. Cut off in between, a second call ends the work.
"""

from __future__ import annotations

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.adapters.ducklake.writing.forget import leave_catalog, unschedule
from lakeray.values.column_types import quoted
from lakeray.values.errors import CatalogError
from lakeray.values.keys import is_registered_as_it_lies
from lakeray.values.model import StreamName

_OF_STREAMS = (
    *("ledger", "removals", "quarantine", "batches", "feeder_cursors", "peaks", "left_out", "merged_by"),
    *("registered_anew", "existing_files", "origins", "runs"),
)
_OF_MODELS = ("cursor_types", "row_warnings")


def drop_stream(connection: duckdb.DuckDBPyConnection, *, token: int, stream: StreamName) -> None:
    """Drop the stream's tables and forget that it was ever taken in.

    Raises:
        CatalogError: the catalog failed.
        LeaseLostError: another committer took over; nothing more was written.
    """
    try:
        with fenced(connection, token=token, message=f"{stream}: about to be dropped"):
            pass  # a stale committer stops here, before the catalog is touched
        with connection.cursor() as cursor:
            _keep_raw_files(cursor, stream)
        with fenced(connection, token=token, message=f"{stream}: dropped") as cursor:
            _drop_tables(cursor, stream)
            for table in _OF_STREAMS:
                where = "WHERE source = ? AND stream = ?"
                cursor.execute(f"DELETE FROM lakehouse.meta.{table} {where}", [stream.source, stream.stream])
            for table in _OF_MODELS:
                cursor.execute(f"DELETE FROM lakehouse.meta.{table} WHERE model = ?", [stream.processed_table])
    except (duckdb.Error, AnswerLost) as error:
        raise CatalogError(
            f"{stream}: dropping it was cut off", found=first_line(error), todo="Run it again: it goes on"
        ) from error


def _keep_raw_files(cursor: duckdb.DuckDBPyConnection, stream: StreamName) -> None:
    ledger = cursor.execute(
        "SELECT DISTINCT registered_path, file_key FROM lakehouse.meta.ledger WHERE source = ? AND stream = ?",
        [stream.source, stream.stream],
    ).fetchall()
    raw = {path for path, key in ledger if is_registered_as_it_lies(path, key=key)}
    copies = {path for path, _ in ledger} - raw
    files = cursor.execute(sql.load("ducklake/landing_files"), {"table": stream.landing_table}).fetchall()
    leave_catalog(cursor, [number for number, path in files if path not in copies])
    unschedule(cursor, sorted(raw))


def _drop_tables(cursor: duckdb.DuckDBPyConnection, stream: StreamName) -> None:
    own = {
        "staging": [stream.landing_table],
        "main": [stream.processed_table, f"{stream.processed_table}__tombstones"],
    }
    for schema, names in own.items():
        found = cursor.execute(
            "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = 'lakehouse' "
            "AND table_schema = ? AND table_name IN (SELECT unnest(?))",
            [schema, names],
        ).fetchall()
        for name, kind in found:
            what = "VIEW" if kind == "VIEW" else "TABLE"
            cursor.execute(f"DROP {what} lakehouse.{quoted(schema)}.{quoted(name)}")
