"""The catalog writer's transaction in an embedded lake: through DuckDB's own SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import duckdb

from lakeray.adapters.ducklake.catalog.attempts import AnswerLost, CatalogFailed, Conflict
from lakeray.adapters.ducklake.catalog.session import Rows, Statement, Step
from lakeray.adapters.ducklake.duckdb_errors import first_line, sqlite_conflict

CATALOG = "__ducklake_metadata_lakehouse"


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

    def write(self, steps: Sequence[Step]) -> None:
        """Run statements and append rows."""
        for step in steps:
            if isinstance(step, Rows):
                self._append(step)
            else:
                self._run(*step)

    def text(self, value: str | None) -> Any:
        """As it is."""
        return value

    def texts(self, values: Sequence[str]) -> Any:
        """As they are."""
        return list(values)

    def names(self, values: Sequence[str]) -> Any:
        """As they are."""
        return list(values)

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

    def _append(self, rows: Rows) -> None:
        if not rows.rows.num_rows:
            return
        self._cursor.register("appended_rows", rows.rows)
        try:
            self._run(f"INSERT INTO {rows.table} BY NAME SELECT * FROM appended_rows", [])
        finally:
            self._cursor.unregister("appended_rows")

    def _run(self, statement: str, values: Sequence[Any]) -> duckdb.DuckDBPyConnection:
        try:
            return self._cursor.execute(statement, list(values))
        except duckdb.Error as error:
            raise (Conflict if sqlite_conflict(error) else CatalogFailed)(first_line(error)) from error
