"""A batch's rows written once, as a Parquet file of the table that they are merged into. Nothing is in the catalog yet.

The statistics are what DuckDB's writer says of the file: the same that DuckLake stores of a file that it writes itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from lakeray.adapters.ducklake.catalog.catalog_ids import TableIds
from lakeray.adapters.ducklake.catalog.merge_writer import PreparedFile
from lakeray.adapters.ducklake.catalog.table_files import TableState
from lakeray.adapters.ducklake.values.file_statistics import (
    STATISTICS,
    ColumnPath,
    FileStatistics,
    SchemaStatistics,
    folded_path,
)
from lakeray.values.column_types import literal, quoted


def prepare(
    cursor: duckdb.DuckDBPyConnection,
    select: str,
    *,
    columns: Mapping[str, str],
    ids: TableIds,
    state: TableState,
    name: str,
    row_group_bytes: int = 0,
) -> PreparedFile | None:
    """Write the rows of a SELECT, cast to the table's columns; None when there are none.

    Args:
        select: the rows, with columns of the table's names; those that it lacks are null.
        columns: the table's columns and DuckDB's types, in order.
        ids: where they are in the catalog.
        name: the file's, below the table's folder.
        row_group_bytes: what a thread collects before it writes a row group; 0 leaves it to DuckDB.

    Raises:
        duckdb.Error: the rows cannot be read or cast, the storage failed, or memory ran out.
    """
    given = {folded_path((row[0],)) for row in cursor.execute(f"DESCRIBE {select}").fetchall()}
    values = ", ".join(
        f"CAST({quoted(column) if folded_path((column,)) in given else 'NULL'} AS {kind}) AS {quoted(column)}"
        for column, kind in columns.items()
    )
    if "://" not in state.folder.full:  # a folder that DuckLake has not written to yet
        Path(state.folder.full).mkdir(parents=True, exist_ok=True)
    size = f", ROW_GROUP_SIZE_BYTES {row_group_bytes}" if row_group_bytes else ""
    written = cursor.execute(
        f"COPY (SELECT {values} FROM ({select})) TO {literal(state.folder.full + name)} "
        f"(FORMAT parquet, FIELD_IDS {_field_ids(columns, ids)}, RETURN_STATS{size})"
    ).fetchall()
    _, count, size_bytes, footer_bytes, statistics = written[0][:5]
    if not count:
        return None
    return PreparedFile(path=name, facts=_facts(count, size_bytes, footer_bytes, statistics, ids))


def without(
    cursor: duckdb.DuckDBPyConnection,
    file: PreparedFile,
    positions: str,
    *,
    columns: Mapping[str, str],
    ids: TableIds,
    state: TableState,
    name: str,
    row_group_bytes: int = 0,
) -> PreparedFile | None:
    """The file again, without some of its rows; None when none is left.

    Not a delete list on a new file: change feeds would show rows that no snapshot has.

    Args:
        positions: a relation with the column ``pos``.

    Others, and raises: as ``prepare``.
    """
    listed = ", ".join(quoted(column) for column in columns)
    select = (
        f"SELECT {listed} FROM read_parquet({literal(state.folder.full + file.path)}, file_row_number = true) "
        f"WHERE file_row_number NOT IN (SELECT pos FROM {positions})"
    )
    return prepare(cursor, select, columns=columns, ids=ids, state=state, name=name, row_group_bytes=row_group_bytes)


def _field_ids(columns: Mapping[str, str], ids: TableIds) -> str:
    """Every column and field with the catalog's id, as COPY wants them."""
    below: dict[ColumnPath, list[tuple[ColumnPath, int]]] = {}
    for path, number in ids.columns.items():
        below.setdefault(path[:-1], []).append((path, number))

    def entry(name: str, path: ColumnPath, number: int) -> str:
        inside = [f"__duckdb_field_id: {number}"]
        inside += [entry(child[-1], child, other) for child, other in below.get(path, [])]
        return f"{quoted(name)}: {{{', '.join(inside)}}}" if len(inside) > 1 else f"{quoted(name)}: {number}"

    return "{" + ", ".join(entry(name, folded_path((name,)), ids.id_of((name,))) for name in columns) + "}"


def _facts(
    count: int, size_bytes: int, footer_bytes: int, statistics: Mapping[str, Mapping[str, str]], ids: TableIds
) -> FileStatistics:
    rows: list[dict[str, Any]] = []
    paths: list[ColumnPath] = []
    for written, told in statistics.items():
        path = tuple(_names(written))
        if folded_path(path) not in ids.leaves:
            continue
        rows.append(_row(len(paths), told))
        paths.append(path)
    block = SchemaStatistics(
        columns=tuple(paths),
        mapping=(),
        rows=(count,),
        size_bytes=(size_bytes,),
        footer_bytes=(footer_bytes,),
        statistics=pa.Table.from_pylist(rows, schema=STATISTICS),
        types=tuple(ids.types[ids.id_of(path)] for path in paths),
    )
    return FileStatistics(block=block, position=0)


def _row(column: int, told: Mapping[str, str]) -> dict[str, Any]:
    nulls = int(told["null_count"]) if "null_count" in told else None
    values = int(told["num_values"]) - nulls if "num_values" in told and nulls is not None else None
    return {
        "file": 0,
        "column": column,
        "size_bytes": int(told["column_size_bytes"]),
        "value_count": values,
        "null_count": nulls,
        "min_value": told.get("min"),
        "max_value": told.get("max"),
        "contains_nan": {"true": True, "false": False}.get(told.get("has_nan", "")),
        "extra_stats": None,
    }


def _names(written: str) -> Iterator[str]:
    """The names of a column or field that is written with each name in quotes, and dots between."""
    at = 0
    while at < len(written):
        end = at + 1
        while written[end] != '"' or written[end : end + 2] == '""':
            end += 2 if written[end] == '"' else 1
        yield written[at + 1 : end].replace('""', '"')
        at = end + 2
