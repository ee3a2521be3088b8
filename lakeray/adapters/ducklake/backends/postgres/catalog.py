"""What a Postgres catalog needs besides DuckLake: its schema, one index, and to be asked whether it is there.

psycopg takes 0.1 s to import, which an embedded lake does not pay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

from lakeray.adapters.ducklake import sql
from lakeray.values.column_types import quoted
from lakeray.values.errors import CatalogError, UsageError

if TYPE_CHECKING:
    import psycopg

_CONNECT_S = 10
INDEXES: dict[str, tuple[str, LiteralString]] = {
    "lakeray_file_column_stats": ("ducklake_file_column_stats", "(table_id, column_id)"),
    "lakeray_file_column_stats_file": ("ducklake_file_column_stats", "USING brin (data_file_id)"),
    "lakeray_data_file_table": ("ducklake_data_file", "(table_id, begin_snapshot)"),
    "lakeray_data_file_path": ("ducklake_data_file", "(path)"),
    "lakeray_data_file_end": ("ducklake_data_file", "(end_snapshot) WHERE end_snapshot IS NOT NULL"),
    "lakeray_ledger_key": ("meta.ledger", "(file_key)"),
    "lakeray_ledger_day": ("meta.ledger", "(source, stream, file_day)"),
    "lakeray_ledger_snapshot": ("meta.ledger", "(source, stream, begin_snapshot)"),
    "lakeray_removals_of_key": ("meta.removals", "(file_key)"),
    "lakeray_batches_snapshot": ("meta.batches", "(source, stream, begin_snapshot)"),
    "lakeray_batches_commit": ("meta.batches", "(commit_id)"),
}
"""Name to table and definition; a table of ``meta`` stands for the catalog's table that holds its rows."""
_EXISTING = "SELECT indexname FROM pg_indexes WHERE schemaname = %s"
_NAMESPACE = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
_WHERE = ("service", "host", "hostaddr", "port", "dbname")
"""The parameters of a libpq string that say which database it is; the others, how to reach it."""
_SECRETS = ("password", "sslpassword")
"""The parameters of a libpq string that nobody may see. DuckDB's Postgres secrets know them too."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PostgresSchema:
    """Where a catalog is, and what opens the door. ``repr`` shows nothing."""

    conninfo: str
    """A libpq string without secrets."""
    secrets: Mapping[str, str]
    """What is missing in it, by libpq's parameter."""
    name: str
    """The schema's."""


def exists(schema: PostgresSchema) -> bool:
    """Whether there is a lake in the catalog's schema.

    Raises:
        CatalogError: Postgres does not answer.
    """
    with _connect(schema) as connection:
        row = connection.execute("SELECT to_regclass(%s)", [f"{quoted(schema.name)}.ducklake_metadata"]).fetchone()
    return row is not None and row[0] is not None


def time_of(schema: PostgresSchema) -> datetime:
    """What the clock of Postgres says.

    Raises:
        CatalogError: Postgres does not answer.
    """
    with _connect(schema) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def make_schema(schema: PostgresSchema) -> None:
    """Make the schema; attaching needs it.

    Raises:
        CatalogError: Postgres does not answer, or does not let us.
    """
    from psycopg import sql as compose

    with _connect(schema) as connection:
        if connection.execute(_NAMESPACE, [schema.name]).fetchone() is None:
            name = compose.Identifier(schema.name)
            connection.execute(compose.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))


def make_indexes(schema: PostgresSchema) -> None:
    """Make the indexes that DuckLake leaves out; without them a question costs more with every registered file.

    DuckLake reads column statistics by table and column (60 M rows took 2.2 s, with the index 11 ms), the files of some
    snapshots, and, when it cleans up, the statistics of a file. The others are for our own bookkeeping.

    Raises:
        CatalogError: Postgres does not answer, or does not let us.
    """
    from psycopg import sql as compose

    with _connect(schema) as connection:
        found = {row[0] for row in connection.execute(_EXISTING, [schema.name]).fetchall()}
        if INDEXES.keys() <= found:
            return
        text: Any = sql.load("postgres/inlined")
        rows = connection.execute(compose.SQL(text).format(catalog=compose.Identifier(schema.name))).fetchall()
        inlined = {str(row[0]): str(row[1]) for row in rows}
        for name, (table, definition) in INDEXES.items():
            place = inlined.get(table.removeprefix("meta."), "") if table.startswith("meta.") else table
            if name in found or not place:
                continue
            statement = compose.SQL("CREATE INDEX IF NOT EXISTS {} ON {} {}").format(
                compose.Identifier(name), compose.Identifier(schema.name, place), compose.SQL(definition)
            )
            connection.execute(statement)


def without_secrets(conninfo: str) -> tuple[str, dict[str, str]]:
    """A libpq string and the secrets that were in it: in errors and dbt's files they would show.

    Raises:
        UsageError: it is no libpq string.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise UsageError(
            "lake.catalog", expected="postgres: and a libpq string", found="a text that libpq cannot read"
        ) from None  # the cause's text may repeat the string
    secrets = {name: str(parts.pop(name)) for name in _SECRETS if name in parts}
    if not secrets:
        return conninfo, {}
    return make_conninfo(**{name: str(value) for name, value in parts.items()}), secrets


def within(conninfo: str, *, timeout_s: float, application_name: str | None) -> str:
    """A libpq string whose connections end when the network is silent for so long.

    Without it a process whose network is cut waits a quarter of an hour for an answer, and two hours where it waits for
    none. What the string says by itself stays.

    Args:
        application_name: what the sessions call themselves; None leaves it to the string.
    """
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    quiet_s = max(1, int(timeout_s / 6))
    network = {
        "keepalives_idle": quiet_s,
        "keepalives_interval": quiet_s,
        "keepalives_count": 3,
        "tcp_user_timeout": int(timeout_s * 1000),
    }
    name = {} if application_name is None else {"application_name": application_name}
    parts = {**network, **conninfo_to_dict(conninfo), **name}
    return make_conninfo(**{key: str(value) for key, value in parts.items()})


def shown(schema: PostgresSchema) -> str:
    """Where the catalog is, for people: the database and the schema."""
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parts = conninfo_to_dict(schema.conninfo)
    where = {key: str(parts[key]) for key in _WHERE if parts.get(key) is not None}
    return f"postgres:{make_conninfo(**where)} schema={schema.name}"


def committers(name: str) -> str:
    """What the sessions of a lake's committer call themselves, so that the next one finds those that are left over.

    Args:
        name: the lake's, in its database.
    """
    return f"lakeray-committer-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def opened(schema: PostgresSchema) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of the caller's own, each statement committed by itself.

    Raises:
        psycopg.Error: Postgres does not answer; the text may repeat the connection string.
    """
    import psycopg

    def connect() -> psycopg.Connection[tuple[Any, ...]]:
        secrets: Any = schema.secrets
        return psycopg.connect(schema.conninfo, autocommit=True, connect_timeout=_CONNECT_S, **secrets)

    try:
        return connect()
    except psycopg.errors.ConnectionTimeout:
        # A process that was stopped meanwhile finds its time over though Postgres answers at once.
        return connect()


def unanswered(error: BaseException) -> CatalogError:
    """What is told when Postgres does not answer; raise it from None: the cause may repeat the connection string."""
    return CatalogError(
        "the Postgres catalog does not answer",
        found=str(error).split("\n", 1)[0],
        todo="Is it up, and are lake.catalog and its password right?",
    )


@contextmanager
def _connect(schema: PostgresSchema) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    import psycopg

    try:
        with opened(schema) as connection:
            yield connection
    except psycopg.Error as error:
        raise unanswered(error) from None
