"""Columns of a raw file in other types, cast by DuckDB: each value is kept whole, or the file is not taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import duckdb
import pyarrow as pa

from lakeray.adapters.parquet.arrow_types import arrow_type
from lakeray.values.casts import cast_sql, loss_sql
from lakeray.values.column_types import Scalar
from lakeray.values.model import Cast
from lakeray.values.type_growth import NAIVE_TIMESTAMPS, UTC_TIMESTAMP, registrable

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "1",
    "memory_limit": "256MB",
    "autoinstall_known_extensions": "false",
}
"""Of the rows of some 16 MB a column at a time is cast: what it takes beside them is little."""


def is_arrows(cast: Cast) -> bool:
    """Casts that Arrow makes, and checks, itself: columns without a type, times without a zone, whole numbers."""
    if not isinstance(cast.found, Scalar) or not isinstance(cast.wanted, Scalar):
        return cast.found == Scalar("NULL")
    name, wanted = cast.found.name, cast.wanted.name
    if wanted == UTC_TIMESTAMP:
        return name in (*NAIVE_TIMESTAMPS, "BIGINT", "NULL")
    return name == "NULL" or (wanted == "DOUBLE" and registrable(cast.found, Scalar("BIGINT")))


class Lossy(Exception):
    """A value of a column would not come back as it was."""

    def __init__(self, cast: Cast) -> None:
        super().__init__(cast.column)
        self.detail = (
            f"column {cast.column}: expected values that {cast.wanted} holds without loss, found others of {cast.found}"
        )


class Recast:
    """The casts that DuckDB makes, value by value and checked, in a database of its own in memory."""

    def __init__(self, casts: Sequence[Cast]) -> None:
        self._casts = [cast for cast in casts if not is_arrows(cast)]
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        if self._casts:
            self._connection = duckdb.connect(config=_CONFIG)
            self._connection.execute("SET TimeZone = 'UTC'")
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def columns(self, batch: pa.RecordBatch) -> dict[str, pa.Array]:
        """The columns of a batch that are cast here, by name.

        Raises:
            Lossy: a value does not fit.
        """
        if self._connection is None:
            return {}
        rows = pa.table({f"c{at}": batch.column(cast.column) for at, cast in enumerate(self._casts)})
        found = self._connection.from_arrow(rows)
        named = [(f"c{at}", cast) for at, cast in enumerate(self._casts)]
        lost = found.aggregate(
            ", ".join(f"coalesce(bool_or({loss_sql(own, cast.found, cast.wanted)}), false)" for own, cast in named)
        ).fetchall()[0]
        for each, some in zip(self._casts, lost, strict=True):
            if some:
                raise Lossy(each)
        made = found.project(", ".join(f"{cast_sql(own, cast.found, cast.wanted)} AS {own}" for own, cast in named))
        table = made.to_arrow_table()
        return {cast.column: table.column(own).combine_chunks().cast(arrow_type(cast.wanted)) for own, cast in named}
