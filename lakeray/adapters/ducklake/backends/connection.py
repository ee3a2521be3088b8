"""Opening a DuckLake with DuckDB: extensions, secrets, attach. The same for readers, the committer and dbt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.duckdb_errors import first_line, lacks_lake
from lakeray.values.errors import CatalogError, NoLakeError

if TYPE_CHECKING:
    import duckdb


def connect(backend: Backend, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the lake attached as ``lakehouse``; for writing, a lake that is not there is made.

    Raises:
        NoLakeError: there is none to read.
        CatalogError: the catalog cannot be opened.
    """
    import duckdb  # 60 ms, which a feed with nothing new does not pay where Postgres answers

    from lakeray.adapters.ducklake import extensions

    place = backend.place
    config = {
        "temp_directory": str(place.temp_directory),
        "memory_limit": f"{place.memory_bytes}B",
        "threads": str(place.threads),
    }
    try:
        connection = extensions.opened(place.extension_directory, names=backend.extensions, config=config)
    except duckdb.Error as error:
        raise CatalogError("DuckDB cannot be opened with its extensions", found=first_line(error)) from error
    try:
        _attach(connection, backend, read_only=read_only)
    except duckdb.Error as error:
        connection.close()
        failed = NoLakeError if lacks_lake(error) else CatalogError
        raise failed("the lake's catalog cannot be opened", found=first_line(error)) from error
    except CatalogError:
        connection.close()
        raise
    return connection


def _attach(connection: duckdb.DuckDBPyConnection, backend: Backend, *, read_only: bool) -> None:
    for name, value in backend.settings.items():
        connection.execute(f"SET {name} = '{value}'")
    for secret in backend.secrets:
        connection.execute(secret.statement())
    if not read_only:
        backend.make(connection)
    connection.execute(backend.attach_statement(read_only=read_only))
