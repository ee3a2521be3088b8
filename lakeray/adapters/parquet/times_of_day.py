"""Times of day that are none, found before any DuckDB sees them: its process ends when it writes one as text.

Bounds of a file's statistics are written as text when it is registered, values when dbt writes them into another table.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from lakeray.adapters.parquet.footer_bytes import SchemaElement, bounds_of, leaf_paths

_TIME_MILLIS, _TIME_MICROS = 7, 8
"""Parquet's ConvertedType."""
_TIME = 7
"""Parquet's LogicalType."""
_DAY_MS, _DAY_US, _DAY_NS = 86_400_000, 86_400_000_000, 86_400_000_000_000
_INT32 = 1


class Times(Enum):
    """What a footer says of the times of day in its file."""

    WITHIN = "within"
    """All are between 00:00 and 24:00; also when there are none."""
    OUTSIDE = "outside"
    UNKNOWN = "unknown"
    """Statistics are missing."""


def has_times(elements: Sequence[SchemaElement]) -> bool:
    """Whether a column is a time of day, or has some in it."""
    return any(_is_time(element) for element in elements)


def times_of(footer: bytes, elements: Sequence[SchemaElement]) -> Times:
    """What the statistics say of all times of day.

    Raises:
        IndexError, ValueError, RecursionError: the footer is none.
    """
    found = Times.WITHIN
    for number, path in enumerate(leaf_paths(elements)):
        if _is_time(path[-1]):
            times = _of_leaf(footer, number, path[-1])
            if times is Times.OUTSIDE:
                return times
            found = times if times is Times.UNKNOWN else found
    return found


def _is_time(element: SchemaElement) -> bool:
    return element.logical == _TIME or element.converted_type in (_TIME_MILLIS, _TIME_MICROS)


def _of_leaf(footer: bytes, number: int, leaf: SchemaElement) -> Times:
    groups = bounds_of(footer, number)
    most = _DAY_MS if leaf.physical == _INT32 else _DAY_NS if leaf.nanoseconds else _DAY_US
    if groups is None:
        return Times.UNKNOWN
    known = [bound for bounds in groups for bound in bounds if bound is not None]
    if any(not 0 <= int.from_bytes(bound, "little", signed=True) <= most for bound in known):
        return Times.OUTSIDE
    return Times.UNKNOWN if any(_lacks(bounds) for bounds in groups) else Times.WITHIN


def _lacks(bounds: tuple[bytes | None, ...]) -> bool:
    old_max, old_min, high, low = bounds
    return (old_max is None or old_min is None) and (high is None or low is None)
