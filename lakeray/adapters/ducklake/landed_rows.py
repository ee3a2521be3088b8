"""The data files of a commit and their statistics, as rows of DuckLake's catalog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakeray import sql
from lakeray.adapters.ducklake.blocks import Block, FileFacts
from lakeray.adapters.ducklake.inlined import column_stats, forget_column_stats, grown
from lakeray.adapters.ducklake.layout import Layout
from lakeray.adapters.ducklake.mappings import KnownMappings, Mapping
from lakeray.adapters.ducklake.session import CatalogSession, Statement
from lakeray.adapters.ducklake.signals import NotProved
from lakeray.adapters.ducklake.table_stats import ADDED, ColumnStats, in_question, merged, summed_up, widened
from lakeray.model import Accepted

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog_writer import Before

_NUL = "\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Registered:
    """One file with its place in the catalog."""

    file_id: int
    path: str
    facts: FileFacts
    mapping_id: int
    first_row_id: int


@dataclass(slots=True, kw_only=True)
class PlannedFiles:
    """What a commit writes of data files."""

    layout: Layout
    before: Before
    files: list[_Registered]
    fresh: dict[Mapping, int]
    known: KnownMappings
    next_file_id: int
    changes: list[str] = field(default_factory=list)

    def write(self, session: CatalogSession, *, connection: duckdb.DuckDBPyConnection) -> None:
        """Write it, inside the commit's transaction."""
        if not self.files:
            return
        self.known.add(self.fresh, session)
        session.append("ducklake_data_file", self._data_files())
        statistics = self._statistics()
        session.append("ducklake_file_column_stats", statistics)
        stats = self._table_statistics(statistics, session, connection)
        landing = self.layout.landing.table_id
        session.execute([self._grown(), forget_column_stats(landing, stats)])
        session.append("ducklake_table_column_stats", column_stats(landing, stats))

    def _data_files(self) -> pa.Table:
        count, facts = len(self.files), [item.facts for item in self.files]
        integers = {
            "data_file_id": [item.file_id for item in self.files],
            "table_id": [self.layout.landing.table_id] * count,
            "begin_snapshot": [self.before.head.snapshot + 1] * count,
            "record_count": [item.block.rows[item.position] for item in facts],
            "file_size_bytes": [item.block.size_bytes[item.position] for item in facts],
            "footer_size": [item.block.footer_bytes[item.position] for item in facts],
            "row_id_start": [item.first_row_id for item in self.files],
            "mapping_id": [item.mapping_id for item in self.files],
        }
        others = {
            "path": pa.array([item.path for item in self.files], pa.string()),
            "path_is_relative": pa.array([False] * count),
            "file_format": pa.array(["parquet"] * count),
        }
        return pa.table({name: pa.array(values, pa.int64()) for name, values in integers.items()} | others)

    def _statistics(self) -> pa.Table:
        parts = [self._of_block(block, files) for block, files in _by_block(self.files)]
        return pa.concat_tables(parts).combine_chunks()

    def _of_block(self, block: Block, files: Sequence[_Registered]) -> pa.Table:
        identifiers = np.full(len(block.rows), -1, np.int64)
        for item in files:
            identifiers[item.facts.position] = item.file_id
        table, landing = block.statistics, self.layout.landing
        if (identifiers < 0).any():
            table = table.filter(pa.array(identifiers[table.column("file").to_numpy()] >= 0))
        columns = np.array([landing.columns[path] for path in block.columns], np.int64)
        values = {
            "data_file_id": pa.array(identifiers[table.column("file").to_numpy()]),
            "table_id": pa.array(np.full(table.num_rows, landing.table_id, np.int64)),
            "column_id": pa.array(columns[table.column("column").to_numpy()]),
            "column_size_bytes": table.column("size_bytes"),
            **{name: table.column(name) for name in ("value_count", "null_count")},
            **{name: _storable(table.column(name)) for name in ("min_value", "max_value")},
            **{name: table.column(name) for name in ("contains_nan", "extra_stats")},
        }
        return pa.table(values)

    def _table_statistics(
        self, statistics: pa.Table, session: CatalogSession, connection: duckdb.DuckDBPyConnection
    ) -> dict[int, ColumnStats]:
        landing = self.layout.landing
        bounds = self.before.bounds.get(landing.table_id, {})
        size = self.before.sizes.get(landing.table_id)
        added = summed_up(statistics.select(ADDED.names), types=landing.types, connection=connection)
        asked = in_question(bounds, added) if size is not None and size.rows else []
        unknown = session.fetch([(sql.load("catalog_unbounded"), [landing.table_id, asked])])[0] if asked else []
        missing = {
            column_id
            for present in {frozenset(block.columns) for block, _ in _by_block(self.files)}
            for path, column_id in landing.leaves.items()
            if path not in present
        }
        stats = merged(
            bounds,
            added,
            unknown=[row[0] for row in unknown],
            missing=missing,
            had_rows=size is not None and size.rows > 0,
            wider=widened(bounds, added, types=landing.types, connection=connection),
        )
        return {column_id: found for column_id, found in stats.items() if bounds.get(column_id) != found}

    def _grown(self) -> Statement:
        table_id, facts = self.layout.landing.table_id, [item.facts for item in self.files]
        rows = sum(item.block.rows[item.position] for item in facts)
        size_bytes = sum(item.block.size_bytes[item.position] for item in facts)
        return grown(table_id, table_id in self.before.sizes, rows=rows, row_ids=rows, size_bytes=size_bytes)


def plan(
    files: Sequence[Accepted],
    *,
    paths: Sequence[str],
    layout: Layout,
    before: Before,
    known: KnownMappings,
    session: CatalogSession,
) -> PlannedFiles:
    """What the commit writes of data files; nothing is written yet. Files without rows are not registered.

    Raises:
        NotProved: nobody worked out what the catalog stores of a file.
    """
    facts = facts_of(files)
    filled = [(path, item) for path, item in zip(paths, facts, strict=True) if item.block.rows[item.position]]
    try:
        wanted = {id(item.block): known.of(item.block.mapping) for _, item in filled}
        for _, item in filled:
            _ = [layout.landing.columns[column] for column in item.block.columns]
    except KeyError as error:
        raise NotProved(f"the landing table has no column {error}") from None
    found = known.find(set(wanted.values()), session) if wanted else {}
    next_id = before.head.next_file_id
    fresh = {
        mapping: next_id + at for at, mapping in enumerate(m for m in dict.fromkeys(wanted.values()) if m not in found)
    }
    found = found | fresh
    next_id += len(fresh)
    size = before.sizes.get(layout.landing.table_id)
    first = size.next_row_id if size is not None else 0
    row_ids = list(accumulate((item.block.rows[item.position] for _, item in filled), initial=first))
    registered = [
        _Registered(
            file_id=next_id + at,
            path=path,
            facts=item,
            mapping_id=found[wanted[id(item.block)]],
            first_row_id=row_ids[at],
        )
        for at, (path, item) in enumerate(filled)
    ]
    return PlannedFiles(
        layout=layout,
        before=before,
        files=registered,
        fresh=fresh,
        known=known,
        next_file_id=next_id + len(registered),
        changes=[f"inserted_into_table:{layout.landing.table_id}"] if registered else [],
    )


def facts_of(files: Sequence[Accepted]) -> list[FileFacts]:
    """What the validation worked out for each file.

    Raises:
        NotProved: it did not for one.
    """
    found = []
    for item in files:
        if not isinstance(item.facts, FileFacts):
            raise NotProved(f"{item.file.key}: its statistics were not worked out")
        found.append(item.facts)
    return found


def _by_block(files: Sequence[_Registered]) -> Iterator[tuple[Block, list[_Registered]]]:
    groups: dict[int, list[_Registered]] = {}
    for item in files:
        groups.setdefault(id(item.facts.block), []).append(item)
    for group in groups.values():
        yield group[0].facts.block, group


def _storable(bounds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bounds without those that Postgres' text cannot hold; a file without a bound is read, not skipped."""
    return pc.if_else(pc.match_substring(bounds, _NUL), pa.scalar(None, pa.string()), bounds)
