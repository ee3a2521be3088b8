"""The rows of a merge that delete: lists of positions, and files of which no row is left. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.catalog.commit_rows import timestamp
from lakeray.adapters.ducklake.catalog.session import Rows, Step
from lakeray.adapters.ducklake.catalog.table_files import DeleteList, TableState


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenList:
    """A delete list that was written, and is in no catalog yet."""

    of: int
    """The id of a live data file."""
    path: str
    """Below the table's folder."""
    count: int
    """All positions, those of the list that it replaces too."""
    size_bytes: int
    footer_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletes:
    """What a commit deletes of one table."""

    lists: Sequence[WrittenList] = ()
    """The new lists of live files."""
    ended: Sequence[int] = ()
    """Live files whose rows are all deleted now. Their lists stay, for those who read an older snapshot."""

    def __bool__(self) -> bool:
        return bool(self.lists or self.ended)


def steps(deletes: Deletes, *, state: TableState, snapshot: int, first_id: int, at: datetime) -> list[Step]:
    """What is to be written, inside the commit's transaction.

    Args:
        snapshot: the commit's.
        first_id: the first id for a list; each takes one.
    """
    before = [state.files[item.of].deleted for item in deletes.lists]
    replaced = [old for old in before if old is not None]
    found: list[Step] = []
    if replaced:
        found.append((sql.load("catalog/replace_lists"), [[item.delete_file_id for item in replaced]]))
    for item in replaced:
        path, is_relative = state.folder.scheduled(item.path, is_relative=item.is_relative)
        found.append((sql.load("catalog/schedule_list"), [item.delete_file_id, path, is_relative, timestamp(at)]))
    if deletes.lists:
        rows = _rows(deletes.lists, before, state.table_id, snapshot, first_id)
        found.append(Rows("ducklake_delete_file", rows))
    if deletes.ended:
        ended = [snapshot, list(deletes.ended)]
        found += [(sql.load("catalog/end_files"), ended), (sql.load("catalog/end_lists"), ended)]
    return found


def _rows(
    written: Sequence[WrittenList],
    old: Sequence[DeleteList | None],
    table_id: int,
    snapshot: int,
    first_id: int,
) -> pa.Table:
    count = len(written)
    return pa.table(
        {
            "delete_file_id": pa.array(range(first_id, first_id + count), pa.int64()),
            "table_id": pa.array([table_id] * count, pa.int64()),
            # A list that replaces another one is there since the first of both; each position has its own snapshot.
            "begin_snapshot": pa.array([snapshot if item is None else item.begin_snapshot for item in old], pa.int64()),
            "data_file_id": pa.array([item.of for item in written], pa.int64()),
            "path": pa.array([item.path for item in written], pa.string()),
            "path_is_relative": pa.repeat(pa.scalar(True), count),
            "format": pa.repeat("parquet", count),
            "delete_count": pa.array([item.count for item in written], pa.int64()),
            "file_size_bytes": pa.array([item.size_bytes for item in written], pa.int64()),
            "footer_size": pa.array([item.footer_bytes for item in written], pa.int64()),
            "partial_max": pa.array([None if item is None else snapshot for item in old], pa.int64()),
        }
    )
