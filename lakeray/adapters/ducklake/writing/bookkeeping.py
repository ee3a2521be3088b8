"""The bookkeeping of a lake: made when it is missing, brought up to date when an earlier version made it (ADR 0023)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.values.column_types import literal, quoted
from lakeray.values.errors import CatalogError
from lakeray.values.model import Removal

_MADE = re.compile(r"CREATE TABLE IF NOT EXISTS lakehouse\.meta\.(\w+)")
_CATALOG = "__ducklake_metadata_lakehouse"
_STANDING = [str(reason) for reason in Removal if not reason.key_may_return]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Removals:
    """How the catalog keeps meta.removals."""

    table_id: int
    column_id: int | None
    """Of ``key_may_return``; None in a lake of an earlier version."""
    places: Sequence[str]
    """The catalog's tables that hold its rows, the newest first."""
    is_flushed: bool
    """Whether some of its rows are in Parquet files."""


def ensure_bookkeeping(connection: duckdb.DuckDBPyConnection) -> bool:
    """See that every table of ``meta`` is there, as this version has it. Call it only while holding the lease.

    Says whether the connection is to be opened anew: DuckLake remembers where the rows were.

    Raises:
        CatalogError: the catalog failed. What was done so far is whole, and another call goes on.
    """
    try:
        with connection.cursor() as cursor:
            removals, is_made = _found(cursor)
            if not is_made:
                # Cut off half-way, or by an earlier version, the script runs again from the start.
                cursor.execute(sql.load("ducklake/meta_schema"))
                removals, _ = _found(cursor)
            assert removals is not None
            if removals.column_id is not None and len(removals.places) == 1:
                return False
            _renew(cursor, removals)
            return True
    except duckdb.Error as error:
        raise CatalogError("the lake's bookkeeping cannot be made", found=first_line(error)) from error


def _found(cursor: duckdb.DuckDBPyConnection) -> tuple[_Removals | None, bool]:
    tables = _MADE.findall(sql.load("ducklake/meta_schema"))
    asked = {"column": "key_may_return", "tables": tables}
    rows = {row[0]: row[1:] for row in cursor.execute(sql.load("ducklake/inlined_places"), asked).fetchall()}
    if "removals" not in rows:
        return None, False
    table_id, column_id, places, is_flushed = rows["removals"]
    removals = _Removals(table_id=table_id, column_id=column_id, places=places or [], is_flushed=is_flushed)
    return removals, rows.keys() >= set(tables)


def _renew(cursor: duckdb.DuckDBPyConnection, removals: _Removals) -> None:
    """Add the column, then say of the older rows what their reasons stood for.

    A column that is added leaves the older rows in another of the catalog's tables, for good; whoever reads or writes
    the bookkeeping directly wants them in one. Cut off in between, the older rows have nulls until the next call:
    their keys do not return until then.
    """
    if removals.column_id is None:
        cursor.execute("ALTER TABLE lakehouse.meta.removals ADD COLUMN key_may_return BOOLEAN")
        found, _ = _found(cursor)
        assert found is not None
        removals = found
    if removals.is_flushed:
        cursor.execute(sql.load("ducklake/fill_key_may_return"), {"standing": _STANDING})
    if len(removals.places) > 1:
        _gather(cursor, removals)


def _gather(cursor: duckdb.DuckDBPyConnection, removals: _Removals) -> None:
    """Move the rows into the newest place, as they are, with the new column; one transaction of the catalog.

    The older places stay, empty: a reader may remember them.
    """
    into, *older = removals.places
    standing = ", ".join(literal(reason) for reason in _STANDING)
    cursor.execute("BEGIN TRANSACTION")
    try:
        for place in older:
            cursor.execute(
                f"INSERT INTO {_CATALOG}.{quoted(into)} BY NAME SELECT *, "
                f"CAST(reason AS VARCHAR) NOT IN ({standing}) AS key_may_return FROM {_CATALOG}.{quoted(place)}"
            )
            cursor.execute(f"DELETE FROM {_CATALOG}.{quoted(place)}")
            cursor.execute(f"DELETE FROM {_CATALOG}.ducklake_inlined_data_tables WHERE table_name = ?", [place])
        column = [removals.table_id, removals.column_id]
        cursor.execute(
            f"DELETE FROM {_CATALOG}.ducklake_table_column_stats WHERE table_id = ? AND column_id = ?", column
        )
        cursor.execute(
            f"INSERT INTO {_CATALOG}.ducklake_table_column_stats BY NAME SELECT ? AS table_id, ? AS column_id, "
            "true AS contains_null, 'false' AS min_value, 'true' AS max_value",
            column,
        )
        cursor.execute("COMMIT")
    except duckdb.Error:
        cursor.execute("ROLLBACK")
        raise
