"""What lakeray asks of the database that holds the catalog: one object answers all of it, and nobody asks which it is.

A folder beside this module is a backend. What it says of itself is the abstract part of ``Backend``; how a DuckDB
attaches the lake, here or in dbt, follows from that and is written once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lakeray.ports.committer import LeaseHolder, LeaseTerms
from lakeray.values.column_types import literal

if TYPE_CHECKING:
    import duckdb

    from lakeray.adapters.ducklake.catalog.session import CatalogSession

HTTP_RETRIES = {"http_retries": "6", "http_retry_wait_ms": "200", "http_retry_backoff": "2"}
"""12 s of retries instead of 2: a storage server that starts again is no error."""
SETTINGS = {
    # Times read the same on every machine: casts and date parts of timestamps are in UTC.
    # dbt loads the extensions without checking their signatures again, as `extensions.opened` does; this ends that.
    "allow_unsigned_extensions": "false",
    "TimeZone": "UTC",
    # DuckDB's cache keeps the bytes of a path, whatever the object there is by now (P14).
    "enable_external_file_cache": "false",
    "preserve_insertion_order": "false",
}
"""Of every DuckDB that attaches a lake. dbt's profile has the same as its default."""
Values = Sequence[Any] | dict[str, Any]
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DuckDBSecret:
    """A secret of DuckDB's, which shows it to nobody. ``repr`` shows nothing either."""

    name: str
    type: str
    scope: str
    hidden: Mapping[str, str]
    """Parameters that nobody may see, in lower case."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The others."""

    def statement(self) -> str:
        """What makes it."""
        parameters = {**self.shown, **self.hidden}
        texts = "".join(f", {name} {literal(value)}" for name, value in parameters.items())
        return f"CREATE OR REPLACE SECRET {self.name} (TYPE {self.type}, SCOPE {literal(self.scope)}{texts})"

    def environment(self, place: str) -> dict[str, str]:
        """It for dbt's profile, under names with ``place``: dbt hides values whose names begin with DBT_ENV_SECRET_."""
        return {
            f"LAKERAY_DBT_{place}_SECRET_TYPE": self.type,
            **{f"LAKERAY_DBT_{place}_{name.upper()}": value for name, value in self.shown.items()},
            **{f"DBT_ENV_SECRET_LAKERAY_{place}_{name.upper()}": value for name, value in self.hidden.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class S3Access:
    """How DuckDB reaches object storage. ``repr`` shows nothing."""

    endpoint_url: str | None
    region: str
    access_key_id: str | None
    secret_access_key: str | None
    session_token: str | None = None

    def secret(self) -> DuckDBSecret:
        """The same for DuckDB, which wants the endpoint without its scheme."""
        url = self.endpoint_url
        endpoint = {} if url is None else {"endpoint": url.split("://", 1)[-1].rstrip("/")}
        hidden = {"key_id": self.access_key_id, "secret": self.secret_access_key, "session_token": self.session_token}
        return DuckDBSecret(
            name="lakeray_s3",
            type="s3",
            scope="s3://",
            hidden={name: value for name, value in hidden.items() if value},
            shown={
                **endpoint,
                "region": self.region,
                "url_style": "vhost" if url is None else "path",
                "use_ssl": "true" if url is None or url.startswith("https://") else "false",
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LakePlace:
    """Where the lake's files are, and what DuckDB may use; the same whatever holds the catalog."""

    data_path: str
    extension_directory: Path
    temp_directory: Path
    memory_bytes: int
    """DuckDB's memory limit."""
    threads: int
    s3: S3Access | None = None
    """How DuckDB reaches the raw files and the lake; None when both are in folders."""


class BookkeepingQueries(Protocol):
    """The bookkeeping read by the catalog's database itself, where that is faster. For any number of threads."""

    def rows(self, name: str, values: Values) -> Rows | None:
        """The rows of a named statement; None when DuckLake must be asked.

        Raises:
            CatalogError: the database does not answer, or refuses the statement.
        """

    def close(self) -> None:
        """Let the database go."""


class DuckLakeAnswers:
    """The ``BookkeepingQueries`` of a database that has no faster way: DuckLake is asked everything."""

    def rows(self, name: str, values: Values) -> Rows | None:  # noqa: ARG002
        """None, always."""
        return None

    def close(self) -> None:
        """Nothing is open."""


class Backend(ABC):
    """A catalog in one kind of database. Making one opens nothing; each call that asks the database says so."""

    def __init__(self, place: LakePlace) -> None:
        self.place = place

    # What each backend says of itself.

    @property
    @abstractmethod
    def catalog(self) -> str:
        """What DuckLake attaches, behind ``ducklake:``. Without a secret: it shows in errors and in dbt's files."""

    @property
    def shown(self) -> str:
        """Where the catalog is, for people who look for it; the same each time."""
        return self.catalog

    @property
    @abstractmethod
    def catalog_extension(self) -> str:
        """DuckDB's extension that reads the database."""

    @property
    def catalog_options(self) -> Mapping[str, str]:
        """Options of ATTACH beside DATA_PATH, each value an SQL literal."""
        return {}

    @property
    def catalog_settings(self) -> Mapping[str, str]:
        """Settings of DuckDB beside ``SETTINGS``."""
        return {}

    @property
    def keeps_rows_as_text(self) -> bool:
        """Whether rows that are inlined in the catalog are there as their texts are cast: any DuckDB reads them."""
        return False

    @property
    def catalog_secret(self) -> DuckDBSecret | None:
        """What DuckDB needs to enter the database; ``catalog_options`` names it."""
        return None

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a catalog.

        Raises:
            CatalogError: the database does not answer.
        """

    @abstractmethod
    def make(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make what attaching for writing needs and what is not there yet. Idempotent.

        Args:
            connection: a DuckDB that has the extensions, and nothing attached.

        Raises:
            CatalogError, duckdb.Error: the database does not answer, or does not let us.
        """

    @abstractmethod
    def add_indexes(self) -> None:
        """Make the indexes that DuckLake leaves out, once the bookkeeping is there. Idempotent.

        Raises:
            CatalogError: the database does not answer, or does not let us.
        """

    @abstractmethod
    def session(self, connection: duckdb.DuckDBPyConnection) -> CatalogSession:
        """The catalog writer's way into the database.

        Args:
            connection: a DuckDB that has the lake attached as ``lakehouse``.
        """

    @abstractmethod
    def queries(self) -> BookkeepingQueries:
        """Who reads the bookkeeping; it connects when it is first asked."""

    @abstractmethod
    def lease(self, *, holder: str, since: datetime, terms: LeaseTerms) -> LeaseHolder:
        """The right to be the committer (P10).

        Args:
            holder: who we are, for others that want the lease.
            since: since when.
            terms: how it is held.
        """

    @abstractmethod
    def clocks(self) -> Mapping[str, Callable[[], datetime]]:
        """What the clock of the database's server says, by the server's name; a CatalogError when it does not answer.

        Empty where the database has no server.
        """

    # What follows from it.

    @property
    def extensions(self) -> tuple[str, ...]:
        """DuckDB's extensions, in the order in which they are loaded."""
        return ("ducklake", self.catalog_extension, *(() if self.place.s3 is None else ("httpfs",)))

    @property
    def settings(self) -> dict[str, str]:
        """What is SET, once the extensions are loaded."""
        return {**SETTINGS, **({} if self.place.s3 is None else HTTP_RETRIES), **self.catalog_settings}

    @property
    def secrets(self) -> list[DuckDBSecret]:
        """What DuckDB needs to enter the catalog's database and the storage."""
        storage = None if self.place.s3 is None else self.place.s3.secret()
        return [secret for secret in (self.catalog_secret, storage) if secret is not None]

    @property
    def attach_options(self) -> dict[str, str]:
        """Options of ATTACH by name, each value an SQL literal."""
        return {"DATA_PATH": literal(self.place.data_path), **self.catalog_options}

    def attach_statement(self, *, read_only: bool, with_secret: bool = True) -> str:
        """What attaches the lake as ``lakehouse``.

        Args:
            with_secret: whether it names the DuckDB secret of the catalog's database, which only lakeray has.
        """
        wanted = self.attach_options.items()
        options = [f"{name} {value}" for name, value in wanted if with_secret or name != "META_SECRET"]
        options += ["READ_ONLY"] if read_only else []
        return f"ATTACH {literal(f'ducklake:{self.catalog}')} AS lakehouse ({', '.join(options)})"

    def dbt_environment(self) -> dict[str, str]:
        """All of it as dbt's profile reads it: lists and mappings as Python writes them."""
        secrets: dict[str, str] = {}
        if self.catalog_secret is not None:
            secrets |= self.catalog_secret.environment("CATALOG")
        if self.place.s3 is not None:
            secrets |= self.place.s3.secret().environment("S3")
        return {
            "LAKERAY_DBT_CATALOG": f"ducklake:{self.catalog}",
            "LAKERAY_DBT_ATTACH_OPTIONS": repr(self.attach_options),
            "LAKERAY_DBT_EXTENSIONS": repr(list(self.extensions)),
            "LAKERAY_DBT_SETTINGS": repr(self.settings),
            "LAKERAY_DBT_EXTENSION_DIRECTORY": str(self.place.extension_directory),
            "LAKERAY_DBT_TEMP_DIRECTORY": str(self.place.temp_directory),
            **secrets,
        }
