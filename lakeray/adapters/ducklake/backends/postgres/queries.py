"""The bookkeeping read by Postgres itself, where the catalog is in Postgres.

Through DuckDB a query of an inlined table brings every row of it over, whatever the query asks for: it costs more with
each file that was ever taken in. Postgres answers the same question by an index. Only for what was proved: catalog
format 1.0, and every table of ``meta`` inlined in one table of the catalog; else DuckLake is asked.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import Rows, Values
from lakeray.adapters.ducklake.backends.postgres.catalog import PostgresSchema, opened, unanswered
from lakeray.adapters.ducklake.sql.earlier import in_postgres
from lakeray.values.column_types import quoted
from lakeray.values.errors import CatalogError

if TYPE_CHECKING:
    import psycopg

_FORMAT = "1.0"
QUERIES = frozenset(
    {
        "all_contract_notes",
        "all_cursors",
        "all_known",
        "all_landing_names",
        "all_waiting",
        "anything_scheduled",
        "arrivals",
        "cleanable",
        "cursor",
        "enriched_marks",
        "expirable",
        "expirable_from_to",
        "history",
        "keep_from",
        "kept_files",
        "known",
        "known_among",
        "lake_id",
        "last_batch",
        "left_out",
        "pending_transform",
        "quarantined",
        "registered",
        "scheduled_and_live",
        "scheduled_raw",
        "shown_no_more",
        "shown_only_before",
        "streams_marks",
        "tables",
        "totals",
    }
)
"""Statements that exist twice: ``{name}.sql`` for DuckLake and ``postgres_{name}.sql`` for Postgres."""
_TABLES = ("ledger", "removals", "quarantine", "batches", "feeder_cursors", "enriched_marks")
_LATER = ("left_out", "merged_by", "cursor_types", "origins")
"""A lake that an earlier version made lacks them until a committer opens it: nothing is in them then."""


class PostgresQueries:
    """Answers the bookkeeping's queries on one connection, which it opens when the first of them comes.

    For any number of threads: they take turns.
    """

    def __init__(self, schema: PostgresSchema) -> None:
        self._schema = schema
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        self._tables: dict[str, str] = {}
        self._turn = Lock()

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._tables = {}

    def rows(self, name: str, values: Values) -> Rows | None:
        """The rows of a named statement; None when DuckLake must be asked.

        Raises:
            CatalogError: Postgres does not answer, or refuses the statement.
        """
        if name not in QUERIES:
            return None
        with self._turn:
            return self._answered(name, values)

    def _answered(self, name: str, values: Values) -> Rows | None:
        import psycopg

        try:
            return self._asked(name, values)
        except psycopg.OperationalError:
            self.close()  # Postgres may have been started anew since the last question
        except psycopg.Error as error:
            raise _failed(error) from None
        try:
            return self._asked(name, values)
        except psycopg.Error as error:
            self.close()
            raise (unanswered(error) if isinstance(error, psycopg.OperationalError) else _failed(error)) from None

    def _asked(self, name: str, values: Values) -> Rows | None:
        from psycopg import sql as compose

        if self._connection is None:
            self._connection = opened(self._schema)
        tables, is_current = (self._tables, True) if self._tables else self._inlined(self._connection)
        if not tables:
            return None
        if is_current:  # a committer is about to put another table in the place of one that is not
            self._tables = tables
        # psycopg looks for placeholders in names too, once there are values.
        schema = self._schema.name.replace("%", "%%")
        names: dict[str, compose.Composable] = {
            table: compose.Identifier(schema, inlined) for table, inlined in tables.items()
        }
        written = sql.load(f"postgres/{name}")
        if any(f"{{{table}}}" in written and table not in names for table in _LATER):
            return None
        text: Any = written if is_current else in_postgres(written)
        statement = compose.SQL(text).format(catalog=compose.Identifier(schema), **names)
        flushed: Any = sql.load("postgres/flushed")
        with self._connection.pipeline():  # one round trip
            answer = self._connection.execute(statement, values)
            # Asked after it: rows that were flushed in between, by a CHECKPOINT of somebody else's, are not missed.
            is_flushed = self._connection.execute(
                compose.SQL(flushed).format(catalog=compose.Identifier(schema)), [list(_TABLES)]
            )
        if is_flushed.fetchone() is not None:
            self._tables = {}
            return None
        return answer.fetchall()

    def _inlined(self, connection: psycopg.Connection[tuple[Any, ...]]) -> tuple[dict[str, str], bool]:
        """The catalog's table of each table of ``meta``, and whether all are as this version makes them.

        No tables when one of them is not as it was proved.
        """
        from psycopg import sql as compose

        there = connection.execute("SELECT to_regclass(%s)", [f"{quoted(self._schema.name)}.ducklake_metadata"])
        if there.fetchone() in (None, (None,)):
            return {}, False
        text: Any = sql.load("postgres/inlined")
        statement = compose.SQL(text).format(catalog=compose.Identifier(self._schema.name))
        rows = connection.execute(statement).fetchall()
        sound = {table: name for table, name, count, version, _ in rows if count == 1 and version == _FORMAT}
        is_current = all(current for *_, current in rows)
        return (sound if all(table in sound for table in _TABLES) else {}), is_current


def _failed(error: BaseException) -> CatalogError:
    # Raised from None: the cause's text may repeat the connection string.
    return CatalogError(
        "reading the lake's bookkeeping failed", found=str(error).split("\n", 1)[0], todo="Run the command again"
    )
