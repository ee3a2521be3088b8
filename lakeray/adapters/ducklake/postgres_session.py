"""The catalog writer's transaction in Postgres: pipelined statements, rows by COPY."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pa_csv
from psycopg import sql as compose

from lakeray.adapters.ducklake import postgres_catalog
from lakeray.adapters.ducklake.connection import LakeAddress
from lakeray.adapters.ducklake.session import Statement
from lakeray.adapters.ducklake.signals import CatalogFailed, Conflict
from lakeray.adapters.ducklake.writes import AnswerLost

_CSV = pa_csv.WriteOptions(include_header=False, quoting_style="all_valid")
"""Null is nothing, an empty text is two quotes: as COPY reads CSV."""
_CONFLICTS = (psycopg.errors.UniqueViolation, psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)
_PIECE_BYTES = 1 << 20


class PostgresSession:
    """The ``CatalogSession`` port of a Postgres catalog. Connects when it is first used, and again after it failed."""

    def __init__(self, address: LakeAddress) -> None:
        self._address = address
        self._connection: psycopg.Connection[Any] | None = None

    def begin(self) -> None:
        """Begin a transaction, on a new connection if the old one was lost meanwhile."""
        with self._answering():
            if self._connection is not None:
                try:
                    self._connection.execute("SELECT 1")
                except psycopg.OperationalError:
                    self._connection.close()
                else:
                    return
            self._connection = self._connect()

    def fetch(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement, in one round trip."""
        with self._answering(), self._open().pipeline():
            cursors = [self._sent(statement, values) for statement, values in statements]
            return [cursor.fetchall() for cursor in cursors]

    def execute(self, statements: Sequence[Statement]) -> None:
        """Run statements, in one round trip."""
        with self._answering(), self._open().pipeline():
            for statement, values in statements:
                self._sent(statement, values)

    def append(self, table: str, rows: pa.Table) -> None:
        """Append rows by COPY."""
        names = compose.SQL(", ").join(compose.Identifier(name) for name in rows.column_names)
        statement = compose.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(compose.Identifier(table), names)
        target = io.BytesIO()
        pa_csv.write_csv(rows, target, _CSV)
        data = target.getbuffer()
        with self._answering(), self._open().cursor() as cursor, cursor.copy(statement) as copy:
            for start in range(0, len(data), _PIECE_BYTES):
                copy.write(data[start : start + _PIECE_BYTES])

    def text(self, value: str | None) -> Any:
        """As bytes: Postgres' text cannot hold every character that a key can."""
        return None if value is None else value.encode("utf-8", "surrogatepass")

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
        connection = postgres_catalog.opened(self._address)
        connection.execute("SELECT set_config('search_path', %s, false)", [f'"{self._address.schema}"'])
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
