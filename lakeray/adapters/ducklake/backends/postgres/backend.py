"""The catalog in a schema of a Postgres database: for several machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Protocol

from lakeray.adapters.ducklake.backends.backend import Backend, BookkeepingQueries, DuckDBSecret, LakePlace
from lakeray.adapters.ducklake.backends.postgres import catalog
from lakeray.adapters.ducklake.backends.postgres.catalog import PostgresSchema
from lakeray.adapters.ducklake.backends.postgres.queries import PostgresQueries
from lakeray.ports.committer import LeaseHolder, LeaseTerms
from lakeray.values.column_types import literal
from lakeray.values.errors import UsageError

if TYPE_CHECKING:
    import duckdb

    from lakeray.adapters.ducklake.catalog.session import CatalogSession

_LONGEST_NAME = 63
"""Bytes of an identifier: Postgres cuts a longer one off without an error (NAMEDATALEN)."""
_RETRIES = {"ducklake_max_retry_count": "100", "ducklake_retry_wait_ms": "50", "ducklake_retry_backoff": "1.03"}
"""One committer and its readers seldom conflict; production users of DuckLake set 100–200 retries. A backoff of 1.03
makes 100 of them take half a minute; with 1.1 the last wait alone would be eleven minutes."""
_SECRET = "lakeray_catalog"


class OpensLease(Protocol):
    """Makes a lease in Postgres."""

    def __call__(
        self,
        conninfo: str,
        *,
        secrets: Mapping[str, str],
        name: str,
        holder: str,
        terms: LeaseTerms,
        sessions: str | None,
    ) -> LeaseHolder:
        """The lease, not held yet."""


class PostgresBackend(Backend):
    """A schema, which is made when it is missing."""

    def __init__(
        self,
        conninfo: str,
        *,
        place: LakePlace,
        lease: OpensLease,
        schema: str = "public",
        password: str | None = None,
        last_password: str | None = None,
        network_timeout_s: float = 60.0,
        commits: bool = False,
    ) -> None:
        """Nothing is opened.

        Args:
            conninfo: a libpq string; the secrets in it leave it here.
            place: where the lake's files are.
            lease: makes the lease.
            schema: ``lake.schema``.
            password: goes before the one of the string; None leaves it to that, and without it to libpq.
            last_password: comes after the one of the string.
            network_timeout_s: a connection from which nothing came for so long is given up.
            commits: whether this is the committer's, whose sessions the next committer must find.

        Raises:
            UsageError: it is no libpq string, or the schema's name is none that Postgres can have.
        """
        super().__init__(place)
        if not 0 < len(schema.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME or "\0" in schema:
            raise UsageError(
                "lake.schema",
                expected=f"a name of 1 to {_LONGEST_NAME} bytes, as Postgres has them",
                found=repr(schema),
            )
        plain, secrets = catalog.without_secrets(conninfo)
        found = password or secrets.get("password") or last_password
        if found is not None:
            secrets["password"] = found
        self._name = f"{schema} {place.data_path}"
        self._sessions = catalog.committers(self._name)
        plain = catalog.within(plain, timeout_s=network_timeout_s, application_name=self._sessions if commits else None)
        self._schema = PostgresSchema(conninfo=plain, secrets=secrets, name=schema)
        self._lease = lease

    @property
    def catalog(self) -> str:
        """See ``Backend``."""
        return f"postgres:{self._schema.conninfo}"

    @property
    def shown(self) -> str:
        """The database and the schema, however they are reached, and whoever does."""
        return catalog.shown(self._schema)

    @property
    def catalog_extension(self) -> str:
        """See ``Backend``."""
        return "postgres_scanner"

    @property
    def catalog_options(self) -> Mapping[str, str]:
        """See ``Backend``. META_SCHEMA is for who reads the catalog's own tables, as ``lakeray_enriched`` does."""
        schema = literal(self._schema.name)
        secret = {"META_SECRET": literal(_SECRET)} if self._schema.secrets else {}
        return {"METADATA_SCHEMA": schema, "META_SCHEMA": schema, **secret}

    @property
    def catalog_settings(self) -> Mapping[str, str]:
        """See ``Backend``."""
        return _RETRIES

    @property
    def catalog_secret(self) -> DuckDBSecret | None:
        """See ``Backend``. libpq gets it from DuckDB: this process's environment is its children's too."""
        if not self._schema.secrets:
            return None
        return DuckDBSecret(name=_SECRET, type="postgres", scope="lakeray:", hidden=self._schema.secrets)

    def exists(self) -> bool:
        """See ``Backend``."""
        return catalog.exists(self._schema)

    def make(self, connection: duckdb.DuckDBPyConnection) -> None:  # noqa: ARG002
        """See ``Backend``."""
        catalog.make_schema(self._schema)

    def add_indexes(self) -> None:
        """See ``Backend``."""
        catalog.make_indexes(self._schema)

    def session(self, connection: duckdb.DuckDBPyConnection) -> CatalogSession:  # noqa: ARG002
        """See ``Backend``. A connection of its own."""
        from lakeray.adapters.ducklake.backends.postgres.session import PostgresSession  # brings psycopg and Arrow

        return PostgresSession(self._schema)

    def queries(self) -> BookkeepingQueries:
        """See ``Backend``."""
        return PostgresQueries(self._schema)

    def lease(self, *, holder: str, since: datetime, terms: LeaseTerms) -> LeaseHolder:  # noqa: ARG002
        """See ``Backend``. Postgres knows itself since when."""
        return self._lease(
            self._schema.conninfo,
            secrets=self._schema.secrets,
            name=self._name,
            holder=holder,
            terms=terms,
            sessions=self._sessions,
        )

    def clocks(self) -> Mapping[str, Callable[[], datetime]]:
        """See ``Backend``."""
        return {"Postgres": partial(catalog.time_of, self._schema)}
