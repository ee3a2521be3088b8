"""The catalog writer's transaction in Postgres: pipelined statements, rows by COPY."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql as compose

from lakeray.adapters.ducklake.backends.postgres import catalog
from lakeray.adapters.ducklake.backends.postgres.catalog import PostgresSchema
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost, CatalogFailed, Conflict
from lakeray.adapters.ducklake.catalog.session import Rows, Statement, Step
from lakeray.values.column_types import quoted

_CSV = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
"""Null is nothing, an empty text is two quotes: as COPY reads CSV."""
_CONFLICTS = (psycopg.errors.UniqueViolation, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
_PIECE_ROWS = 20_000
_FEW = 100
"""Rows that go in beside other statements (inclusive); a COPY of more takes two round trips of its own."""


class PostgresSession:
    """The ``CatalogSession`` port of a Postgres catalog. Connects when it is first used, and again after it failed."""

    def __init__(self, schema: PostgresSchema) -> None:
        self._schema = schema
        self._connection: psycopg.Connection[Any] | None = None
        self._idle = False
        """Whether the connection has been idle since the transaction before."""

    def begin(self) -> None:
        """Begin a transaction, on a new connection if the old one was lost meanwhile."""
        with self._answering():
            if self._connection is None or self._connection.closed:
                self._connection = self._connect()
                self._idle = False
            else:
                self._idle = True

    def fetch(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement, in one round trip."""
        with self._answering():
            try:
                return self._fetched(statements)
            except psycopg.OperationalError:
                if not self._idle:
                    raise
                # Lost since the last transaction: nothing of this one was sent before.
                self._open().close()
                self._connection = self._connect()
                return self._fetched(statements)
            finally:
                self._idle = False

    def _fetched(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        with self._open().pipeline():
            cursors = [self._sent(statement, values) for statement, values in statements]
            return [cursor.fetchall() for cursor in cursors]

    def write(self, steps: Sequence[Step]) -> None:
        """Run statements and append rows: few of them in one round trip, many by COPY after it.

        Rows that are many must not be what a later statement looks for.
        """
        self._idle = False
        bulk = [step for step in steps if isinstance(step, Rows) and step.rows.num_rows > _FEW]
        with self._answering():
            with self._open().pipeline():
                for step in steps:
                    if not isinstance(step, Rows):
                        self._sent(*step)
                    elif 0 < step.rows.num_rows <= _FEW:
                        self._insert(step)
            for rows in bulk:
                self._copy(rows)

    def _insert(self, step: Rows) -> None:
        table = compose.Identifier(step.table)
        names = compose.SQL(", ").join(compose.Identifier(name) for name in step.rows.column_names)
        statement = compose.SQL(
            "INSERT INTO {} ({}) SELECT {} FROM json_populate_recordset(CAST(NULL AS {}), $1)"
        ).format(table, names, names, table)
        self._sent(statement.as_string(self._open()), [json.dumps(step.rows.to_pylist(), ensure_ascii=False)])

    def _copy(self, step: Rows) -> None:
        rows = step.rows.select(
            [name for name in step.rows.column_names if step.rows[name].null_count < len(step.rows)]
        )
        names = compose.SQL(", ").join(compose.Identifier(name) for name in rows.column_names)
        statement = compose.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(compose.Identifier(step.table), names)
        with self._open().cursor() as cursor, cursor.copy(statement) as copy:
            for start in range(0, len(rows), _PIECE_ROWS):  # Postgres takes one in while the next one is written
                target = pa.BufferOutputStream()
                pa_csv.write_csv(rows.slice(start, _PIECE_ROWS), target, _CSV)
                copy.write(memoryview(target.getvalue()))

    def text(self, value: str | None) -> Any:
        """As bytes: Postgres' text cannot hold every character that a key can."""
        return None if value is None else value.encode("utf-8", "surrogatepass")

    def texts(self, values: Sequence[str]) -> Any:
        """As an array of bytes, written as Postgres writes one: psycopg would take each by itself."""
        return _array(f"\\\\x{value.encode('utf-8', 'surrogatepass').hex()}" for value in values)

    def names(self, values: Sequence[str]) -> Any:
        """As an array of texts."""
        return _array(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)

    def commit(self) -> None:
        """Commit."""
        try:
            self._open().commit()
        except psycopg.Error as error:
            self.rollback()
            raise AnswerLost(str(error).split("\n", 1)[0]) from None

    def rollback(self) -> None:
        """Give the transaction up."""
        if self._connection is not None:
            with suppress(psycopg.Error):  # the connection is lost, and the transaction with it
                self._connection.rollback()

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()

    def _sent(self, statement: str, values: Sequence[Any]) -> psycopg.Cursor[Any]:
        return psycopg.RawCursor(self._open()).execute(statement, values)

    def _open(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            raise CatalogFailed("no connection to the Postgres catalog")
        return self._connection

    def _connect(self) -> psycopg.Connection[Any]:
        logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of each conflict, which is no news
        connection = catalog.opened(self._schema)
        connection.execute("SELECT set_config('search_path', %s, false)", [quoted(self._schema.name)])
        connection.commit()
        connection.autocommit = False
        return connection

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except _CONFLICTS as error:
            raise Conflict(str(error).split("\n", 1)[0]) from None
        except psycopg.Error as error:
            raise CatalogFailed(str(error).split("\n", 1)[0]) from None  # the cause may repeat the connection string


def _array(escaped: Iterable[str]) -> str:
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"
