"""A bounded sample of raw files, looked at by DuckDB: what the rows say of keys and cursors, and a few to show."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from lakeray.adapters.parquet.conversion import fetch
from lakeray.ports.storage import ObjectStore
from lakeray.values.column_types import quoted
from lakeray.values.globs import glob_escaped
from lakeray.values.model import SourceFile

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "2",
    "memory_limit": "1GB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_SOURCE = "parquet_scan($source, hive_partitioning = false)"
_ROWS = 10
_SHOWN = 60
"""Characters of a value."""


class Counted(NamedTuple):
    """What was counted in one file."""

    rows: int
    columns: dict[str, tuple[int, int, int | None, bool]]
    """Nulls, different values, the greatest one as a number, and whether all texts say times."""
    pairs: dict[tuple[str, str], int]


class Sample:
    """Some raw files on this machine, as long as the block lasts."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def count(
        self, file: SourceFile, *, columns: Sequence[tuple[str, str]], pairs: Sequence[tuple[str, str]]
    ) -> Counted | None:
        """Count what the file's rows say; None when DuckDB cannot read them.

        Args:
            columns: names and types, as they are wanted; those that the file lacks are left out.
            pairs: columns whose values are counted together.

        Raises:
            StorageError: the storage failed.
        """
        found: Counted | None = self._asked(file, lambda on, source: _counted(on, source, columns, pairs))
        return found

    def rows(self, file: SourceFile) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
        """The first rows as text, under their columns; nothing when DuckDB cannot read them.

        Raises:
            StorageError: the storage failed.
        """
        found: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] | None = self._asked(file, _first_rows)
        return found or ((), ())

    def _asked(self, file: SourceFile, question: Any) -> Any:
        with tempfile.TemporaryDirectory() as folder, duckdb.connect(config=_CONFIG) as connection:
            path = Path(folder) / "object.parquet"
            try:
                fetch(file, raw=self._store, path=path)
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute("SET temp_directory = ?", [f"{folder}/spill"])
                return question(connection, {"source": glob_escaped(str(path))})
            except (duckdb.Error, FileNotFoundError):
                return None  # a feed will say what is wrong with it


def _counted(
    connection: duckdb.DuckDBPyConnection,
    source: dict[str, str],
    columns: Sequence[tuple[str, str]],
    pairs: Sequence[tuple[str, str]],
) -> Counted:
    described = connection.execute(f"DESCRIBE SELECT * FROM {_SOURCE}", source).fetchall()
    have = {str(row[0]): str(row[1]) for row in described}
    asked = [name for name, _ in columns if name in have]
    both = [pair for pair in pairs if set(pair) <= have.keys()]
    parts = ["count(*)"]
    for name in asked:
        column = quoted(name)
        times = f"count(TRY_CAST({column} AS TIMESTAMPTZ))" if have[name] == "VARCHAR" else "-1"
        parts += [f"count({column})", f"count(DISTINCT {column})", _greatest(column, have[name]), times]
    parts += [f"count(DISTINCT ({quoted(left)}, {quoted(right)}))" for left, right in both]
    row: Any = connection.execute(f"SELECT {', '.join(parts)} FROM {_SOURCE}", source).fetchone()
    rows, found = int(row[0]), {}
    for number, name in enumerate(asked):
        filled, distinct, greatest, times = row[1 + 4 * number : 5 + 4 * number]
        found[name] = (rows - filled, distinct, greatest, 0 < filled == times)
    counts = row[1 + 4 * len(asked) :]
    return Counted(rows=rows, columns=found, pairs=dict(zip(both, counts, strict=True)))


def _greatest(column: str, kind: str) -> str:
    if kind.startswith(("TIMESTAMP", "DATE")):
        return f"epoch_us(CAST(max({column}) AS TIMESTAMP))"
    if kind == "VARCHAR":
        return f"epoch_us(CAST(max(TRY_CAST({column} AS TIMESTAMPTZ)) AS TIMESTAMP))"
    return f"TRY_CAST(max({column}) AS HUGEINT)" if kind.endswith("INT") or kind == "INTEGER" else "NULL"


def _first_rows(
    connection: duckdb.DuckDBPyConnection, source: dict[str, str]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    found = connection.execute(
        f"SELECT left(CAST(COLUMNS(*) AS VARCHAR), {_SHOWN}) FROM {_SOURCE} LIMIT {_ROWS}", source
    )
    names = tuple(str(item[0]) for item in found.description or ())
    return names, tuple(tuple("" if value is None else str(value) for value in row) for row in found.fetchall())
