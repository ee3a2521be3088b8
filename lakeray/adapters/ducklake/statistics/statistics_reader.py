"""What the catalog will store of a batch's files, worked out by the validation: nothing is left for the commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import duckdb

from lakeray.adapters.ducklake.duckdb_errors import broke_down, first_line
from lakeray.adapters.parquet.footer_bytes import schema_elements
from lakeray.values.model import Column

if TYPE_CHECKING:  # Arrow and numpy: a command that validates nothing does not pay for them
    from lakeray.adapters.ducklake.statistics.schema_statistics import SchemaReader
    from lakeray.adapters.ducklake.statistics.scratch_lake import ScratchLake
    from lakeray.adapters.ducklake.values.file_statistics import FileStatistics
    from lakeray.adapters.parquet.footers import FileTail

_MAX_SCHEMAS = 16
"""Schemas that are kept for one process; each keeps one file's statistics."""
_RENEW_AFTER = 200
"""Questions to one DuckDB, which keeps 800 bytes of each; opening another, with its schemas, takes some 100 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsReader:
    """Works out what the catalog stores. A value: what it opens is opened once in each process that uses it."""

    extension_directory: Path
    temp: Path
    refusals_only: bool = False
    """Whether DuckLake's own call registers: then only what it must not see is told."""

    def of(self, tails: Sequence[FileTail], *, columns: tuple[Column, ...]) -> Sequence[FileStatistics | str | None]:
        """Each file's facts, or DuckLake's reason not to take it; in the order of ``tails``.

        None when memory or disk failed: that says nothing about the files, and DuckLake's own call then registers them.
        At an internal error of DuckDB's the file is refused: at the commit it would end the committer's process.

        Args:
            columns: the landing table's, as they will be when the files are registered.
        """
        found = self._asked(tails, columns)
        return [item if isinstance(item, str) else None for item in found] if self.refusals_only else found

    def _asked(self, tails: Sequence[FileTail], columns: tuple[Column, ...]) -> Sequence[FileStatistics | str | None]:
        try:
            readers = _opened(self.extension_directory, self.temp)
            if readers.asked >= _RENEW_AFTER:
                _opened.cache_clear()  # whoever is asking the old one ends it
                readers = _opened(self.extension_directory, self.temp)
            return readers.of(tails, columns=columns)
        except (duckdb.Error, OSError) as error:
            _opened.cache_clear()  # DuckDB serves nothing more after some of its errors
            if not broke_down(error):
                return [None] * len(tails)
            if len(tails) == 1:
                return [first_line(error)]
        half = len(tails) // 2
        return [*self._asked(tails[:half], columns), *self._asked(tails[half:], columns)]


@lru_cache(maxsize=2)
def _opened(extension_directory: Path, temp: Path) -> _Readers:
    from lakeray.adapters.ducklake.statistics.scratch_lake import ScratchLake

    return _Readers(ScratchLake(extension_directory=extension_directory, folder=temp))


class _Readers:
    def __init__(self, lake: ScratchLake) -> None:
        self.asked = 0
        """How often, so far."""
        self._lake = lake
        self._lock = Lock()
        self._known: dict[tuple[tuple[Column, ...], bytes], SchemaReader] = {}

    def of(self, tails: Sequence[FileTail], *, columns: tuple[Column, ...]) -> list[FileStatistics | str]:
        with self._lock:
            self.asked += 1
            groups: dict[bytes | None, list[int]] = {}
            for number, tail in enumerate(tails):
                groups.setdefault(self._schema_of(tail, columns), []).append(number)
            found: dict[int, FileStatistics | str] = {}
            for schema, numbers in groups.items():
                of_group = [tails[number] for number in numbers]
                found.update(zip(numbers, self._read(schema, of_group, columns), strict=True))
            return [found[number] for number in range(len(tails))]

    def _schema_of(self, tail: FileTail, columns: tuple[Column, ...]) -> bytes | None:
        for known, schema in self._known:
            if known is columns and tail.data.startswith(schema):
                return schema
        for known, schema in self._known:
            if known == columns and tail.data.startswith(schema):
                return schema
        if not tail.rows:
            return None  # DuckLake stores nothing of it, so nothing is learned from it
        try:
            _, end = schema_elements(tail.data)
        except (IndexError, ValueError, RecursionError):
            return None
        schema = tail.data[:end]
        self._learn(schema, tail, columns)
        return schema

    def _learn(self, schema: bytes, tail: FileTail, columns: tuple[Column, ...]) -> None:
        from lakeray.adapters.ducklake.statistics.schema_statistics import SchemaReader

        try:
            reader = SchemaReader(tail, columns=columns, lake=self._lake)
        except ValueError:
            return  # DuckLake does not take this file; the others of its schema are asked about one by one
        if len(self._known) == _MAX_SCHEMAS:
            del self._known[next(iter(self._known))]
        self._known[columns, schema] = reader

    def _read(
        self, schema: bytes | None, tails: Sequence[FileTail], columns: tuple[Column, ...]
    ) -> list[FileStatistics | str]:
        reader = None if schema is None else self._known.get((columns, schema))
        if reader is not None:
            return reader.read(tails)
        from lakeray.adapters.ducklake.values.file_statistics import FileStatistics

        taken = self._lake.take(tails, columns=columns)
        return [block if isinstance(block, str) else FileStatistics(block=block, position=0) for block in taken]
