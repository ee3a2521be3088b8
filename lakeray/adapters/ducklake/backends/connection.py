"""Opening a DuckLake with DuckDB: extensions, secrets, attach. The same for readers, the committer and dbt."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.sql.quoting import literal
from lakeray.values.errors import CatalogError, UsageError

if TYPE_CHECKING:
    import duckdb

HTTP_RETRIES = {"http_retries": 6, "http_retry_wait_ms": 200, "http_retry_backoff": 2}
"""12 s of retries instead of 2: a storage server that starts again is no error. dbt's profile says the same."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class S3Access:
    """How DuckDB reaches object storage. ``repr`` shows nothing."""

    endpoint_url: str | None
    region: str
    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None = None

    @property
    def host(self) -> str | None:
        """The endpoint without its scheme, as DuckDB wants it."""
        return None if self.endpoint_url is None else self.endpoint_url.split("://", 1)[-1].rstrip("/")

    @property
    def use_ssl(self) -> bool:
        """Whether the endpoint is https."""
        return self.endpoint_url is None or self.endpoint_url.startswith("https://")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LakeAddress:
    """Where a lake is. ``repr`` shows nothing: the catalog string may hold a password."""

    catalog: str
    """``sqlite:/path`` or ``postgres:`` and a libpq string."""
    data_path: str
    extension_directory: Path
    temp_directory: Path
    memory_bytes: int
    """DuckDB's memory limit."""
    threads: int
    schema: str = "public"
    """The schema of a Postgres catalog."""
    password: str | None = None
    """Of a Postgres catalog. libpq gets it from the environment: in the catalog's string it would show in errors."""
    s3: S3Access | None = None

    @property
    def sqlite_path(self) -> Path | None:
        """The catalog's file, when it is SQLite."""
        return Path(self.catalog.removeprefix("sqlite:")) if self.catalog.startswith("sqlite:") else None

    @property
    def attach_path(self) -> str:
        """What DuckLake attaches."""
        return f"ducklake:{self.catalog}"


def connect(address: LakeAddress, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A DuckDB with the lake attached as ``lakehouse``.

    Raises:
        CatalogError: the catalog cannot be opened.
        UsageError: the catalog's scheme is unknown.
    """
    import duckdb  # 60 ms, which a feed with nothing new does not pay where Postgres answers

    from lakeray.adapters.ducklake import extensions

    if not address.catalog.startswith(("sqlite:", "postgres:")):
        raise UsageError("lake.catalog", expected="sqlite:/path or postgres:…", found="another scheme")
    extensions.install(address.extension_directory)
    connection = duckdb.connect(
        config={
            "extension_directory": str(address.extension_directory),
            "temp_directory": str(address.temp_directory),
            "memory_limit": f"{address.memory_bytes}B",
            "threads": str(address.threads),
            "autoinstall_known_extensions": "false",
            # It keeps the bytes of a path, whatever the object there is by now (P14).
            "enable_external_file_cache": "false",
            "preserve_insertion_order": "false",
        }
    )
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("LOAD ducklake")
        _attach(connection, address, read_only=read_only)
    except duckdb.Error as error:
        connection.close()
        raise CatalogError("the lake's catalog cannot be opened", found=first_line(error)) from error
    return connection


def _attach(connection: duckdb.DuckDBPyConnection, address: LakeAddress, *, read_only: bool) -> None:
    path = address.sqlite_path
    connection.execute("LOAD sqlite_scanner" if path is not None else "LOAD postgres_scanner")
    if address.s3 is not None:
        connection.execute("LOAD httpfs")
        for name, value in HTTP_RETRIES.items():
            connection.execute(f"SET {name} = {value}")
        connection.execute(_s3_secret(address.s3))
    if path is not None and not path.exists() and not read_only:
        _create_sqlite(connection, path)
    options = f"DATA_PATH {literal(address.data_path)}"
    if path is None:
        _prepare_postgres(connection, address)
        options += f", METADATA_SCHEMA {literal(address.schema)}, META_SCHEMA {literal(address.schema)}"
    if read_only:
        options += ", READ_ONLY"
    connection.execute(f"ATTACH {literal(address.attach_path)} AS lakehouse ({options})")


def _prepare_postgres(connection: duckdb.DuckDBPyConnection, address: LakeAddress) -> None:
    if address.password is not None:
        os.environ["PGPASSWORD"] = address.password
    # One committer and its readers seldom conflict; production users of DuckLake set 100–200 retries.
    # A backoff of 1.03 makes 100 of them take half a minute; with 1.1 the last wait alone would be eleven minutes.
    connection.execute("SET ducklake_max_retry_count = 100")
    connection.execute("SET ducklake_retry_wait_ms = 50")
    connection.execute("SET ducklake_retry_backoff = 1.03")


def _s3_secret(access: S3Access) -> str:
    parts = [
        "TYPE s3",
        f"REGION {literal(access.region)}",
        f"URL_STYLE {literal('path' if access.host else 'vhost')}",
        f"USE_SSL {'true' if access.use_ssl else 'false'}",
    ]
    for name, value in (
        ("ENDPOINT", access.host),
        ("KEY_ID", access.access_key_id),
        ("SECRET", access.secret_access_key),
        ("SESSION_TOKEN", access.session_token),
    ):
        if value is not None:
            parts.append(f"{name} {literal(value)}")
    return f"CREATE OR REPLACE SECRET lakeray_s3 ({', '.join(parts)})"


def _create_sqlite(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    # WAL, for a reader beside a committing writer: neither waits for the other. The mode stays with the file.
    # By DuckDB's own SQLite: a second SQLite library in one process would drop its POSIX locks.
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"ATTACH {literal(str(path))} AS fresh_catalog (TYPE sqlite, JOURNAL_MODE 'WAL')")
    connection.execute(
        "CREATE TABLE fresh_catalog.made (by_lakeray INTEGER)"
    )  # the mode is kept once a page is written
    connection.execute("DROP TABLE fresh_catalog.made")
    connection.execute("DETACH fresh_catalog")
