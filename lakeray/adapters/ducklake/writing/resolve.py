"""Which rows of a table a prepared file replaces, and which of its own rows are no newer than the table's (P12).

Only key and age columns are read. Rows are told by numbers, of a file and of its row: a join that carried the paths of
files would cost twice. Not by DuckLake's row numbers: those of an updated row are of the file that it was in before.
DuckLake itself reads the table, at the snapshot that was looked at, so that rows which are deleted already, by a list
or in the catalog, are not met: no position is ever in two places.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from lakeray.adapters.ducklake.catalog.attempts import NotProved
from lakeray.adapters.ducklake.catalog.table_files import TableState
from lakeray.adapters.ducklake.writing.delete_lists import KILLED
from lakeray.adapters.ducklake.writing.record_order import RecordOrder, newer, newer_of
from lakeray.values.column_types import literal, quoted
from lakeray.values.names import folded

STALE = "temp.lakeray_stale"
"""(pos): rows of the prepared file that are no newer than the table's."""
_VIRTUAL = frozenset({"rowid", "filename", "file_row_number", "file_index", "snapshot_id"})
"""DuckLake's own columns, which a column of the table's of that name would hide."""
_RANGED = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL.*|DATE|TIMESTAMP.*|UUID")
"""Types of keys whose range chooses the files to open. Texts and floats have values that DuckLake cannot ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What ``resolve`` found; the positions are in ``KILLED`` and ``STALE``."""

    killed: int
    """Rows of the table that the prepared ones replace."""
    stale: int
    """Prepared rows that are no newer than the table's."""


def resolve(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    *,
    columns: Sequence[str],
    state: TableState,
    prepared: str,
    key: Sequence[str],
    order: RecordOrder,
) -> Resolved:
    """Find them. The prepared file has one row a key.

    Args:
        cursor: its temporary tables take what is found.
        table: its name, quoted.
        columns: the table's.
        prepared: the file, below the table's folder.
        key: the key's columns, of any type; nulls are values like others.

    Raises:
        NotProved: rows of the table cannot be told by the positions in its files.
        duckdb.Error: the storage or the catalog failed, or memory ran out.
    """
    hidden = sorted(_VIRTUAL & {folded(name) for name in columns})
    if hidden:
        raise NotProved(f"the table has a column {hidden[0]}, which is the name of one of DuckLake's own")
    incoming = f"read_parquet({literal(state.folder.full + prepared)}, file_row_number = true)"
    there = (
        "(SELECT *, rowid AS _lakeray_row, list_position(getvariable('lakeray_paths'), filename) AS _lakeray_file, "
        f"file_row_number AS _lakeray_at FROM {table} AT (VERSION => {state.snapshot}))"
    )
    keys = [quoted(name) for name in key]
    _name_files(cursor, state)
    _take_incoming(cursor, incoming, keys, order)
    _meet(cursor, there, keys, order)
    _settle_level(cursor, there, incoming, order)
    _remember(cursor)
    outside, killed, stale = cursor.execute(
        f"SELECT (SELECT count(*) FROM {KILLED} WHERE data_file_id IS NULL), (SELECT count(*) FROM {KILLED}), "
        f"(SELECT count(*) FROM {STALE})"
    ).fetchall()[0]
    if outside:
        raise NotProved(f"{outside} rows of the table are in none of its files")
    return Resolved(killed=killed, stale=stale)


def _take_incoming(cursor: duckdb.DuckDBPyConnection, incoming: str, keys: Sequence[str], order: RecordOrder) -> None:
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE lakeray_incoming AS SELECT {', '.join(keys)}, "
        f"{order.ages()[0]} AS _lakeray_age, file_row_number AS _lakeray_pos FROM {incoming}"
    )


def _meet(cursor: duckdb.DuckDBPyConnection, there: str, keys: Sequence[str], order: RecordOrder) -> None:
    """temp.lakeray_met: rows of the table whose key comes, and whether it comes newer; null when it is level."""
    same = " AND ".join(f"there.{key} IS NOT DISTINCT FROM incoming.{key}" for key in keys)
    is_newer = newer("incoming._lakeray_age", order.ages("there.")[0])
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE lakeray_met AS SELECT there._lakeray_row, there._lakeray_file, "
        f"there._lakeray_at, incoming._lakeray_pos, "
        f"{is_newer} AS _lakeray_newer FROM {there} AS there JOIN temp.lakeray_incoming AS incoming ON {same} "
        f"WHERE {_in_ranges(cursor, keys)}"
    )


def _in_ranges(cursor: duckdb.DuckDBPyConnection, keys: Sequence[str]) -> str:
    """The range of the keys that come, for the choice of the table's files; in variables, of the keys' own types."""
    terms = ["true"]
    types = [row[1] for row in cursor.execute("DESCRIBE temp.lakeray_incoming").fetchall()]
    for number, key in enumerate(keys):
        if not _RANGED.fullmatch(types[number]):
            continue
        for end, function in (("first", "min"), ("last", "max")):
            cursor.execute(
                f"SET VARIABLE lakeray_{end}_{number} = (SELECT {function}({key}) FROM temp.lakeray_incoming)"
            )
        inside = f"there.{key} BETWEEN getvariable('lakeray_first_{number}') AND getvariable('lakeray_last_{number}')"
        rows = cursor.execute(f"SELECT count(*) > count({key}) FROM temp.lakeray_incoming").fetchall()
        terms.append(f"({inside} OR there.{key} IS NULL)" if rows[0][0] else inside)
    return " AND ".join(terms)


def _settle_level(cursor: duckdb.DuckDBPyConnection, there: str, incoming: str, order: RecordOrder) -> None:
    """Rows that are level by the first column of the order, by all the others: of them alone those are read."""
    if not cursor.execute("SELECT count(*) FROM temp.lakeray_met WHERE _lakeray_newer IS NULL").fetchall()[0][0]:
        return
    is_newer = newer_of(order.ages("incoming.")[1:], order.ages("there.")[1:])
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE lakeray_level AS SELECT met._lakeray_row, {is_newer} AS _lakeray_newer "
        f"FROM (FROM temp.lakeray_met WHERE _lakeray_newer IS NULL) AS met "
        f"JOIN {there} AS there ON there._lakeray_row = met._lakeray_row "
        f"JOIN {incoming} AS incoming ON incoming.file_row_number = met._lakeray_pos"
    )
    cursor.execute(
        "UPDATE temp.lakeray_met SET _lakeray_newer = level._lakeray_newer FROM temp.lakeray_level AS level "
        "WHERE lakeray_met._lakeray_row = level._lakeray_row AND lakeray_met._lakeray_newer IS NULL"
    )


def _remember(cursor: duckdb.DuckDBPyConnection) -> None:
    """``KILLED`` and ``STALE``. A row that is in no file has no ``data_file_id``."""
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {KILLED.removeprefix('temp.')} AS "
        "SELECT getvariable('lakeray_file_ids')[_lakeray_file] AS data_file_id, _lakeray_at AS pos "
        "FROM temp.lakeray_met WHERE _lakeray_newer"
    )
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {STALE.removeprefix('temp.')} AS SELECT DISTINCT _lakeray_pos AS pos "
        "FROM temp.lakeray_met WHERE NOT _lakeray_newer"
    )


def _name_files(cursor: duckdb.DuckDBPyConnection, state: TableState) -> None:
    """Variables with the paths and the ids of the table's files: a scan gives the same path for many rows at once."""
    files = list(state.files.values())
    known = pa.table(
        {
            "number": pa.array(range(len(files)), pa.int64()),
            "id": pa.array([file.data_file_id for file in files], pa.int64()),
            "path": pa.array(
                [state.folder.place(file.path, is_relative=file.is_relative) for file in files], pa.string()
            ),
        }
    )
    cursor.register("lakeray_files", known)
    for name, column, kind in (("paths", "path", "VARCHAR[]"), ("file_ids", "id", "BIGINT[]")):
        listed = f"coalesce(list({column} ORDER BY number), CAST([] AS {kind}))"
        cursor.execute(f"SET VARIABLE lakeray_{name} = (SELECT {listed} FROM lakeray_files)")
    cursor.unregister("lakeray_files")
