"""A user's questions to the lake: a DuckDB of their own, that can read and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, BinaryIO

from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.duckdb_errors import first_line, is_of_the_storage
from lakeray.values.errors import StorageError, UsageError

if TYPE_CHECKING:
    import duckdb

PAGE_ROWS = 1000
"""Rows that are in Python at once."""
_GROUP_ROWS = 100_000
"""Rows of a row group of Parquet, at most."""
_EXPLAIN = re.compile(r"\s*EXPLAIN\s+(?:ANALYZE\s+)?(?:\([^()]*\)\s*)?", re.IGNORECASE)
_REACH_OUT = re.compile(r"\b(?:postgres_execute|postgres_query|sqlite_query|sqlite_execute)\b", re.IGNORECASE)
"""Functions that hand a text on to the catalog's database, which may do whatever the text says."""
_BEGINS_S = 0.1
"""How long a thread takes to begin, at most."""
_PATIENCE_S = 2.0
"""How long an interrupted question has to end; one that waits for the storage may not hear of it."""


class LakeQueries:
    """The ``QuerySession`` port. The lake is attached read-only, and is where names are looked for first."""

    def __init__(self, backend: Backend, *, leave_at_once: Callable[[], None]) -> None:
        """Open the lake.

        Args:
            leave_at_once: ends this process; called when a question does not end though it was interrupted.

        Raises:
            NoLakeError: there is none.
            CatalogError: the catalog cannot be opened.
        """
        self._connection = connect(backend, read_only=True)
        self._connection.execute("USE lakehouse")
        self._connection.execute("SET lock_configuration = true")
        self._leave_at_once = leave_at_once

    def close(self) -> None:
        """Let the lake go."""
        self._connection.close()

    def statements(self, text: str) -> Sequence[str]:
        """The statements of a text; each of them reads."""
        import duckdb

        try:
            found = self._connection.extract_statements(text)
        except duckdb.Error as error:
            raise _refused(error) from None
        for statement in found:
            self._check(statement)
        return [statement.query for statement in found]

    def _check(self, statement: duckdb.Statement) -> None:
        import duckdb

        kind = statement.type
        if kind == duckdb.StatementType.EXPLAIN:  # EXPLAIN ANALYZE runs what it explains
            inner = self._connection.extract_statements(_EXPLAIN.sub("", statement.query, count=1))
            kind = inner[0].type if len(inner) == 1 else kind
        if kind != duckdb.StatementType.SELECT or _REACH_OUT.search(statement.query):
            raise UsageError(
                f"sql: {str(kind).rpartition('.')[2]}",
                expected="statements that read: SELECT, FROM, WITH, SHOW, DESCRIBE, SUMMARIZE, EXPLAIN",
                found=" ".join(statement.query.split())[:60],
                todo="The lake's tables are written by feeds and by dbt models alone; "
                "a copy of a result: --format csv or parquet, and > FILE",
            )

    def ask(self, statement: str) -> DuckDBAnswer:
        """Run one statement."""
        cursor = self._connection.cursor()
        self.apart(lambda: cursor.execute("USE lakehouse").execute(statement), of=cursor)
        return DuckDBAnswer(cursor, session=self)

    def apart(self, call: Callable[[], Any], *, of: duckdb.DuckDBPyConnection) -> Any:
        """The call's answer, from a thread of its own: Ctrl-C reaches this one while DuckDB works.

        Args:
            of: the cursor that works: each is interrupted by itself.

        Raises:
            UsageError, StorageError: as of ``Answer.pages``.
        """
        import duckdb

        answer: list[Any] = []
        failed: list[BaseException] = []
        began, ended = Event(), Event()

        def work() -> None:
            began.set()
            try:
                answer.append(call())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                failed.append(error)
            finally:
                ended.set()

        try:
            Thread(target=work, daemon=True).start()
            ended.wait()  # not join: interrupted in it, Python 3.11 takes a thread that runs for one that ended
        except KeyboardInterrupt:
            if began.wait(_BEGINS_S):  # else it came before the thread did
                self._end(ended, of)
            raise
        if failed:
            raise _refused(failed[0]) if isinstance(failed[0], duckdb.Error) else failed[0]
        return answer[0]

    def _end(self, ended: Event, cursor: duckdb.DuckDBPyConnection) -> None:
        """Interrupt, again and again: a question that has not begun yet does not hear of it.

        A process that ends while DuckDB works in another thread is aborted: then it leaves at once.
        """
        until = monotonic() + _PATIENCE_S
        while not ended.is_set() and monotonic() < until:
            cursor.interrupt()
            ended.wait(0.02)
        if not ended.is_set():
            self._leave_at_once()


class DuckDBAnswer:
    """The ``Answer`` port: what a cursor has ready. DuckDB works on while it is read, and not far ahead."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, *, session: LakeQueries) -> None:
        self._cursor = cursor
        self._session = session

    @property
    def columns(self) -> Sequence[str]:
        """The columns' names."""
        return [column[0] for column in self._cursor.description or ()]

    def pages(self) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows, a page at a time."""
        while page := self._session.apart(lambda: self._cursor.fetchmany(PAGE_ROWS), of=self._cursor):
            yield page

    def write_parquet(self, target: BinaryIO) -> None:
        """Write the rows as one Parquet file, a row group at a time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        reader = self._session.apart(lambda: self._cursor.to_arrow_reader(_GROUP_ROWS), of=self._cursor)
        try:
            with pq.ParquetWriter(target, reader.schema) as writer:
                while (batch := self._session.apart(lambda: next(reader, None), of=self._cursor)) is not None:
                    writer.write_batch(batch)
        except pa.ArrowException as error:
            raise UsageError("sql --format parquet", found=first_line(error)) from None


def _refused(error: BaseException) -> UsageError | StorageError:
    if is_of_the_storage(error):
        return StorageError("sql: a data file cannot be read", found=first_line(error), todo="Run `lakeray doctor`")
    return UsageError("sql", expected="what DuckDB can run", found=str(error))
