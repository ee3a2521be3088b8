"""Names of columns and fields: which are the same, and which no column can have. Pure.

DuckDB folds the case of the letters A to Z and of no others: ``ID`` is ``id``, and ``É`` is not ``é``, nor are ``ſ`` or
the Kelvin sign letters of the alphabet (measured, ADR 0034). Whatever compares names takes it from here.
"""

from __future__ import annotations

import string
from collections.abc import Iterable

MAX_NAME = 1_000
"""Characters of a column's or a field's name (inclusive)."""
OWN_PREFIX = "_lakeray_"
"""How the names of lakeray's own columns begin, in any case of letters: a stream's columns are not called so."""

_FOLD = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def folded(name: str) -> str:
    """The text that is the same for names that DuckDB takes for one."""
    return name.translate(_FOLD)


def same_name(left: str, right: str) -> bool:
    """Whether DuckDB takes the two for one name."""
    return folded(left) == folded(right)


def twice(names: Iterable[str]) -> tuple[str, ...]:
    """The names that are one with an earlier one, as they are written, in their order."""
    seen: set[str] = set()
    found = []
    for name in names:
        if folded(name) in seen:
            found.append(name)
        seen.add(folded(name))
    return tuple(found)


def is_own_name(column: str) -> bool:
    """Whether a column of this name would be taken for one of lakeray's own."""
    return folded(column).startswith(OWN_PREFIX)


def no_name(name: str) -> str | None:
    """Why neither a column nor a field can have this name; None when it can."""
    if not name:
        return "an empty name"
    if "\0" in name:
        return "a name with NUL"
    if len(name) > MAX_NAME:
        return f"a name of {len(name):,} characters; {MAX_NAME:,} are the most"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "a name that is no valid Unicode"
    return None
