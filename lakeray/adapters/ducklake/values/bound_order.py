"""Comparing bounds as the texts that the catalog stores, where the text alone says enough; the rest is for DuckDB.

A commit compares a few thousand bounds, and a query for each type costs it more than all comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

Key = Callable[[str], Any]
"""What of a bound is compared. Raises ``Unsure`` for a text of another form than DuckDB's usual one."""

_INTEGERS = frozenset(("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"))
_TIMES = frozenset(
    ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIME")
)
_TIME = re.compile(r"(?:\d{4}-\d\d-\d\d)?(?:(?:^| )\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:\+00)?)?", re.ASCII)
"""Years of four digits, UTC. Texts of this form are in the order of what they say: ``+`` sorts before ``.``."""
_INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)
_DECIMAL = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)
_FLOAT = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII)


class Unsure(ValueError):
    """The text alone does not say enough."""


def key_of(kind: str) -> Key | None:
    """How bounds of a DuckDB type are compared; None leaves the type to DuckDB."""
    if kind in _INTEGERS:
        return _integer
    if kind in _TIMES:
        return _time
    if kind == "VARCHAR":
        return _text
    if kind == "DOUBLE":
        return _double
    return _decimal if kind.startswith("DECIMAL(") else None


def _integer(text: str) -> int:
    return int(_of_form(_INTEGER, text))


def _time(text: str) -> str:
    return _of_form(_TIME, text)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _double(text: str) -> float:
    return float(_of_form(_FLOAT, text))


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(_of_form(_DECIMAL, text))
    except InvalidOperation:
        raise Unsure(text) from None


def _of_form(form: re.Pattern[str], text: str) -> str:
    if not text or form.fullmatch(text) is None:
        raise Unsure(text)
    return text
