"""Of rows with the same key the newest, by the one order of records (P12): before they are written."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from lakeray.adapters.ducklake.writing.record_order import RecordOrder
from lakeray.values.column_types import quoted

_OWN = "_lakeray_row, _lakeray_number"


def newest(cursor: duckdb.DuckDBPyConnection, rows: str, *, key: Sequence[str], order: RecordOrder) -> str:
    """A SELECT of one row a key; rows without a key, in any of its columns, are left out.

    Mostly no key is there twice, and the rows pass as they are. Else the rows of those keys alone are compared, by key
    and age columns, and the ones that lose are left out by their number: a window over whole rows would cost more than
    writing them.

    Args:
        cursor: its temporary tables hold what loses, as long as the SELECT is used.
        rows: a relation whose rows have, beside their columns, ``_lakeray_row``, a number that no other of them has,
            and ``_lakeray_number``, their place in their object.

    Raises:
        duckdb.Error: the rows cannot be read, or memory ran out.
    """
    keys = [quoted(name) for name in key]
    listed, has_key = ", ".join(keys), f"({' OR '.join(f'{name} IS NOT NULL' for name in keys)})"
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE lakeray_repeated AS SELECT {listed} FROM {rows} AS came WHERE {has_key} "
        f"GROUP BY {listed} HAVING count(*) > 1"
    )
    lost = ""
    if cursor.execute("SELECT count(*) FROM temp.lakeray_repeated").fetchall()[0][0]:
        same = " AND ".join(f"came.{name} IS NOT DISTINCT FROM repeated.{name}" for name in keys)
        placed = ", ".join(f"{age} DESC NULLS LAST" for age in [*order.ages("came.", number=True), "came._lakeray_row"])
        by_key = ", ".join(f"came.{name}" for name in keys)
        cursor.execute(
            f"CREATE OR REPLACE TEMP TABLE lakeray_losers AS SELECT came._lakeray_row FROM {rows} AS came "
            f"JOIN temp.lakeray_repeated AS repeated ON {same} "
            f"QUALIFY row_number() OVER (PARTITION BY {by_key} ORDER BY {placed}) > 1"
        )
        lost = " AND _lakeray_row NOT IN (SELECT _lakeray_row FROM temp.lakeray_losers)"
    return f"SELECT * EXCLUDE ({_OWN}) FROM {rows} AS came WHERE {has_key}{lost}"
