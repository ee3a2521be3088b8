"""DuckLake's own reading of footers, in a lake that lives in memory: what it would store, without storing it.

Registering is the extension's business, and what it makes of a footer is defined by its code alone. So it registers
here too: files that have the size and the footer of the real ones and nothing in between, in a table with the columns
of the landing table. Its rows are then taken out and go into the real catalog.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from lakeray.adapters.ducklake import extensions, sql
from lakeray.adapters.ducklake.duckdb_errors import refuses_a_file
from lakeray.adapters.ducklake.values.file_statistics import STATISTICS, ColumnPath, MappedName, SchemaStatistics
from lakeray.adapters.parquet.footers import FileTail
from lakeray.values.column_types import literal, quoted
from lakeray.values.globs import glob_escaped
from lakeray.values.model import Column

_MEMORY = "256MB"
_MAX_TABLES = 8
_CATALOG = "__ducklake_metadata_scratch"
_TABLES = ("ducklake_data_file", "ducklake_file_column_stats")


class ScratchLake:
    """A DuckLake in memory. Not for several threads at once."""

    def __init__(self, *, extension_directory: Path, folder: Path) -> None:
        """Open it.

        Args:
            folder: where the files without data are made, and gone after each call.
        """
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.connection = extensions.opened(
            extension_directory,
            names=("ducklake",),
            config={"enable_external_file_cache": "false", "memory_limit": _MEMORY, "threads": "1"},
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        path = literal(str(folder / "scratch"))
        self.connection.execute(f"ATTACH 'ducklake::memory:' AS scratch (DATA_PATH {path})")
        self._tables: dict[tuple[Column, ...], str] = {}
        self._made = 0

    def take(self, tails: Sequence[FileTail], *, columns: tuple[Column, ...]) -> list[SchemaStatistics | str]:
        """A block of one file for each tail, or DuckLake's reason not to take it.

        Args:
            columns: the landing table's.

        Raises:
            duckdb.Error, OSError: memory or disk failed; this lake is not to be used again.
        """
        table = self._table(columns)
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            paths = [_hollow(Path(folder) / f"{number}.parquet", tail) for number, tail in enumerate(tails)]
            refused = self._register(table, paths)
            blocks = self._blocks(table)
        return [
            refused.get(path) or blocks.get(path) or _unregistered(tail)
            for path, tail in zip(paths, tails, strict=True)
        ]

    def _table(self, columns: tuple[Column, ...]) -> str:
        if columns not in self._tables:
            if len(self._tables) == _MAX_TABLES:
                oldest = next(iter(self._tables))
                self.connection.execute(f"DROP TABLE scratch.{self._tables.pop(oldest)}")
            self._made += 1
            name = f"landing_{self._made}"
            fields = ", ".join(f"{quoted(column.name)} {column.type}" for column in columns)
            self.connection.execute(f"CREATE TABLE scratch.{name} ({fields})")
            self._tables[columns] = name
        return self._tables[columns]

    def _register(self, table: str, paths: list[str]) -> dict[str, str]:
        try:
            self.connection.execute(
                sql.load("ducklake/scratch_register"), [table, [glob_escaped(path) for path in paths]]
            )
        except duckdb.Error as error:
            if not refuses_a_file(error, in_storage=False):
                raise
            if len(paths) == 1:
                return {paths[0]: str(error)}
        else:
            return {}
        return {path: cause for single in paths for path, cause in self._register(table, [single]).items()}

    def _blocks(self, table: str) -> dict[str, SchemaStatistics]:
        try:
            files = self.connection.execute(sql.load("ducklake/scratch_files")).fetchall()
            if not files:
                return {}
            columns = self.connection.execute(sql.load("ducklake/scratch_columns"), [table]).fetchall()
            paths, types = _paths(columns), {identifier: kind for identifier, _, _, kind in columns}
            mappings = self._mappings({row[-1] for row in files}, paths)
            return {row[1]: self._block(row, mappings[row[-1]], paths, types) for row in files}
        finally:
            for name in _TABLES:
                self.connection.execute(f"DELETE FROM {_CATALOG}.{name}")

    def _mappings(self, wanted: set[int], paths: dict[int, ColumnPath]) -> dict[int, tuple[MappedName, ...]]:
        rows = self.connection.execute(sql.load("ducklake/scratch_mappings"), [list(wanted)]).fetchall()
        found: dict[int, list[MappedName]] = {mapping: [] for mapping in wanted}
        for mapping, number, name, target, parent in rows:
            found[mapping].append(MappedName(number=number, source_name=name, target=paths[target], parent=parent))
        return {mapping: tuple(names) for mapping, names in found.items()}

    def _block(
        self,
        row: tuple[int, ...],
        mapping: tuple[MappedName, ...],
        paths: dict[int, ColumnPath],
        types: dict[int, str],
    ) -> SchemaStatistics:
        file_id, _, rows, size_bytes, footer_bytes, _ = row
        statistics = self.connection.execute(sql.load("ducklake/scratch_statistics"), [file_id]).to_arrow_table()
        identifiers: list[int] = statistics.column("column_id").to_pylist()
        columns = tuple(paths[identifier] for identifier in identifiers)
        numbers = pa.array(range(len(columns)), pa.int32())
        table = statistics.drop_columns("column_id").add_column(0, "column", numbers)
        return SchemaStatistics(
            columns=columns,
            mapping=mapping,
            rows=(rows,),
            size_bytes=(size_bytes,),
            footer_bytes=(footer_bytes,),
            statistics=table.add_column(0, "file", pa.array([0] * len(columns), pa.int32())),
            types=tuple(types[identifier] for identifier in identifiers),
        )


def _hollow(path: Path, tail: FileTail) -> str:
    with path.open("wb") as file:
        file.write(b"PAR1")
        file.truncate(tail.size_bytes)
        file.seek(-len(tail.data), os.SEEK_END)
        file.write(tail.data)
    return str(path)


def _unregistered(tail: FileTail) -> SchemaStatistics | str:
    """DuckLake takes a file without rows and registers nothing."""
    if tail.rows:
        return "DuckLake registers none of its rows"
    return SchemaStatistics(
        columns=(),
        mapping=(),
        rows=(0,),
        size_bytes=(tail.size_bytes,),
        footer_bytes=(0,),
        statistics=STATISTICS.empty_table(),
    )


def _paths(rows: list[tuple[int, str, int | None, str]]) -> dict[int, ColumnPath]:
    named = {identifier: (name, parent) for identifier, name, parent, _ in rows}

    def path(identifier: int) -> ColumnPath:
        name, parent = named[identifier]
        return (name,) if parent is None else (*path(parent), name)

    return {identifier: path(identifier) for identifier in named}
