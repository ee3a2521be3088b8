"""What a Postgres catalog needs besides DuckLake: its schema, one index, and to be asked whether it is there.

psycopg takes 0.1 s to import, which an embedded lake does not pay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakeray.adapters.ducklake.connection import LakeAddress
from lakeray.errors import CatalogError, UsageError

if TYPE_CHECKING:
    import psycopg

_CONNECT_S = 10


def exists(address: LakeAddress) -> bool:
    """Whether there is a lake in the catalog's schema.

    Raises:
        CatalogError: Postgres does not answer.
    """
    with _connect(address) as connection:
        row = connection.execute("SELECT to_regclass(%s)", [f'"{address.schema}".ducklake_metadata']).fetchone()
    return row is not None and row[0] is not None


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


def make_index(address: LakeAddress) -> None:
    """DuckLake reads column statistics by table and column and makes no index: 60 M rows took 2.2 s, with it 11 ms.

    Raises:
        CatalogError: Postgres does not answer, or does not let us.
    """
    from psycopg import sql as compose

    table = compose.Identifier(address.schema, "ducklake_file_column_stats")
    with _connect(address) as connection:
        connection.execute(
            compose.SQL("CREATE INDEX IF NOT EXISTS lakeray_file_column_stats ON {} (table_id, column_id)").format(
                table
            )
        )


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


@contextmanager
def _connect(address: LakeAddress) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    import psycopg

    try:
        with psycopg.connect(
            conninfo(address), password=address.password, autocommit=True, connect_timeout=_CONNECT_S
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise CatalogError(
            "the Postgres catalog does not answer",
            found=str(error).split("\n", 1)[0],
            todo="Is it up, and are lake.catalog and its password right?",
        ) from None  # the cause's text may repeat the connection string
