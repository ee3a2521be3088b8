"""Records of one small stream, and the stand-in for Parquet that holds them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.values.column_types import parse_type
from lakeray.values.keys import natural_order
from lakeray.values.model import GENERATION_COLUMN, Column, Contract, Footer, StreamName
from lakeray.values.origins import ORIGIN

STREAM = StreamName("shop", "orders")
OWN_COLUMNS = {"pk": "BIGINT", "cursor": "BIGINT", "value": "VARCHAR"}
COLUMNS: dict[str, str] = {column.name: str(column.type) for column in AIRBYTE_COLUMNS} | OWN_COLUMNS
CONTRACT = Contract(
    columns=tuple(Column(name=name, type=parse_type(kind)) for name, kind in COLUMNS.items()), primary_key=("pk",)
)

NUMBER = "_lakeray_number"

Row = Mapping[str, Any]


def row(pk: int, value: str = "", *, cursor: int | None = 0, extracted_at: int = 0, raw_id: str = "") -> dict[str, Any]:
    """One record. ``extracted_at`` is seconds from some midnight."""
    return {"pk": pk, "cursor": cursor, "extracted_at": extracted_at, "raw_id": raw_id, "value": value}


def of_generation(generation: int, *records: Row) -> list[Row]:
    """The records, as a sync of this generation sends them."""
    return [{**record, GENERATION_COLUMN: generation} for record in records]


def generation_of(record: Row) -> int:
    """A record's generation; -1 when it says none."""
    found: int = record.get(GENERATION_COLUMN, -1)
    return found


def origin_rank(text: str) -> tuple[str, str]:
    """What an origin is compared by: the time, then the key in natural order, then as text."""
    return natural_order(text), text


def rank(record: Row) -> tuple[int, int, tuple[str, str], int, str]:
    """Newest last, by the whole order of P12: cursor (none is oldest), extraction, origin, number, Airbyte's id."""
    cursor = record["cursor"]
    return (
        -1 if cursor is None else cursor,
        record["extracted_at"],
        origin_rank(record.get(ORIGIN, "")),
        record.get(NUMBER, 0),
        record["raw_id"],
    )


def stamped(rows: Iterable[Row], origin: str) -> list[Row]:
    """The rows of an object as a merge takes them: with what of their order they do not carry."""
    return [{**item, ORIGIN: origin, NUMBER: number} for number, item in enumerate(rows)]


def plain(record: Row) -> Row:
    """The record as it was delivered."""
    return {name: value for name, value in record.items() if name not in (ORIGIN, NUMBER)}


def newest_of(records: Iterable[Row], *, key: Sequence[str] = ("pk",), again: Collection[str] = ()) -> dict[Any, Row]:
    """What a processed table must hold after all these records: the newest of each key.

    Args:
        again: raw ids of records that stand for themselves, told later.
    """
    merged: dict[Any, Row] = {}
    for record in records:
        at = record[key[0]] if len(key) == 1 else tuple(record[name] for name in key)
        have = merged.get(at)
        level = have is not None and rank(record) == rank(have) and record["raw_id"] in again
        if have is None or level or rank(record) > rank(have):
            merged[at] = record
    return merged


def newest(records: Iterable[Row]) -> dict[int, Row]:
    """The same, each as it was delivered."""
    return {pk: plain(record) for pk, record in newest_of(records).items()}


def content(rows: Sequence[Row], *, columns: Mapping[str, str] = COLUMNS, damaged: bool = False) -> bytes:
    """A file of these rows as the in-memory lake reads it; a damaged one has a good footer and a bad page."""
    plain = {"columns": dict(columns), "rows": [dict(item) for item in rows]}
    return json.dumps({**plain, "damaged": True} if damaged else plain, sort_keys=True).encode()


def is_damaged(data: bytes) -> bool:
    """Whether the file has a bad page."""
    return "damaged" in json.loads(data)


def rows_of(data: bytes) -> list[dict[str, Any]]:
    """The rows of such a file.

    Raises:
        ValueError: it is none.
    """
    rows: list[dict[str, Any]] = json.loads(data)["rows"]
    return rows


def footer_of(data: bytes) -> Footer:
    """What a Parquet footer would say of such a file.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(data)
    return Footer(
        rows=len(found["rows"]),
        row_groups=1,
        columns=tuple(Column(name=name, type=parse_type(kind)) for name, kind in found["columns"].items()),
        compressed_bytes=len(data),
        uncompressed_bytes=len(data),
        largest_group_bytes=len(data),
    )
