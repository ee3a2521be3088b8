"""Delete lists written by us: a file's old positions and its new ones, ascending, as one Parquet file.

DuckLake's own DELETE keeps each position in a tree and writes the lists one after the other, so it costs more with each
merge into the same files. DuckDB sorts and writes them as any other rows. A list that replaces another one says of each
position which snapshot deleted it, so the snapshot that is to come must be known when it is written.
"""

from __future__ import annotations

from collections.abc import Callable

import duckdb

from lakeray.adapters.ducklake.catalog.delete_rows import Deletes, WrittenList
from lakeray.adapters.ducklake.catalog.table_files import DeleteList, TableFile, TableState
from lakeray.values.column_types import literal

KILLED = "temp.lakeray_killed"
"""(data_file_id, pos): rows of live files that a merge deletes; each is live, and there once."""
_FIELD_IDS = {"file_path": 2147483646, "pos": 2147483645, "_ducklake_internal_snapshot_id": 2147483539}
"""By which DuckLake knows the columns."""


def write_lists(
    cursor: duckdb.DuckDBPyConnection,
    state: TableState,
    *,
    snapshot: int,
    new_name: Callable[[], str],
) -> Deletes:
    """Write what ``KILLED`` asks for. Nothing of it is in the catalog yet.

    Args:
        cursor: it has this temporary table.
        snapshot: the commit's DuckLake snapshot.
        new_name: a name that no other list has.

    Raises:
        duckdb.Error: the storage failed, or memory ran out.
    """
    lists: list[WrittenList] = []
    ended: list[int] = []
    counts = cursor.execute(f"SELECT data_file_id, count(*) FROM {KILLED} GROUP BY ALL ORDER BY ALL").fetchall()
    for number, count in counts:
        file = state.files[number]
        if count + (0 if file.deleted is None else file.deleted.count) == file.rows:
            ended.append(number)
        else:
            rows = f"SELECT pos FROM {KILLED} WHERE data_file_id = {number}"
            lists.append(_written(cursor, state, file, rows, snapshot=snapshot, name=new_name()))
    return Deletes(lists=lists, ended=ended)


def _written(
    cursor: duckdb.DuckDBPyConnection, state: TableState, file: TableFile, killed: str, *, snapshot: int, name: str
) -> WrittenList:
    at = literal(state.folder.place(file.path, is_relative=file.is_relative))
    if file.deleted is None:
        return _copied(
            cursor, state, f"SELECT {at} AS file_path, pos FROM ({killed})", of=file.data_file_id, name=name, columns=2
        )
    rows = (
        f"SELECT {at} AS file_path, pos, _ducklake_internal_snapshot_id FROM ({_old(state, file.deleted)} "
        f"UNION ALL SELECT pos, CAST({snapshot} AS BIGINT) FROM ({killed}))"
    )
    return _copied(cursor, state, rows, of=file.data_file_id, name=name, columns=3)


def _old(state: TableState, deleted: DeleteList) -> str:
    at = literal(state.folder.place(deleted.path, is_relative=deleted.is_relative))
    since = "_ducklake_internal_snapshot_id" if deleted.has_snapshots else f"CAST({deleted.begin_snapshot} AS BIGINT)"
    return f"SELECT pos, {since} AS _ducklake_internal_snapshot_id FROM read_parquet({at})"


def _copied(
    cursor: duckdb.DuckDBPyConnection, state: TableState, rows: str, *, of: int, name: str, columns: int
) -> WrittenList:
    fields = ", ".join(f"{column}: {number}" for column, number in list(_FIELD_IDS.items())[:columns])
    written = cursor.execute(
        f"COPY (SELECT * FROM ({rows}) ORDER BY pos) TO {literal(state.folder.full + name)} "
        f"(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, FIELD_IDS {{{fields}}}, RETURN_STATS)"
    ).fetchall()
    _, count, size, footer = written[0][:4]
    return WrittenList(of=of, path=name, count=count, size_bytes=size, footer_bytes=footer)
