"""DuckLake's name mappings of one table: which columns of a file fill which columns of the table."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.catalog_ids import TableIds
from lakeray.adapters.ducklake.catalog.session import CatalogSession, Rows, Step
from lakeray.adapters.ducklake.values.file_statistics import MappedName

Mapping = tuple[tuple[int, str, int, int | None], ...]
"""(number, name in the file, column of the table, number of the parent), in the numbers' order."""


NamesAlone = frozenset[tuple[tuple[str, ...], int]]
"""(name in the file below its parents' names, column of the table), of each."""


def names_alone(mapping: Mapping) -> NamesAlone:
    """What a mapping says without the order of the file's columns: DuckLake takes two of the same names for one."""
    paths: dict[int, tuple[str, ...]] = {}
    for number, name, _, parent in mapping:
        paths[number] = (name,) if parent is None else (*paths[parent], name)
    return frozenset((paths[number], target) for number, _, target, _ in mapping)


class KnownMappings:
    """The mappings that the catalog has, by what they say. They are only ever added to."""

    def __init__(self, table: TableIds) -> None:
        self._table = table
        self._known: dict[NamesAlone, int] = {}

    def of(self, names: Sequence[MappedName]) -> Mapping:
        """The mapping with the table's column ids.

        Raises:
            KeyError: the table has no such column.
        """
        return tuple((name.number, name.source_name, self._table.id_of(name.target), name.parent) for name in names)

    def find(self, wanted: set[Mapping], session: CatalogSession) -> dict[Mapping, int]:
        """The ids of those that the catalog has."""
        names = {mapping: names_alone(mapping) for mapping in wanted}
        if not self._known.keys() >= set(names.values()):
            self._read(session)
        return {mapping: self._known[alone] for mapping, alone in names.items() if alone in self._known}

    def _read(self, session: CatalogSession) -> None:
        rows = session.fetch([(sql.load("catalog/mappings"), [self._table.table_id])])[0]
        found: dict[int, list[tuple[int, str, int, int | None]]] = {}
        for mapping_id, number, name, target, parent in rows:
            found.setdefault(mapping_id, []).append((number, name, target, parent))
        # Of the same names the first: that is the one DuckLake would take.
        self._known = {names_alone(tuple(found[mapping_id])): mapping_id for mapping_id in sorted(found, reverse=True)}

    def steps(self, fresh: dict[Mapping, int]) -> list[Step]:
        """What writes mappings that the catalog lacks."""
        if not fresh:
            return []
        table_id = self._table.table_id
        mappings = pa.table(
            {
                "mapping_id": pa.array(fresh.values(), pa.int64()),
                "table_id": pa.array([table_id] * len(fresh), pa.int64()),
                "type": pa.array(["map_by_name"] * len(fresh)),
            }
        )
        rows = [(mapping_id, *name) for mapping, mapping_id in fresh.items() for name in mapping]
        names = pa.table(
            {
                "mapping_id": pa.array([row[0] for row in rows], pa.int64()),
                "column_id": pa.array([row[1] for row in rows], pa.int64()),
                "source_name": pa.array([row[2] for row in rows], pa.string()),
                "target_field_id": pa.array([row[3] for row in rows], pa.int64()),
                "parent_column": pa.array([row[4] for row in rows], pa.int64()),
                "is_partition": pa.array([False] * len(rows)),
            }
        )
        return [Rows("ducklake_column_mapping", mappings), Rows("ducklake_name_mapping", names)]
