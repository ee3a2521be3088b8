"""Footers of one schema become a block: the first by DuckLake itself, the others in lanes, by the same rules.

The lanes are trusted for a schema only after they gave, for its first file, exactly the rows that DuckLake gave. What
they cannot read of a file, or any file with several row groups, goes through DuckLake: slower, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakeray.adapters.ducklake.statistics.bounds import Kind, Unreadable, kind_of, texts
from lakeray.adapters.ducklake.statistics.leaves import leaves
from lakeray.adapters.ducklake.statistics.scratch_lake import ScratchLake
from lakeray.adapters.ducklake.values.column_summary import ADDED, summed_up
from lakeray.adapters.ducklake.values.file_statistics import (
    STATISTICS,
    SUMMARY,
    FileStatistics,
    SchemaStatistics,
    storable,
)
from lakeray.adapters.parquet.footer_bytes import schema_elements
from lakeray.adapters.parquet.footer_lanes import Chunks, find_chunks, path_pattern, read_chunks
from lakeray.adapters.parquet.footers import FileTail
from lakeray.values.model import Column

_TRAILER_BYTES = 8
"""The footer's length and the magic number."""

Numbers = npt.NDArray[np.int64]
_Where = tuple[npt.NDArray[np.intp], ...]


class SchemaReader:
    """Reads the footers of one Parquet schema for one landing table."""

    def __init__(self, first: FileTail, *, columns: tuple[Column, ...], lake: ScratchLake) -> None:
        """Let DuckLake read the first file, and learn from it.

        Raises:
            ValueError: DuckLake does not take the file; the message says why.
        """
        self._lake = lake
        self._columns = columns
        taken = lake.take([first], columns=columns)[0]
        if isinstance(taken, str):
            raise ValueError(taken)  # noqa: TRY004 - a verdict, not a type
        self.first = taken
        self._lanes = _Lanes.learned(first, taken, lake=lake)

    def read(self, tails: Sequence[FileTail]) -> list[FileStatistics | str]:
        """Each file's place in a block, or DuckLake's reason not to take it; in the order of ``tails``."""
        found: dict[int, FileStatistics | str] = {}
        if self._lanes is not None:
            quick = [number for number, item in enumerate(tails) if item.row_groups == 1 and item.rows]
            found = self._lanes.read({number: tails[number] for number in quick}) if quick else {}
        slow = [number for number in range(len(tails)) if number not in found]
        taken = self._lake.take([tails[number] for number in slow], columns=self._columns) if slow else []
        for number, block in zip(slow, taken, strict=True):
            found[number] = block if isinstance(block, str) else FileStatistics(block=block, position=0)
        return [found[number] for number in range(len(tails))]


class _Lanes:
    """The quick way for one schema."""

    def __init__(
        self,
        first: SchemaStatistics,
        *,
        schema_bytes: int,
        patterns: tuple[bytes, ...],
        kinds: tuple[Kind | None, ...],
        columns: tuple[int, ...],
        lake: ScratchLake,
    ) -> None:
        self._first = first
        self._schema_bytes = schema_bytes
        self._patterns = patterns
        self._kinds = kinds
        self._columns = np.array(columns)
        """Of each leaf, its number among the block's columns; -1 for one without a place."""
        self._lake = lake

    @classmethod
    def learned(cls, first: FileTail, block: SchemaStatistics, *, lake: ScratchLake) -> _Lanes | None:
        """The quick way, if it gives for the first file what DuckLake gave; else None."""
        try:
            elements, end = schema_elements(first.data)
            found = leaves(elements, block.mapping)
        except (IndexError, ValueError, RecursionError):
            return None
        patterns = [path_pattern(leaf.path) for leaf in found]
        numbers = {path: number for number, path in enumerate(block.columns)}
        columns = [-1 if leaf.target is None else numbers.get(leaf.target, -1) for leaf in found]
        if (
            len(found) != len(first.schema)
            or None in patterns
            or sorted(set(columns) - {-1}) != sorted(numbers.values())
        ):
            return None
        lanes = cls(
            block,
            schema_bytes=end,
            patterns=tuple(pattern for pattern in patterns if pattern is not None),
            kinds=tuple(kind_of(first.schema.column(number)) for number in range(len(found))),
            columns=tuple(columns),
            lake=lake,
        )
        return lanes if lanes._agrees(first, block) else None

    def read(self, tails: Mapping[int, FileTail]) -> dict[int, FileStatistics | str]:
        """The files' places in one block; the files that are not in it are for DuckLake."""
        places = {number: found for number, item in tails.items() if (found := self._places(item)) is not None}
        while places:
            numbers = list(places)
            try:
                block = self._block([tails[number] for number in numbers], list(places.values()))
            except _Left as left:
                for position in left.positions:
                    del places[numbers[position]]
            else:
                return {number: FileStatistics(block=block, position=at) for at, number in enumerate(numbers)}
        return {}

    def _places(self, tail: FileTail) -> Sequence[int] | None:
        if tail.chunks is not None and tail.chunks[0] == self._patterns:
            return tail.chunks[1]
        return find_chunks(tail.data, after=self._schema_bytes, patterns=self._patterns)

    def _agrees(self, first: FileTail, block: SchemaStatistics) -> bool:
        if first.row_groups != 1:
            return False
        mine = self.read({0: first}).get(0)
        return isinstance(mine, FileStatistics) and _rows(mine.block.statistics) == _rows(block.statistics)

    def _block(self, tails: Sequence[FileTail], places: Sequence[Sequence[int]]) -> SchemaStatistics:
        chunks = read_chunks([item.data for item in tails], places, patterns=self._patterns)
        self._leave_odd(chunks)
        statistics = pa.concat_tables(self._parts(chunks))
        return SchemaStatistics(
            columns=self._first.columns,
            mapping=self._first.mapping,
            rows=tuple(item.rows for item in tails),
            size_bytes=tuple(item.size_bytes for item in tails),
            footer_bytes=tuple(len(item.data) - _TRAILER_BYTES for item in tails),
            statistics=statistics,
            types=self._first.types,
            summary=self._summary(statistics),
        )

    def _summary(self, statistics: pa.Table) -> pa.Table:
        stored = storable(statistics, types=self._first.types)
        added = stored.select(ADDED.names[1:]).add_column(0, "column_id", stored.column("column").cast(pa.int64()))
        found = summed_up(added, types=dict(enumerate(self._first.types)), connection=self._lake.connection)
        columns = [found.keys()] + [
            [getattr(summary, name) for summary in found.values()] for name in SUMMARY.names[1:]
        ]
        return pa.table([pa.array(values, of.type) for of, values in zip(SUMMARY, columns, strict=True)], SUMMARY)

    def _leave_odd(self, chunks: Chunks) -> None:
        bounded = (chunks.min_bytes >= 0) & (chunks.max_bytes >= 0)
        half = (chunks.min_bytes >= 0) ^ (chunks.max_bytes >= 0)
        unknown = np.array([kind is None for kind in self._kinds])
        odd = ~chunks.sound | half | (chunks.nulls < 0) | (chunks.values < chunks.nulls) | (bounded & unknown[None, :])
        if odd[:, self._columns >= 0].any():
            raise _Left(np.flatnonzero(odd[:, self._columns >= 0].any(axis=1)).tolist())

    def _parts(self, chunks: Chunks) -> list[pa.Table]:
        placed = np.broadcast_to(self._columns >= 0, chunks.min_bytes.shape)
        bounded = (chunks.min_bytes >= 0) & placed
        nothing = _column_by_column(placed & ~bounded)
        parts = [self._part(chunks, nothing, pa.nulls(len(nothing[0]), pa.string()), None)]
        for kind in dict.fromkeys(self._kinds):
            of_kind = np.array([other == kind for other in self._kinds])
            where = _column_by_column(bounded & of_kind[None, :])
            if kind is not None and len(where[0]):
                low = self._texts(kind, chunks, where, chunks.min_at, chunks.min_bytes)
                high = self._texts(kind, chunks, where, chunks.max_at, chunks.max_bytes)
                parts.append(self._part(chunks, where, low, high))
        return parts

    def _texts(self, kind: Kind, chunks: Chunks, where: _Where, at: Numbers, lengths: Numbers) -> pa.Array:
        try:
            return texts(kind, chunks.data, at[where], lengths[where], connection=self._lake.connection)
        except Unreadable as error:
            raise _Left(sorted({int(where[0][number]) for number in error.numbers})) from error

    def _part(self, chunks: Chunks, where: _Where, low: pa.Array, high: pa.Array | None) -> pa.Table:
        count = len(where[0])
        nulls = chunks.nulls[where]
        return pa.table(
            {
                "file": pa.array(where[0].astype(np.int32)),
                "column": pa.array(self._columns[where[1]].astype(np.int32)),
                "size_bytes": pa.array(chunks.size_bytes[where]),
                "value_count": pa.array(chunks.values[where] - nulls),
                "null_count": pa.array(nulls),
                "min_value": low,
                "max_value": low if high is None else high,
                "contains_nan": pa.nulls(count, pa.bool_()),
                "extra_stats": pa.nulls(count, pa.string()),
            },
            schema=STATISTICS,
        )


def _column_by_column(wanted: npt.NDArray[np.bool_]) -> _Where:
    """Where it is true, leaf by leaf: so the catalog's index by column takes the rows quickest."""
    leaf, file = np.nonzero(wanted.T)
    return file, leaf


class _Left(Exception):
    """These files are not for the quick way."""

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(f"{len(positions)} files")
        self.positions = positions


def _rows(statistics: pa.Table) -> list[tuple[object, ...]]:
    return sorted(tuple(row.values()) for row in statistics.to_pylist())
