"""Where a row is from, and the one total order of a stream's records (P12). Pure.

A merge keeps the newest record of a key. Which one that is must follow from the records alone: the same files,
registered in any order, cut into any batches, replayed or tried again, give the same table.
"""

from __future__ import annotations

from datetime import UTC, datetime

from lakeray.values.model import SourceFile

RECORD_ORDER = (
    "the cursor",
    "`_airbyte_extracted_at`",
    "the LastModified of its object",
    "the key of its object in natural order",
    "its number in the object",
    "`_airbyte_raw_id`",
)
"""What a record is judged by, most important first, the greatest value newest and a missing one oldest. The macro
``lakeray_age`` and P12 say the same; tests compare the three."""
OWN_PREFIX = "_lakeray_"
"""How the names of lakeray's own columns begin, in any case of letters: a stream's columns are not called so."""
ORIGIN = f"{OWN_PREFIX}origin"
"""The column of a processed table that holds the origin of each row: what of the order no column of the row carries."""
_NO_TIME = "0000-00-00T00:00:00.000000Z"
"""Stands for a LastModified that nobody wrote down, and is older than any."""


def is_own_name(column: str) -> bool:
    """Whether a column of this name would be taken for one of lakeray's own."""
    return column.lower().startswith(OWN_PREFIX)


def origin_of(file: SourceFile) -> str:
    """The LastModified (UTC, microseconds) and the key of an object: ``2026-01-31T06:00:00.000000Z shop/orders/…``."""
    return origin(file.key, file.last_modified)


def origin(key: str, last_modified: datetime | None) -> str:
    """The same, of a key; None for an object that an earlier version took in, which did not keep the time."""
    if last_modified is None:
        return f"{_NO_TIME} {key}"
    at = last_modified.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{at}Z {key}"
