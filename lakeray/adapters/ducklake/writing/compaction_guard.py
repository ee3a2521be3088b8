"""Tables whose files and rows nobody may move: DuckLake's own maintenance leaves them out, whoever calls it (P13).

Merged with others, a raw object would be scheduled for deletion although its retention is not over. Flushed into
Parquet, the bookkeeping could no longer be read or written in the catalog itself.
"""

from __future__ import annotations

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.values.errors import CatalogError


def guard(connection: duckdb.DuckDBPyConnection) -> None:
    """Set ``auto_compact=false`` wherever it is missing or was taken away, as in a lake that an earlier version made.

    DuckLake then returns at once from a merge, a flush or a CHECKPOINT of these tables, by schema and by name alike.
    No DuckLake snapshot is made of it. A connection that was attached before goes by what it read then.

    Raises:
        CatalogError: the catalog failed.
    """
    try:
        with connection.cursor() as cursor:
            for schema, table in cursor.execute(sql.load("ducklake/open_to_compaction")).fetchall():
                if table is None:
                    cursor.execute("CALL lakehouse.set_option('auto_compact', false, schema => ?)", [schema])
                else:
                    cursor.execute(
                        "CALL lakehouse.set_option('auto_compact', false, schema => ?, table_name => ?)",
                        [schema, table],
                    )
    except duckdb.Error as error:
        raise CatalogError("the lake's tables cannot be kept out of compaction", found=first_line(error)) from error
