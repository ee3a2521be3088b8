"""The data files of a commit and their statistics, as rows of DuckLake's catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.attempts import NotProved
from lakeray.adapters.ducklake.catalog.bookkeeping_rows import column_stats, forget_column_stats, grown
from lakeray.adapters.ducklake.catalog.catalog_ids import CatalogIds
from lakeray.adapters.ducklake.catalog.name_mappings import KnownMappings, Mapping, NamesAlone, names_alone
from lakeray.adapters.ducklake.catalog.session import CatalogSession, Rows, Step
from lakeray.adapters.ducklake.catalog.table_statistics import ColumnStats, in_question, joined, merged, widened
from lakeray.adapters.ducklake.values.column_summary import ADDED, Summary, summed_up
from lakeray.adapters.ducklake.values.file_statistics import FileStatistics, SchemaStatistics, folded_path, storable
from lakeray.values.model import Accepted

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog.catalog_state import Before

_STORED_AS_THEY_ARE = ("value_count", "null_count", "min_value", "max_value", "contains_nan", "extra_stats")

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """The registered files of one block. Arrays have one item per file."""

    block: SchemaStatistics
    positions: Numbers
    """The file's place in the block."""
    at: Numbers
    """Its place among the registered files of the commit."""
    mapping: Mapping | None
    """None of files that need none."""

    @property
    def is_whole(self) -> bool:
        """Whether all of the block's files are registered."""
        return len(self.positions) == len(self.block.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFiles:
    """What a commit writes of data files."""

    layout: CatalogIds
    before: Before
    paths: Sequence[str]
    parts: Sequence[_Part]
    mappings: dict[Mapping, int]
    fresh: dict[Mapping, int]
    first_file_id: int
    own: bool
    """Whether they were written for this table (``plan``)."""

    @property
    def next_file_id(self) -> int:
        """The first id that is free after the commit."""
        return self.first_file_id + len(self.paths)

    @property
    def changes(self) -> list[str]:
        """For the snapshot's changes."""
        return [f"inserted_into_table:{self.layout.target.table_id}"] if self.paths else []

    def steps(
        self, session: CatalogSession, *, known: KnownMappings, connection: duckdb.DuckDBPyConnection
    ) -> list[Step]:
        """What is to be written, inside the commit's transaction."""
        if not self.paths:
            return []
        target = self.layout.target
        stats = self._table_statistics(session, connection)
        files, rows, size_bytes = self._data_files()
        return [
            grown(
                target.table_id, target.table_id in self.before.sizes, rows=rows, row_ids=rows, size_bytes=size_bytes
            ),
            forget_column_stats(target.table_id, stats),
            Rows("ducklake_table_column_stats", column_stats(target.table_id, stats)),
            *known.steps(self.fresh),
            Rows("ducklake_data_file", files),
            Rows("ducklake_file_column_stats", pa.concat_tables([self._statistics(part) for part in self.parts])),
        ]

    def _data_files(self) -> tuple[pa.Table, int, int]:
        """The rows, how many rows the files have, and how many bytes."""
        count = len(self.paths)
        size = self.before.sizes.get(self.layout.target.table_id)
        rows, sizes, footers = (np.empty(count, np.int64) for _ in range(3))
        mappings: list[int | None] = [None] * count
        for part in self.parts:
            rows[part.at] = np.array(part.block.rows, np.int64)[part.positions]
            sizes[part.at] = np.array(part.block.size_bytes, np.int64)[part.positions]
            footers[part.at] = np.array(part.block.footer_bytes, np.int64)[part.positions]
            if part.mapping is not None:
                for at in part.at.tolist():
                    mappings[at] = self.mappings[part.mapping]
        first_row_id = size.next_row_id if size is not None else 0
        same = {"table_id": self.layout.target.table_id, "begin_snapshot": self.before.head.snapshot + 1}
        integers = {
            "data_file_id": self.first_file_id + np.arange(count),
            **{name: np.full(count, value, np.int64) for name, value in same.items()},
            "record_count": rows,
            "file_size_bytes": sizes,
            "footer_size": footers,
            "row_id_start": first_row_id + np.cumsum(rows) - rows,
        }
        others = {
            "mapping_id": pa.array(mappings, pa.int64()),
            "path": pa.array(self.paths, pa.string()),
            "path_is_relative": pa.repeat(pa.scalar(self.own), count),
            "file_format": pa.repeat("parquet", count),
        }
        table = pa.table({name: pa.array(values) for name, values in integers.items()} | others)
        return table, int(rows.sum()), int(sizes.sum())

    def _statistics(self, part: _Part) -> pa.Table:
        table, target = storable(_used(part), types=part.block.types), self.layout.target
        identifiers = np.zeros(len(part.block.rows), np.int64)
        identifiers[part.positions] = self.first_file_id + part.at
        return pa.table(
            {
                "data_file_id": pa.array(identifiers[table.column("file").to_numpy()]),
                "table_id": pa.array(np.full(table.num_rows, target.table_id, np.int64)),
                "column_id": pa.array(self._column_ids(part)[table.column("column").to_numpy()]),
                "column_size_bytes": table.column("size_bytes"),
                **{name: table.column(name) for name in _STORED_AS_THEY_ARE},
            }
        )

    def _column_ids(self, part: _Part) -> Numbers:
        return np.array([self.layout.target.id_of(path) for path in part.block.columns], np.int64)

    def _table_statistics(
        self, session: CatalogSession, connection: duckdb.DuckDBPyConnection
    ) -> dict[int, ColumnStats]:
        target = self.layout.target
        bounds = self.before.bounds.get(target.table_id, {})
        size = self.before.sizes.get(target.table_id)
        summaries = (item for part in self.parts for item in self._summaries(part, connection))
        added = joined(summaries, types=target.types, connection=connection)
        asked = in_question(bounds, added) if size is not None and size.rows else []
        unknown = session.fetch([(sql.load("catalog/unbounded"), [target.table_id, asked])])[0] if asked else []
        missing = {
            column_id
            for present in {frozenset(map(folded_path, part.block.columns)) for part in self.parts}
            for path, column_id in target.leaves.items()
            if path not in present
        }
        stats = merged(
            bounds,
            added,
            unknown=[row[0] for row in unknown],
            missing=missing,
            had_rows=size is not None and size.rows > 0,
            wider=widened(bounds, added, types=target.types, connection=connection),
        )
        return {column_id: found for column_id, found in stats.items() if bounds.get(column_id) != found}

    def _summaries(self, part: _Part, connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[int, Summary]]:
        """What the part's files say together of each column: as the validation summed it up, if that holds here."""
        numbers, types = self._column_ids(part), self.layout.target.types
        summary = part.block.summary
        if (
            summary is None
            or not part.is_whole
            or part.block.types != tuple(types[number] for number in numbers.tolist())
        ):
            table = storable(_used(part), types=part.block.types)
            rows = table.select(ADDED.names[1:]).add_column(
                0, "column_id", pa.array(numbers[table.column("column").to_numpy()])
            )
            yield from summed_up(rows, types=types, connection=connection).items()
            return
        for column, has_null, bounded, low, high in zip(*summary.to_pydict().values(), strict=True):
            yield int(numbers[column]), Summary(has_null=has_null, bounded=bounded, min_value=low, max_value=high)


def plan(
    facts: Sequence[FileStatistics],
    *,
    paths: Sequence[str],
    layout: CatalogIds,
    before: Before,
    known: KnownMappings,
    session: CatalogSession,
    own: bool = False,
) -> PlannedFiles:
    """What the commit writes of data files; nothing is written yet. Files without rows are not registered.

    Args:
        own: the files were written for this table: the paths are below its folder, and the columns have its field ids,
            so that no mapping of names is needed.

    Raises:
        NotProved: the table has not the columns of a file.
    """
    filled = [(path, item) for path, item in zip(paths, facts, strict=True) if item.block.rows[item.position]]
    parts = list(_parts([item for _, item in filled], layout=layout, known=None if own else known))
    wanted = list(dict.fromkeys(part.mapping for part in parts if part.mapping is not None))
    found = known.find(set(wanted), session) if wanted else {}
    first = before.head.next_file_id
    lacking: dict[NamesAlone, Mapping] = {}
    for mapping in wanted:
        if mapping not in found:
            lacking.setdefault(names_alone(mapping), mapping)
    ids = {names: first + at for at, names in enumerate(lacking)}
    return PlannedFiles(
        layout=layout,
        before=before,
        paths=[path for path, _ in filled],
        parts=parts,
        mappings=found | {mapping: ids[names_alone(mapping)] for mapping in wanted if mapping not in found},
        fresh={mapping: ids[names] for names, mapping in lacking.items()},
        first_file_id=first + len(ids),
        own=own,
    )


def statistics_of(files: Sequence[Accepted]) -> list[FileStatistics]:
    """What the validation worked out for each file.

    Raises:
        NotProved: it did not for one.
    """
    found = []
    for item in files:
        if not isinstance(item.facts, FileStatistics):
            raise NotProved(f"{item.file.key}: its statistics were not worked out")
        found.append(item.facts)
    return found


def _parts(facts: Sequence[FileStatistics], *, layout: CatalogIds, known: KnownMappings | None) -> Iterator[_Part]:
    groups: dict[int, list[int]] = {}
    for at, item in enumerate(facts):
        groups.setdefault(id(item.block), []).append(at)
    for group in groups.values():
        block = facts[group[0]].block
        try:
            _ = [layout.target.id_of(column) for column in block.columns]
            mapping = None if known is None else known.of(block.mapping)
        except KeyError as error:
            raise NotProved(f"the table has no column {error}") from None
        positions = np.array([facts[at].position for at in group], np.int64)
        yield _Part(block=block, positions=positions, at=np.array(group, np.int64), mapping=mapping)


def _used(part: _Part) -> pa.Table:
    """The block's statistics of the part's files."""
    table = part.block.statistics
    if part.is_whole:
        return table
    used = np.zeros(len(part.block.rows), np.bool_)
    used[part.positions] = True
    return table.filter(pa.array(used[table.column("file").to_numpy()]))
