"""One transaction of the catalog database itself, below DuckLake: what the writer needs of Postgres and SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from lakeray.adapters.ducklake.connection import first_line
from lakeray.adapters.ducklake.signals import CatalogFailed, Conflict
from lakeray.adapters.ducklake.writes import AnswerLost

CATALOG = "__ducklake_metadata_lakehouse"
_CONFLICTS = ("UNIQUE constraint failed", "database is locked", "PRIMARY KEY")

Statement = tuple[str, Sequence[Any]]
"""SQL with ``$1`` placeholders, and their values."""


class CatalogSession(Protocol):
    """A connection to the catalog database. All calls raise ``Conflict`` or ``CatalogFailed``."""

    def begin(self) -> None:
        """Begin a transaction."""

    def fetch(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement, in as few round trips as can be."""

    def execute(self, statements: Sequence[Statement]) -> None:
        """Run statements, in as few round trips as can be."""

    def append(self, table: str, rows: pa.Table) -> None:
        """Append rows whose columns are named like the table's."""

    def text(self, value: str | None) -> Any:
        """A text as the catalog stores it in an inlined table."""

    def commit(self) -> None:
        """Commit.

        Raises:
            AnswerLost: it may have landed.
        """

    def rollback(self) -> None:
        """Give the transaction up. Never raises."""

    def close(self) -> None:
        """Let the connection go."""


class SqliteSession:
    """The ``CatalogSession`` of an embedded lake, through DuckDB's own SQLite: a second one would drop its locks."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._cursor = connection.cursor()
        self._cursor.execute(f"USE {CATALOG}")

    def begin(self) -> None:
        """Begin a transaction."""
        self._run("BEGIN TRANSACTION", [])

    def fetch(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement."""
        return [self._run(statement, values).fetchall() for statement, values in statements]

    def execute(self, statements: Sequence[Statement]) -> None:
        """Run statements."""
        for statement, values in statements:
            self._run(statement, values)

    def append(self, table: str, rows: pa.Table) -> None:
        """Append rows."""
        self._cursor.register("appended_rows", rows)
        try:
            self._run(f"INSERT INTO {table} BY NAME SELECT * FROM appended_rows", [])
        finally:
            self._cursor.unregister("appended_rows")

    def text(self, value: str | None) -> Any:
        """As it is."""
        return value

    def commit(self) -> None:
        """Commit."""
        try:
            self._cursor.execute("COMMIT")
        except duckdb.Error as error:
            self.rollback()
            raise AnswerLost(first_line(error)) from error

    def rollback(self) -> None:
        """Give the transaction up."""
        with suppress(duckdb.Error):  # a failed statement may have ended it already
            self._cursor.execute("ROLLBACK")

    def close(self) -> None:
        """Let the connection go."""
        self._cursor.close()

    def _run(self, statement: str, values: Sequence[Any]) -> duckdb.DuckDBPyConnection:
        try:
            return self._cursor.execute(statement, list(values))
        except duckdb.Error as error:
            cause = first_line(error)
            raise (Conflict if any(sign in str(error) for sign in _CONFLICTS) else CatalogFailed)(cause) from error
