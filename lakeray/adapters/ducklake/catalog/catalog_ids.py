"""Where in the catalog a table and the bookkeeping are: ids that hold as long as the schema's version does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import NotProved
from lakeray.adapters.ducklake.catalog.session import CatalogSession
from lakeray.adapters.ducklake.values.file_statistics import ColumnPath, folded_path
from lakeray.values.model import StreamName

PROVED_VERSION = "1.0"
"""The catalog format that the writer's rows were compared with DuckLake's own for (tests/differential)."""
BOOKKEEPING = ("ledger", "removals", "quarantine", "batches", "committer", "feeder_cursors", "origins", "left_out")


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table of files that the catalog writer writes: of landing, or a processed one."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @classmethod
    def landing(cls, stream: StreamName) -> TargetTable:
        """The stream's landing table."""
        return cls("staging", stream.landing_table)

    @classmethod
    def processed(cls, stream: StreamName) -> TargetTable:
        """The stream's processed table."""
        return cls("main", stream.processed_table)


@dataclass(frozen=True, kw_only=True)
class TableIds:
    """A table, and its columns without parts."""

    table_id: int
    rows_in: str
    """The catalog's table that holds the inlined rows; empty for a table of files."""
    columns: Mapping[ColumnPath, int]
    """Every column and field by its folded path, and its id."""
    types: Mapping[int, str]
    """DuckLake's type of each id."""

    @cached_property
    def leaves(self) -> Mapping[ColumnPath, int]:
        """The columns and fields without parts. A file that lacks one has nulls in it, whatever its validation knew."""
        parents = {path[:-1] for path in self.columns}
        return {path: number for path, number in self.columns.items() if path not in parents}

    def id_of(self, path: ColumnPath) -> int:
        """The id of a column or field, in whatever letter case.

        Raises:
            KeyError: the table has none of this name.
        """
        return self.columns[folded_path(path)]

    def number(self, name: str) -> int:
        """The id of a column of the bookkeeping."""
        return self.columns[(name,)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogIds:
    """What a commit into one table needs to know of the catalog."""

    schema_version: int
    target: TableIds
    """The table that gets the files."""
    bookkeeping: Mapping[str, TableIds]


def read_catalog_ids(session: CatalogSession, target: TargetTable, *, schema_version: int) -> CatalogIds:
    """Read it, inside a transaction.

    Raises:
        NotProved: the catalog has another format, or is arranged in a way that the writer does not know.
    """
    settings, tables, inlined = session.fetch(
        [
            (sql.load("catalog/settings"), []),
            (sql.load("catalog/tables"), [target.schema, target.name]),
            (sql.load("catalog/inlined"), []),
        ]
    )
    _require_settings(dict(settings))
    identifiers = {(schema, name): number for schema, name, number in tables}
    wanted = [identifiers.get((target.schema, target.name)), *(identifiers.get(("meta", name)) for name in BOOKKEEPING)]
    if None in wanted:
        raise NotProved(f"a table of the bookkeeping, or {target}, is not there yet")
    columns, arranged = session.fetch(
        [(sql.load("catalog/columns"), [wanted]), (sql.load("catalog/arranged"), [wanted[0]])]
    )
    if arranged[0][0]:
        raise NotProved(f"{target} is partitioned or sorted")
    return CatalogIds(
        schema_version=schema_version,
        target=_table(identifiers[target.schema, target.name], "", columns),
        bookkeeping={name: _book(name, identifiers["meta", name], inlined, columns) for name in BOOKKEEPING},
    )


def _require_settings(settings: Mapping[str, str]) -> None:
    if settings.get("version") != PROVED_VERSION:
        raise NotProved(f"catalog format {settings.get('version')}; proved for {PROVED_VERSION}")
    if settings.get("encrypted") != "false":
        raise NotProved("the lake is encrypted")


def _book(name: str, table_id: int, inlined: Sequence[tuple[Any, ...]], columns: list[tuple[Any, ...]]) -> TableIds:
    places = [place for number, place in inlined if number == table_id]
    if len(places) != 1:
        raise NotProved(f"meta.{name} is kept in {len(places)} tables of the catalog")
    return _table(table_id, places[0], columns)


def _table(table_id: int, rows_in: str, columns: Sequence[tuple[Any, ...]]) -> TableIds:
    own = {number: (parent, name, kind) for table, number, parent, name, kind in columns if table == table_id}

    def path(number: int) -> ColumnPath:
        parent, name, _ = own[number]
        return (name,) if parent is None else (*path(parent), name)

    return TableIds(
        table_id=table_id,
        rows_in=rows_in,
        columns={folded_path(path(number)): number for number in own},
        types={number: kind for number, (_, _, kind) in own.items()},
    )
