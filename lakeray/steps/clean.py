"""Clean: whole, transformed files behind cursor − retention, through the catalog (P13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Protocol

from lakeray.values.keys import day_of
from lakeray.values.model import CleanPlan, Cursor, LedgerEntry, StreamName


class Cleanable(Protocol):
    """The part of the catalog reader that tells what may go."""

    def cleanable(self, stream: StreamName, *, before: date) -> Sequence[LedgerEntry]:
        """Live, transformed files of days before ``before``."""


def clean_before(cursor: Cursor, *, retention_days: int) -> date | None:
    """Files of days before this one may go (exclusive); None when the cursor tells no day."""
    if cursor.path is None:
        return None
    newest = day_of(cursor.path, otherwise=date.min)
    return None if newest == date.min else newest - timedelta(days=retention_days)


def plan_clean(stream: StreamName, *, cursor: Cursor, reader: Cleanable, retention_days: int) -> CleanPlan:
    """What clean-up would take out of the stream's landing table. Writes nothing."""
    before = clean_before(cursor, retention_days=retention_days)
    files = () if before is None else tuple(reader.cleanable(stream, before=before))
    return CleanPlan(stream=stream, files=files, before=before)
