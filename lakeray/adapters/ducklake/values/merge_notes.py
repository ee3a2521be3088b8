"""What is noted in ``meta`` of how a processed table's rows are compared."""

from __future__ import annotations

import json
from dataclasses import replace

from lakeray.values.column_types import parse_type
from lakeray.values.model import MergedBy

CursorType = tuple[str, str]
"""A row of ``meta.cursor_types``: the column, and what it is compared as."""


def merged_by(primary_key: str, newest_first: str) -> MergedBy:
    """A row of ``meta.merged_by``."""
    return MergedBy(primary_key=tuple(json.loads(primary_key)), newest_first=tuple(json.loads(newest_first)))


def with_cursor_type(noted: MergedBy, kept: CursorType | None) -> MergedBy:
    """``noted`` with what its cursor is compared as; the type of a column that was the cursor once says nothing."""
    if kept is None or noted.newest_first[:1] != (kept[0],):
        return noted
    return replace(noted, cursor_type=str(parse_type(kept[1])))
