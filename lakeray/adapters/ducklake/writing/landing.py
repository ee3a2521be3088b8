"""Landing tables: created from the stream's contract, and widened, never narrowed while they have rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from string import Template
from typing import Any

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.values.merge_notes import merged_by, with_cursor_type
from lakeray.adapters.ducklake.writing.alter import alter
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.values.column_types import ColumnType, parse_type, quoted
from lakeray.values.errors import CatalogError
from lakeray.values.model import Column, Contract, MergedBy, StreamName
from lakeray.values.names import folded
from lakeray.values.refusals import other_key, other_type
from lakeray.values.type_growth import covers, grows, merged

LandingDdl = Callable[[StreamName, Contract], str]


class Landing:
    """Creates and widens landing tables on one connection, holding one fencing token."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, token: int, ddl: LandingDdl) -> None:
        self._connection = connection
        self._token = token
        self._ddl = ddl

    def ensure(self, stream: StreamName, contract: Contract, *, at: datetime) -> list[str]:
        """Make the table hold the contract's columns; says what was done, nothing when all was there.

        A column that has to become another type does so only while no file is registered and no row merged under the
        old one. The first call notes what the processed table is merged by.

        Raises:
            ContractError: a column with rows would have to be narrowed or changed, or the stream is merged by another
                key or cursor than the contract's.
            CatalogError: the catalog failed.
        """
        try:
            have = dict(self._rows("columns", ["staging", stream.landing_table]))
            done = self._create(stream, contract) if not have else self._widen(stream, contract, have)
            return done + self._note_key(stream, contract, at=at)
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(f"{stream}: the landing table cannot be made", found=first_line(error)) from error

    def _create(self, stream: StreamName, contract: Contract) -> list[str]:
        with fenced(self._connection, token=self._token, message=f"create {stream.landing_table}") as cursor:
            cursor.execute(self._ddl(stream, contract))
        return [f"created staging.{stream.landing_table} with {len(contract.columns)} columns"]

    def _widen(self, stream: StreamName, contract: Contract, have: dict[str, str]) -> list[str]:
        stands = {folded(name): (name, parse_type(kind)) for name, kind in have.items()}
        needs: list[Column] = []
        changed: list[Column] = []
        for column in contract.columns:
            own = stands.get(folded(column.name))
            if own is None or not covers(own[1], column.type):
                keeps = own is None or grows(own[1], merged(own[1], column.type))
                (needs if keeps else changed).append(column)
        for column in changed:
            self._require_changeable(stream, column, stands[folded(column.name)][0], have)
        if not needs and not changed:
            return []
        with fenced(self._connection, token=self._token, message=f"widen {stream.landing_table}") as cursor:
            done = alter(cursor, stream.landing_table, have, needs)
            for column in changed:
                done.append(_changed(cursor, stream, stands[folded(column.name)][0], column))
            if changed and not self._processed_rows(stream):
                for table in (stream.processed_table, f"{stream.processed_table}__tombstones"):
                    cursor.execute(f"DROP TABLE IF EXISTS lakehouse.main.{quoted(table)}")
        return done

    def _require_changeable(self, stream: StreamName, column: Column, own: str, have: dict[str, str]) -> None:
        """A column changes its type only when no file needs the old one, and the processed table does not either."""
        old = parse_type(have[own])
        if not self._counted("staging", stream.landing_table) and not self._processed_needs(stream, column, old):
            return
        raise other_type(stream, column, found=have[own])

    def _processed_needs(self, stream: StreamName, column: Column, old: ColumnType) -> bool:
        """Whether the processed table has rows whose column is as landing's was. Another type is the model's own."""
        if not self._processed_rows(stream):
            return False
        columns = self._rows("columns", ["main", stream.processed_table])
        kinds = [parse_type(kind) for name, kind in columns if folded(name) == folded(column.name)]
        return any(covers(kind, old) and not covers(kind, column.type) for kind in kinds)

    def _note_key(self, stream: StreamName, contract: Contract, *, at: datetime) -> list[str]:
        """Note what the processed table is merged by, while it has no rows; then see that it stays so.

        Of a table that an earlier version merged nobody noted it: the config's is taken for it. What its rows say
        against that is returned.
        """
        wanted, noted = contract.merged_by, self._noted(stream)
        if noted is not None and noted.allows(wanted) and wanted.cursor_type in (None, noted.cursor_type):
            return []
        has_rows = self._processed_rows(stream) > 0
        if noted is not None and has_rows and not noted.allows(wanted):
            raise other_key(stream, noted, wanted)
        repeated = self._repeated(stream, contract) if noted is None and has_rows else 0
        with fenced(self._connection, token=self._token, message=f"{stream}: merged by another key") as cursor:
            note_key(cursor, stream, wanted, at=at)
        return [_told_repeated(stream, contract, repeated)] if repeated else []

    def _noted(self, stream: StreamName) -> MergedBy | None:
        rows = self._rows("merged_by", [stream.source, stream.stream])
        kept = self._rows("cursor_type", [stream.processed_table])
        return with_cursor_type(merged_by(*rows[0]), kept[0] if kept else None) if rows else None

    def _repeated(self, stream: StreamName, contract: Contract) -> int:
        """Rows of the processed table that do not have their key alone: they were merged by another one (ADR 0025)."""
        columns = [folded(name) for name, _ in self._rows("columns", ["main", stream.processed_table])]
        keys = [f"c{columns.index(folded(key))}" for key in contract.primary_key if folded(key) in columns]
        if len(keys) < len(contract.primary_key):
            return self._processed_rows(stream)  # by a column that the table does not have
        parts = {
            "table": quoted(stream.processed_table),
            "columns": ", ".join(f"c{number}" for number in range(len(columns))),
            "has_key": " AND ".join(f"{key} IS NOT NULL" for key in keys),
            "keys": ", ".join(keys),
        }
        with self._connection.cursor() as cursor:
            return int(cursor.execute(Template(sql.load("ducklake/repeated_keys")).substitute(parts)).fetchall()[0][0])

    def _processed_rows(self, stream: StreamName) -> int:
        table = stream.processed_table
        return self._counted("main", table) + self._counted("main", f"{table}__tombstones")

    def _counted(self, schema: str, table: str) -> int:
        """The rows of a table by its files and deletions; 0 when there is no table."""
        rows = self._rows("table_rows", {"schema": schema, "name": table})
        if not rows or rows[0][1]:
            return int(rows[0][0]) if rows else 0
        statement = f"SELECT count(*) FROM (FROM lakehouse.{quoted(schema)}.{quoted(table)} LIMIT 1)"
        with self._connection.cursor() as cursor:
            return int(cursor.execute(statement).fetchall()[0][0])

    def _rows(self, name: str, values: Sequence[str] | dict[str, str]) -> list[Any]:
        with self._connection.cursor() as cursor:
            return cursor.execute(sql.load(f"ducklake/{name}"), values).fetchall()


def _changed(cursor: duckdb.DuckDBPyConnection, stream: StreamName, own: str, column: Column) -> str:
    # DuckLake knows columns by number: the new one is another column, of which no file says anything.
    table = f"lakehouse.staging.{quoted(stream.landing_table)}"
    cursor.execute(f"ALTER TABLE {table} DROP COLUMN {quoted(own)}")
    cursor.execute(f"ALTER TABLE {table} ADD COLUMN {quoted(column.name)} {column.type}")
    return f"changed {stream.landing_table}.{column.name} to {column.type}"


def _told_repeated(stream: StreamName, contract: Contract, rows: int) -> str:
    return (
        f"noted that {stream.processed_table} is merged by {', '.join(contract.primary_key)}; {rows} of its rows say "
        f"that they were merged by another key: `lakeray rebuild +stream={stream}` tells what would become of them"
    )


def note_key(cursor: duckdb.DuckDBPyConnection, stream: StreamName, wanted: MergedBy, *, at: datetime) -> None:
    """Note what a stream's processed table is merged by, inside the caller's transaction."""
    named = [stream.source, stream.stream]
    noted = [json.dumps(wanted.primary_key), json.dumps(wanted.newest_first)]
    cursor.execute(sql.load("ducklake/delete_merged_by"), named)
    cursor.execute(sql.load("ducklake/insert_merged_by"), [*named, *noted, at])
    if wanted.cursor_type is not None:
        cursor.execute(sql.load("ducklake/delete_cursor_type"), [stream.processed_table])
        compared = [stream.processed_table, wanted.newest_first[0], wanted.cursor_type, at]
        cursor.execute(sql.load("ducklake/insert_cursor_type"), compared)
