"""Where a row is from, and the one total order of a stream's records (P12). Pure.

A merge keeps the newest record of a key. Which one that is must follow from the records alone: the same files,
registered in any order, cut into any batches, replayed or tried again, give the same table.
"""

from __future__ import annotations

from datetime import UTC, datetime

from lakeray.values.model import SourceFile
from lakeray.values.names import OWN_PREFIX

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
ORIGIN = f"{OWN_PREFIX}origin"
"""The column of a processed table that holds the origin of each row: what of the order no column of the row carries."""
_NO_TIME = "0000-00-00T00:00:00.000000Z"
"""Stands for a LastModified that nobody wrote down, and is older than any."""


def origin_of(file: SourceFile) -> str:
    """The LastModified (UTC, microseconds) and the key of an object: ``2026-01-31T06:00:00.000000Z shop/orders/…``."""
    return origin(file.key, file.last_modified)


def origin(key: str, last_modified: datetime | None) -> str:
    """The same, of a key; None for an object that an earlier version took in, which did not keep the time."""
    if last_modified is None:
        return f"{_NO_TIME} {key}"
    at = last_modified.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{at}Z {key}"
