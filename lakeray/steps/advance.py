"""Advance: the cursor and transformed_through move forward only, and never ahead of their fact (P11). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from lakeray.values.keys import day_of, natural_order
from lakeray.values.model import Cursor


def next_path(cursor: Cursor, keys: Iterable[str], *, until: date = date.max) -> str | None:
    """Where the cursor stands after these keys were taken in: the newest by (day, name), never behind where it was.

    A key without a day of its own never moves the cursor: the cursor's day saves listing, so it must be sure. Nor does
    a key of a day after ``until``: one file named ``year=2099`` would make every later file too late (P4).
    """
    best = cursor.path
    newest = None if best is None else _rank(best)
    for key in keys:
        day = day_of(key, otherwise=date.min)
        if not date.min < day <= until or (newest is not None and day < newest[0]):
            continue
        rank = _rank(key)
        if newest is None or rank > newest:
            best, newest = key, rank
    return best


def _rank(key: str) -> tuple[date, str, str]:
    return day_of(key, otherwise=date.min), natural_order(key), key
