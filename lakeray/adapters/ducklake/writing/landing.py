"""Landing tables: created from the stream's contract, and widened, never narrowed."""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.values.column_types import keeps_fields, parse_type, quoted, same_type
from lakeray.values.errors import CatalogError, ContractError
from lakeray.values.model import Column, Contract, StreamName
from lakeray.values.names import folded

LandingDdl = Callable[[StreamName, Contract], str]


class Landing:
    """Creates and widens landing tables on one connection, holding one fencing token."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, token: int, ddl: LandingDdl) -> None:
        self._connection = connection
        self._token = token
        self._ddl = ddl

    def ensure(self, stream: StreamName, contract: Contract) -> list[str]:
        """Make the table hold the contract's columns; says what was done, nothing when all was there.

        Raises:
            ContractError: a column would have to be narrowed or changed.
            CatalogError: the catalog failed.
        """
        try:
            with self._connection.cursor() as cursor:
                rows = cursor.execute(sql.load("ducklake/columns"), ["staging", stream.landing_table]).fetchall()
            if not rows:
                return self._create(stream, contract)
            return self._widen(stream, contract, {folded(name): kind for name, kind in rows})
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(f"{stream}: the landing table cannot be made", found=first_line(error)) from error

    def _create(self, stream: StreamName, contract: Contract) -> list[str]:
        with fenced(self._connection, token=self._token, message=f"create {stream.landing_table}") as cursor:
            cursor.execute(self._ddl(stream, contract))
        return [f"created staging.{stream.landing_table} with {len(contract.columns)} columns"]

    def _widen(self, stream: StreamName, contract: Contract, have: dict[str, str]) -> list[str]:
        missing = [column for column in contract.columns if folded(column.name) not in have]
        other = [
            column
            for column in contract.columns
            if folded(column.name) in have and not same_type(column.type, parse_type(have[folded(column.name)]))
        ]
        if not missing and not other:
            return []
        table = f"lakehouse.staging.{quoted(stream.landing_table)}"
        done = []
        with fenced(self._connection, token=self._token, message=f"widen {stream.landing_table}") as cursor:
            for column in missing:
                cursor.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column.name)} {column.type}")
                done.append(f"added {stream.landing_table}.{column.name} {column.type}")
            for column in other:
                _promote(cursor, table, stream, column, have[folded(column.name)])
                done.append(f"widened {stream.landing_table}.{column.name} to {column.type}")
        return done


def _promote(cursor: duckdb.DuckDBPyConnection, table: str, stream: StreamName, column: Column, found: str) -> None:
    # DuckLake promotes (INTEGER to BIGINT) and refuses other scalars, but drops missing struct fields without a word.
    try:
        if not keeps_fields(parse_type(found), column.type):
            raise duckdb.CatalogException("a nested field would be lost")
        cursor.execute(f"ALTER TABLE {table} ALTER COLUMN {quoted(column.name)} SET DATA TYPE {column.type}")
    except duckdb.Error as error:
        raise ContractError(
            f"{stream}: column {column.name} of {stream.landing_table} cannot become what the stream's config says",
            expected=f"{found} or a wider type",
            found=str(column.type),
            todo=f"Set fields.{column.name} in conf/stream/{stream}.yaml back to {found}, or land the new type under "
            "another name. Nothing was changed",
        ) from error
