"""A table's statistics after DuckLake's own call: it leaves them too narrow in four cases (ADR 0015).

Files that lack a column have nulls in it, which it does not count. After a file without bounds, and after a call whose
first file has only nulls in a column, it knows no bounds of the column's; the bounds of the next call's files are then
taken for the whole table's, and rows outside them are pruned. A FLOAT with an exponent is not found by its bound.
"""

from __future__ import annotations

import duckdb

from lakeray.adapters.ducklake import sql


def mend(cursor: duckdb.DuckDBPyConnection, *, landing_table: str, snapshot: int) -> None:
    """Make a landing table's statistics hold for all of its files, inside the caller's transaction.

    It looks at the statistics of every file, and so mends what an earlier run left, too.

    Args:
        snapshot: the one that registered the newest files.
    """
    table = {"table": landing_table}
    cursor.execute(sql.load("ducklake/mend_nulls"), table | {"snapshot": snapshot})
    cursor.execute(sql.load("ducklake/mend_floats"), table)
    cursor.execute(sql.load("ducklake/mend_bounds"), table)
    for table_id, column_id, low, high in _too_narrow(cursor, landing_table):
        cursor.execute(
            sql.load("ducklake/mend_wider"), {"table": table_id, "column": column_id, "low": low, "high": high}
        )
    cursor.execute(sql.load("ducklake/mend_cache"), {"snapshot": snapshot})


def _too_narrow(cursor: duckdb.DuckDBPyConnection, landing_table: str) -> list[tuple[int, int, str, str]]:
    from lakeray.adapters.ducklake.values.column_summary import as_duckdb  # Arrow: only a commit pays for it

    types = cursor.execute(sql.load("ducklake/bounded_types"), {"table": landing_table}).fetchall()
    found: list[tuple[int, int, str, str]] = []
    for kind in dict.fromkeys(as_duckdb(name) for (name,) in types):
        names = [name for (name,) in types if as_duckdb(name) == kind]
        statement = sql.load("ducklake/too_narrow").replace("$type", kind)
        found += cursor.execute(statement, {"table": landing_table, "names": names}).fetchall()
    return found
