"""What a Postgres catalog needs besides DuckLake: its schema, one index, and to be asked whether it is there.

psycopg takes 0.1 s to import, which an embedded lake does not pay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any, LiteralString

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.connection import LakeAddress
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
    "lakeray_removals_key": ("meta.removals", "(file_key)"),
    "lakeray_batches_snapshot": ("meta.batches", "(source, stream, begin_snapshot)"),
    "lakeray_batches_commit": ("meta.batches", "(commit_id)"),
}
"""Name to table and definition; a table of ``meta`` stands for the catalog's table that holds its rows."""
_EXISTING = "SELECT indexname FROM pg_indexes WHERE schemaname = %s"


def exists(address: LakeAddress) -> bool:
    """Whether there is a lake in the catalog's schema.

    Raises:
        CatalogError: Postgres does not answer.
    """
    with _connect(address) as connection:
        row = connection.execute("SELECT to_regclass(%s)", [f'"{address.schema}".ducklake_metadata']).fetchone()
    return row is not None and row[0] is not None


def time_of(address: LakeAddress) -> datetime:
    """What the clock of Postgres says.

    Raises:
        CatalogError: Postgres does not answer.
    """
    with _connect(address) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def make_schema(address: LakeAddress) -> None:
    """Make the schema; attaching needs it.

    Raises:
        CatalogError: Postgres does not answer, or does not let us.
    """
    from psycopg import sql as compose

    with _connect(address) as connection:
        schema = compose.Identifier(address.schema)
        if connection.execute("SELECT to_regnamespace(%s)", [address.schema]).fetchone() in (None, (None,)):
            connection.execute(compose.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))


def make_indexes(address: LakeAddress) -> None:
    """Make the indexes that DuckLake leaves out; without them a question costs more with every registered file.

    DuckLake reads column statistics by table and column (60 M rows took 2.2 s, with the index 11 ms), the files of some
    snapshots, and, when it cleans up, the statistics of a file. The others are for our own bookkeeping.

    Raises:
        CatalogError: Postgres does not answer, or does not let us.
    """
    from psycopg import sql as compose

    with _connect(address) as connection:
        schema = compose.Identifier(address.schema)
        found = {row[0] for row in connection.execute(_EXISTING, [address.schema]).fetchall()}
        text: Any = sql.load("postgres/inlined")
        rows = connection.execute(compose.SQL(text).format(catalog=schema)).fetchall() if INDEXES.keys() - found else []
        inlined = {str(row[0]): str(row[1]) for row in rows}
        for name, (table, definition) in INDEXES.items():
            place = inlined.get(table.removeprefix("meta."), "") if table.startswith("meta.") else table
            if name in found or not place:
                continue
            statement = compose.SQL("CREATE INDEX IF NOT EXISTS {} ON {} {}").format(
                compose.Identifier(name), compose.Identifier(address.schema, place), compose.SQL(definition)
            )
            connection.execute(statement)


def without_password(catalog: str) -> tuple[str, str | None]:
    """A ``postgres:`` catalog's string and the password that was in it: in errors and dbt's files it would show.

    Raises:
        UsageError: it is no libpq string.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        parts = conninfo_to_dict(catalog.removeprefix("postgres:"))
    except psycopg.ProgrammingError:
        raise UsageError(
            "lake.catalog", expected="postgres: and a libpq string", found="a text that libpq cannot read"
        ) from None  # the cause's text may repeat the string
    password = parts.pop("password", None)
    if password is None:
        return catalog, None
    return f"postgres:{make_conninfo(**{name: str(value) for name, value in parts.items()})}", str(password)


def conninfo(address: LakeAddress) -> str:
    """The libpq string, without a password."""
    return address.catalog.removeprefix("postgres:")


def opened(address: LakeAddress) -> psycopg.Connection[tuple[Any, ...]]:
    """A connection of the caller's own, each statement committed by itself.

    Raises:
        psycopg.Error: Postgres does not answer; the text may repeat the connection string.
    """
    import psycopg

    def connect() -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            conninfo(address), password=address.password, autocommit=True, connect_timeout=_CONNECT_S
        )

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
def _connect(address: LakeAddress) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    import psycopg

    try:
        with opened(address) as connection:
            yield connection
    except psycopg.Error as error:
        raise unanswered(error) from None
