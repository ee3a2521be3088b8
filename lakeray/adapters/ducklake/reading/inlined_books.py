"""The bookkeeping of an embedded lake, read where the catalog keeps it: 2 ms a table.

DuckLake 1.5.5 takes 10 to 160 ms for the same, the most for a table without rows: each scan of one asks the catalog
once per column. Only for what was proved: catalog format 1.0, and all rows of a table in one table of the catalog.
All else, and each statement with a table that is not like this, is DuckLake's to answer.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lakeray.adapters.ducklake import sql
from lakeray.values.column_types import quoted

if TYPE_CHECKING:
    import duckdb

Rows = list[tuple[Any, ...]]
_CATALOG = "__ducklake_metadata_lakehouse"
_META = re.compile(r"\blakehouse\.meta\.(\w+)")
_AND_SNAPSHOT = "SELECT *, snapshot_id FROM lakehouse.meta."
"""DuckLake's virtual column is one like others here."""
_TYPES = {
    "varchar": "VARCHAR",
    "int64": "BIGINT",
    "date": "DATE",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "boolean": "BOOLEAN",
}
"""DuckLake's names of the types that the bookkeeping has, as DuckDB writes them."""


class InlinedBooks:
    """Where the rows of each table of ``meta`` are; looked up again when the catalog changed. Threads may share it."""

    def __init__(self) -> None:
        self._found: tuple[Any, dict[str, str]] = (None, {})

    def rows(
        self, cursor: duckdb.DuckDBPyConnection, statement: str, values: list[Any] | dict[str, Any]
    ) -> Rows | None:
        """The rows of a statement; None when DuckLake must be asked.

        Where the rows are and what they say is read in one transaction: somebody may flush them into files in between.

        Raises:
            duckdb.Error: the catalog does not answer.
        """
        wanted = set(_META.findall(statement))
        if not wanted:
            return None
        cursor.execute("BEGIN TRANSACTION")
        try:
            tables = self._tables(cursor)
            if not wanted <= tables.keys():
                return None
            plain = statement.replace(_AND_SNAPSHOT, "SELECT * FROM lakehouse.meta.")
            return cursor.execute(_META.sub(lambda found: tables[found[1]], plain), values).fetchall()
        finally:
            cursor.execute("ROLLBACK")

    def _tables(self, cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
        state, tables = self._found
        now = cursor.execute(sql.load("ducklake/books_state")).fetchone()
        if now != state:
            found = cursor.execute(sql.load("ducklake/books_places")).fetchall()
            tables = {table: _shown(place, columns) for table, place, columns in found if _is_known(columns)}
            self._found = (now, tables)
        return tables


def _is_known(columns: list[dict[str, str]]) -> bool:
    return all(column["type"] in _TYPES for column in columns)


def _shown(place: str, columns: list[dict[str, str]]) -> str:
    """A query of the rows that are there now, as DuckLake shows them."""
    named = ", ".join(
        f"CAST({quoted(column['name'])} AS {_TYPES[column['type']]}) AS {quoted(column['name'])}" for column in columns
    )
    return f"(SELECT {named}, begin_snapshot AS snapshot_id FROM {_CATALOG}.{quoted(place)} WHERE end_snapshot IS NULL)"
