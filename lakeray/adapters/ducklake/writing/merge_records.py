"""What merges left behind in the bookkeeping, and how DuckLake writes their rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.values.errors import CatalogError
from lakeray.values.model import Peak, RunRecord, StreamName

_OPTION = "parquet_row_group_size_bytes"


def insert_peaks(cursor: duckdb.DuckDBPyConnection, stream: StreamName, peaks: Sequence[Peak], *, at: datetime) -> None:
    """Write the records of merges, in a transaction that is open."""
    for peak in peaks:
        cursor.execute(
            sql.load("ducklake/insert_peak"),
            [
                stream.source,
                stream.stream,
                peak.from_snapshot,
                peak.to_snapshot,
                peak.files,
                peak.rows,
                peak.size_bytes,
                peak.projected_bytes,
                peak.peak_bytes,
                peak.fixed_bytes,
                peak.limit_bytes,
                str(peak.end),
                peak.spill,
                at,
            ],
        )


def insert_runs(cursor: duckdb.DuckDBPyConnection, records: Sequence[RunRecord]) -> None:
    """Write the records of one run, in a transaction that is open."""
    errors = [None if item.error is None else json.dumps(dict(item.error), ensure_ascii=False) for item in records]
    cursor.execute(
        sql.load("ducklake/insert_runs"),
        {
            "sources": [item.stream.source for item in records],
            "streams": [item.stream.stream for item in records],
            "at": records[0].at,
            "outcomes": [str(item.outcome) for item in records],
            "batches": [item.batches for item in records],
            "files": [item.files for item in records],
            "rows": [item.rows for item in records],
            "sizes": [item.size_bytes for item in records],
            "quarantined": [item.quarantined for item in records],
            "took_ms": [round(1000 * item.seconds) for item in records],
            "errors": errors,
        },
    )


def set_row_group(connection: duckdb.DuckDBPyConnection, size_bytes: int) -> None:
    """Bound what a thread collects before it writes a row group of a table in ``main`` (P5). Idempotent.

    Raises:
        CatalogError: the catalog does not take it.
    """
    try:
        found = connection.execute(
            "SELECT value FROM lakehouse.options() WHERE option_name = ? AND scope = 'SCHEMA' AND scope_entry = 'main'",
            [_OPTION],
        ).fetchone()
        if found is None or found[0] != str(size_bytes):
            connection.execute(f"CALL lakehouse.set_option('{_OPTION}', '{size_bytes}B', schema => 'main')")
    except duckdb.Error as error:
        raise CatalogError("the size of row groups cannot be set", found=first_line(error)) from error
