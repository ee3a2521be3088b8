"""What Airbyte's S3 destination adds to every record: the one definition of its metadata columns."""

from __future__ import annotations

from collections.abc import Iterable

from lakeray.values.column_types import parse_type
from lakeray.values.model import GENERATION_COLUMN, Column
from lakeray.values.names import folded

AIRBYTE_COLUMNS: tuple[Column, ...] = (
    Column(name="_airbyte_raw_id", type=parse_type("VARCHAR")),
    Column(name="_airbyte_extracted_at", type=parse_type("TIMESTAMP WITH TIME ZONE")),
    Column(
        name="_airbyte_meta",
        type=parse_type("STRUCT(sync_id BIGINT, changes STRUCT(field VARCHAR, change VARCHAR, reason VARCHAR)[])"),
    ),
    Column(name=GENERATION_COLUMN, type=parse_type("BIGINT")),
)
"""The columns that precede a record's own, in the order in which the destination writes them."""


def with_airbyte_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """``columns`` behind those of `AIRBYTE_COLUMNS` that they do not name themselves (names compare as DuckDB's)."""
    own = tuple(columns)
    named = {folded(column.name) for column in own}
    return tuple(column for column in AIRBYTE_COLUMNS if folded(column.name) not in named) + own
