"""The catalog in an SQLite file: the embedded lake, for one machine."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lakeray.adapters.ducklake.backends.backend import Backend, BookkeepingQueries, DuckLakeAnswers, LakePlace
from lakeray.ports.committer import LeaseHolder, LeaseTerms
from lakeray.values.column_types import literal
from lakeray.values.errors import UsageError

if TYPE_CHECKING:
    import duckdb

    from lakeray.adapters.ducklake.catalog.session import CatalogSession

_ONLY_SCHEMA = "public"
"""The default of ``lake.schema``: an SQLite file has no schemas to choose from."""


class OpensLease(Protocol):
    """Makes a lease on this machine."""

    def __call__(self, *, holder: str, since: datetime, terms: LeaseTerms) -> LeaseHolder:
        """The lease, not held yet."""


class SqliteBackend(Backend):
    """A file that is made in WAL mode."""

    def __init__(self, path: str, *, place: LakePlace, lease: OpensLease, schema: str = _ONLY_SCHEMA) -> None:
        """Nothing is opened.

        Args:
            path: the file's; from the current folder if it is relative.
            place: where the lake's files are.
            lease: makes the lease.
            schema: ``lake.schema``.

        Raises:
            UsageError: there is no path, or a schema was chosen.
        """
        super().__init__(place)
        if not path:
            raise UsageError("lake.catalog", expected="sqlite:/path", found="no path")
        if schema != _ONLY_SCHEMA:
            raise UsageError(
                "lake.schema",
                expected=f"{_ONLY_SCHEMA}, for an SQLite catalog has no schemas",
                found=schema,
                todo="Leave it out, or choose another file by lake.catalog; only a catalog in Postgres has schemas",
            )
        self._path = Path(path)
        self._lease = lease

    @property
    def catalog(self) -> str:
        """See ``Backend``."""
        return f"sqlite:{self._path}"

    @property
    def shown(self) -> str:
        """With the machine: the file is on none but that."""
        return f"{self.catalog} on {platform.node()}"

    @property
    def catalog_extension(self) -> str:
        """See ``Backend``."""
        return "sqlite_scanner"

    @property
    def keeps_rows_as_text(self) -> bool:
        """See ``Backend``."""
        return True

    def exists(self) -> bool:
        """See ``Backend``."""
        return self._path.exists()

    def make(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See ``Backend``."""
        if self._path.exists():
            return
        # WAL, for a reader beside a committing writer: neither waits for the other. The mode stays with the file.
        # By DuckDB's own SQLite: a second SQLite library in one process would drop its POSIX locks.
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection.execute(f"ATTACH {literal(str(self._path))} AS fresh_catalog (TYPE sqlite, JOURNAL_MODE 'WAL')")
        connection.execute(
            "CREATE TABLE fresh_catalog.made (by_lakeray INTEGER)"
        )  # the mode is kept once a page is written
        connection.execute("DROP TABLE fresh_catalog.made")
        connection.execute("DETACH fresh_catalog")

    def add_indexes(self) -> None:
        """Nothing: SQLite's catalogs are small, and DuckDB brings whole tables over all the same."""

    def session(self, connection: duckdb.DuckDBPyConnection) -> CatalogSession:
        """See ``Backend``."""
        from lakeray.adapters.ducklake.backends.sqlite.session import SqliteSession  # brings DuckDB and Arrow

        return SqliteSession(connection)

    def queries(self) -> BookkeepingQueries:
        """See ``Backend``."""
        return DuckLakeAnswers()

    def lease(self, *, holder: str, since: datetime, terms: LeaseTerms) -> LeaseHolder:
        """See ``Backend``."""
        return self._lease(holder=holder, since=since, terms=terms)

    def clocks(self) -> Mapping[str, Callable[[], datetime]]:
        """See ``Backend``."""
        return {}
