"""A lake on every backend of the catalog, its files in a folder or on S3: each with a database and place of its own."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from lakeray.adapters.services.state import ServicesState
from tests.realstack.stack import Stack
from tests.support.real.lake import Lake, Row

ODD = """Mein "Lake's" ünï {x} %s $1; --"""
"""A schema's name with all that some way of quoting minds."""
PASSWORD = """pg leaked 'pass\\word" {{ x }} $1"""
"""Of the role that owns a lake's database: Postgres wants it, over TCP."""
STREAM = "klaviyo/lists"
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Combination:
    """Which catalog, and where the files are."""

    catalog: str
    """``sqlite`` or ``postgres``."""
    schema: str = "public"
    s3: bool

    def __str__(self) -> str:
        where = {"sqlite": "SQLite"}.get(self.catalog, "public" if self.schema == "public" else "own schema")
        return f"{where}, {'S3' if self.s3 else 'folder'}"


CATALOGS = (("sqlite", "public"), ("postgres", "public"), ("postgres", ODD))
COMBINATIONS = [
    Combination(catalog=catalog, schema=schema, s3=s3) for catalog, schema in CATALOGS for s3 in (False, True)
]


class BackendLake(Lake):
    """A lake of a combination, on the servers where it needs them."""

    def __init__(self, root: Path, combination: Combination, stack: Stack) -> None:
        super().__init__(root)
        self.combination, self._stack, self._number = combination, stack, next(_numbers)
        (root / "conf" / "lake").mkdir(parents=True)
        if combination.catalog == "postgres":
            password = PASSWORD.replace("'", "''")
            stack.sql(f"CREATE ROLE {self.database} LOGIN PASSWORD '{password}'")
            stack.sql(f"CREATE DATABASE {self.database} OWNER {self.database}")
        (root / "conf" / "lake" / "this.yaml").write_text(yaml.safe_dump(self._lake()), encoding="utf-8")

    @property
    def database(self) -> str:
        """The Postgres database of this lake alone, and its owner."""
        return f"backends_{self._number}"

    @property
    def services(self) -> ServicesState:
        """The servers' addresses and keys."""
        return self._stack.state

    @property
    def settings(self) -> list[str]:
        """See ``Lake``."""
        return ["--config-dir", str(self.root / "conf"), "lake=this", f"paths.root={self.root}", *self._storage()]

    @property
    def data_path(self) -> str:
        """Where DuckLake's own files are."""
        return f"s3://landing/backends-{self._number}/" if self.combination.s3 else f"{self.root}/lake/"

    def catalogs(self) -> list[str]:
        """The schemas of the database that hold a DuckLake."""
        rows = self.in_postgres("SELECT schemaname FROM pg_tables WHERE tablename = 'ducklake_metadata' ORDER BY 1")
        return [name for (name,) in rows]

    def in_postgres(self, statement: str) -> list[Row]:
        """The rows of a query by Postgres itself, as its superuser."""
        return self._stack.sql(statement, dbname=self.database)

    @contextlib.contextmanager
    def connection(self, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """See ``Lake``; attached by hand, not as lakeray does."""
        services = self._stack.state
        config = {"extension_directory": str(self.root / "extensions"), "autoinstall_known_extensions": "false"}
        options = [f"DATA_PATH '{self.data_path}'", *(["READ_ONLY"] if read_only else [])]
        with duckdb.connect(config=config) as connection:
            connection.execute("LOAD ducklake; SET TimeZone = 'UTC'")
            if self.combination.s3:
                connection.execute(
                    f"LOAD httpfs; CREATE SECRET (TYPE s3, REGION 'us-east-1', URL_STYLE 'path', USE_SSL false, "
                    f"ENDPOINT '127.0.0.1:{services.s3_port}', KEY_ID '{services.s3_access_key_id}', "
                    f"SECRET '{services.s3_secret_access_key}')"
                )
            if self.combination.catalog == "sqlite":
                connection.execute("LOAD sqlite_scanner")
            else:
                schema, password = (text.replace("'", "''") for text in (self.combination.schema, PASSWORD))
                connection.execute(f"LOAD postgres_scanner; CREATE SECRET pg (TYPE postgres, PASSWORD '{password}')")
                options += [f"METADATA_SCHEMA '{schema}'", "META_SECRET 'pg'"]
            connection.execute(f"ATTACH 'ducklake:{self._catalog()}' AS lakehouse ({', '.join(options)})")
            yield connection

    def _catalog(self) -> str:
        if self.combination.catalog == "sqlite":
            return f"sqlite:{self.root}/catalog.sqlite"
        port = self._stack.state.postgres_port
        return f"postgres:host=127.0.0.1 port={port} dbname={self.database} user={self.database}"

    def _lake(self) -> dict[str, object]:
        return {
            "catalog": self._catalog(),
            "data_path": self.data_path,
            "schema": self.combination.schema,
            "password": PASSWORD if self.combination.catalog == "postgres" else None,
            "lease_wait_s": 10.0,
            "writer": "auto",
        }

    def _storage(self) -> list[str]:
        services = self._stack.state
        if not self.combination.s3:
            return [f"storage.url={self.raw.as_uri()}", "output=json"]
        return [
            "storage=s3",
            f"storage.url=s3://landing/backends-raw-{self._number}",
            f"storage.endpoint_url={services.s3_endpoint}",
            f"storage.access_key_id={services.s3_access_key_id}",
            f"storage.secret_access_key={services.s3_secret_access_key}",
            "output=json",
        ]
