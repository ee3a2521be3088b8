"""Of which of Airbyte's generations the rows of a landing table's files are: by the bounds that the catalog keeps.

They outlive the objects, and cost no read of one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from lakeray.values.model import GENERATION_COLUMN, UNKNOWN_GENERATION, FileGenerations, StreamName

Rows = list[tuple[Any, ...]]
Fetch = Callable[[str, list[Any] | dict[str, Any]], Rows]
_UNKNOWN = (UNKNOWN_GENERATION, UNKNOWN_GENERATION)


def file_generations(fetch: Fetch, stream: StreamName) -> Mapping[str, FileGenerations]:
    """Every live file of the stream, by key.

    Raises:
        CatalogError: the catalog does not answer.
    """
    entries = fetch("registered", [stream.source, stream.stream, date.min, date.max])
    bounds: dict[str, tuple[int, int]] = {}
    # The column first: the bounds of all columns of all files are the catalog's largest table, read by its constants.
    for table_id, column_id in fetch("generation_column", [stream.landing_table, GENERATION_COLUMN]):
        for path, *found in fetch("file_generations", [table_id, column_id]):
            bounds[path] = _bounds(*found)
    return {
        entry[0]: FileGenerations(etag=entry[1], rows=entry[3], oldest=oldest, newest=newest)
        for entry in entries
        for oldest, newest in [bounds.get(entry[8], _UNKNOWN)]
    }


def _bounds(oldest: str | None, newest: str | None, nulls: int | None) -> tuple[int, int]:
    try:
        known = int(oldest or ""), int(newest or "")
    except ValueError:  # none, or the stream has a column of its own with this name, of another type
        return _UNKNOWN
    return known if nulls == 0 else (UNKNOWN_GENERATION, known[1])
