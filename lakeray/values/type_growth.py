"""How types relate: what a file's column can be registered under, what holds two types, how a column may grow.

Measured on DuckDB 1.5.5 (docs/adr/0005-registrable-types.md, docs/adr/0025-rebuild.md). DuckDB compares a filter's
constant with a file's column in the *file's* type: ``x > 0.5`` on a file of integers under a DOUBLE column asks for
``x > 0`` or ``x > 1``. So a file's type may be narrower than its column's only where every value of the column that
could be asked for either is one of the file's type too, or lies outside its range.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct
from lakeray.values.names import folded

FieldPath = tuple[str, ...]
"""A column or a field of one, from the table down, as DuckLake names them: list items are ``element``, maps ``key`` and
``value``."""

_BITS = {
    "TINYINT": (8, True),
    "SMALLINT": (16, True),
    "INTEGER": (32, True),
    "BIGINT": (64, True),
    "UTINYINT": (8, False),
    "USMALLINT": (16, False),
    "UINTEGER": (32, False),
    "UBIGINT": (64, False),
}
"""Integers: how many bits, and whether one of them is a sign."""
_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}
_MOST_DIGITS = 38
NAIVE_TIMESTAMPS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
UTC_TIMESTAMP = "TIMESTAMP WITH TIME ZONE"
EPOCHS = ("INTEGER", "BIGINT", "UINTEGER", "UBIGINT")
"""What times are written as that are whole numbers since 1970."""


def registrable(found: ColumnType, wanted: ColumnType) -> bool:
    """Whether a file's column of type ``found`` can be registered under a landing column of type ``wanted``."""
    match found, wanted:
        case Scalar(), Scalar():
            return found == wanted or _is_narrower(found.name, wanted.name)
        case ListOf(), ListOf():
            return registrable(found.item, wanted.item)
        case MapOf(), MapOf():
            return registrable(found.key, wanted.key) and registrable(found.value, wanted.value)
        case Struct(), Struct():
            have = {folded(name): kind for name, kind in found.fields}
            shared = [(have[folded(name)], kind) for name, kind in wanted.fields if folded(name) in have]
            return bool(shared) and all(registrable(left, right) for left, right in shared)
        case _:
            return False


def grows(old: ColumnType, new: ColumnType) -> bool:
    """Whether a column may become ``new`` while files under ``old`` stay as they are. True of the same type, too."""
    match old, new:
        case Scalar(), Scalar():
            return old == new or _is_narrower(old.name, new.name)
        case ListOf(), ListOf():
            return grows(old.item, new.item)
        case MapOf(), MapOf():
            return grows(old.key, new.key) and grows(old.value, new.value)
        case Struct(), Struct():
            have = {folded(name): kind for name, kind in new.fields}
            return all(folded(name) in have and grows(kind, have[folded(name)]) for name, kind in old.fields)
        case _:
            return False


def covers(have: ColumnType, wanted: ColumnType) -> bool:
    """Whether a column has all that is wanted of it. Fields beside it, which files brought, do not matter."""
    match have, wanted:
        case Scalar(), Scalar():
            return have == wanted
        case ListOf(), ListOf():
            return covers(have.item, wanted.item)
        case MapOf(), MapOf():
            return covers(have.key, wanted.key) and covers(have.value, wanted.value)
        case Struct(), Struct():
            fields = {folded(name): kind for name, kind in have.fields}
            return all(folded(name) in fields and covers(fields[folded(name)], kind) for name, kind in wanted.fields)
        case _:
            return False


def merged(have: ColumnType, wanted: ColumnType) -> ColumnType:
    """``wanted`` with the fields that only ``have`` has; in the order, and the letter case, of ``have``."""
    match have, wanted:
        case ListOf(), ListOf():
            return ListOf(merged(have.item, wanted.item))
        case MapOf(), MapOf():
            return MapOf(merged(have.key, wanted.key), merged(have.value, wanted.value))
        case Struct(), Struct():
            want = {folded(name): kind for name, kind in wanted.fields}
            kept = tuple(
                (name, merged(kind, want[folded(name)]) if folded(name) in want else kind) for name, kind in have.fields
            )
            names = {folded(name) for name, _ in have.fields}
            return Struct(kept + tuple(field for field in wanted.fields if folded(field[0]) not in names))
        case _:
            return wanted


@lru_cache(maxsize=4096)
def joined(left: ColumnType, right: ColumnType) -> ColumnType | None:
    """The least type that holds both; None when there is none.

    Whole numbers, decimals and floating-point numbers meet in DOUBLE, which holds not all of their values: whoever
    converts them checks each.
    """
    match left, right:
        case Scalar(name="NULL"), _:
            return right
        case _, Scalar(name="NULL"):
            return left
        case Scalar(), Scalar():
            name = _joined_names(left.name, right.name)
            return None if name is None else Scalar(name)
        case ListOf(), ListOf():
            item = joined(left.item, right.item)
            return None if item is None else ListOf(item)
        case MapOf(), MapOf():
            key, value = joined(left.key, right.key), joined(left.value, right.value)
            return None if key is None or value is None else MapOf(key, value)
        case Struct(), Struct():
            return _joined_structs(left, right)
        case _:
            return None


def additions(old: ColumnType, new: ColumnType, *, path: FieldPath) -> Iterator[tuple[FieldPath, ColumnType]]:
    """The fields that ``new`` has and ``old`` lacks, at any depth, each as a whole: its path and its type."""
    match old, new:
        case ListOf(), ListOf():
            yield from additions(old.item, new.item, path=(*path, "element"))
        case MapOf(), MapOf():
            yield from additions(old.key, new.key, path=(*path, "key"))
            yield from additions(old.value, new.value, path=(*path, "value"))
        case Struct(), Struct():
            have = {folded(name): (name, kind) for name, kind in old.fields}
            for name, kind in new.fields:
                if folded(name) in have:
                    own, place = have[folded(name)]
                    yield from additions(place, kind, path=(*path, own))
                else:
                    yield (*path, name), kind
        case _:
            return


def has_place(kind: ColumnType, path: FieldPath) -> bool:
    """Whether a type has the field at a path below it; the empty path is the type itself."""
    if not path:
        return True
    name, rest = path[0], path[1:]
    match kind:
        case ListOf():
            return name == "element" and has_place(kind.item, rest)
        case MapOf():
            return name in ("key", "value") and has_place(kind.key if name == "key" else kind.value, rest)
        case Struct():
            field = next((part for own, part in kind.fields if folded(own) == folded(name)), None)
            return field is not None and has_place(field, rest)
        case _:
            return False


def without_nulls(kind: ColumnType) -> ColumnType | None:
    """The type without the fields that have none, for they hold no value; None when nothing is left of it."""
    match kind:
        case Scalar(name="NULL"):
            return None
        case ListOf():
            item = without_nulls(kind.item)
            return None if item is None else ListOf(item)
        case MapOf():
            key, value = without_nulls(kind.key), without_nulls(kind.value)
            return None if key is None or value is None else MapOf(key, value)
        case Struct():
            parts = [(name, left) for name, part in kind.fields if (left := without_nulls(part)) is not None]
            return Struct(tuple(parts)) if parts else None
        case _:
            return kind


def decimal_of(name: str) -> tuple[int, int] | None:
    """Digits in all and behind the point of ``DECIMAL(10,2)``; None for another type."""
    if not name.startswith("DECIMAL("):
        return None
    digits, scale = name.removeprefix("DECIMAL(").removesuffix(")").split(",")
    return int(digits), int(scale)


def is_number(name: str) -> bool:
    """Whether a scalar is a number."""
    return name in _BITS or name in ("HUGEINT", "FLOAT", "DOUBLE") or decimal_of(name) is not None


def is_moment(name: str) -> bool:
    """Whether a scalar is a date or a timestamp."""
    return name in ("DATE", UTC_TIMESTAMP, *NAIVE_TIMESTAMPS)


def shown(path: FieldPath) -> str:
    """A path as people write it: ``customer.addresses[].zip``."""
    parts = [path[0]]
    for name in path[1:]:
        parts.append("[]" if name == "element" else f".{name}")
    return "".join(parts)


def _is_narrower(found: str, wanted: str) -> bool:
    if found in _BITS and wanted in _BITS:
        (bits, signed), (room, has_sign) = _BITS[found], _BITS[wanted]
        return bits < room and (has_sign or not signed)
    narrow, wide = decimal_of(found), decimal_of(wanted)
    return narrow is not None and wide is not None and narrow[1] == wide[1] and narrow[0] < wide[0]


def _joined_names(left: str, right: str) -> str | None:
    if left == right or _is_narrower(right, left):
        return left
    if _is_narrower(left, right):
        return right
    if is_number(left) and is_number(right):
        return _joined_numbers(left, right)
    if is_moment(left) and is_moment(right):
        return _joined_moments(left, right)
    return "VARCHAR" if {left, right} == {"VARCHAR", "JSON"} else None


def _joined_numbers(left: str, right: str) -> str | None:
    if "FLOAT" in (left, right) or "DOUBLE" in (left, right):
        return "DOUBLE"
    exact = [_as_decimal(name) for name in (left, right)]
    whole, scale = max(digits - point for digits, point in exact), max(point for _, point in exact)
    if whole + scale > _MOST_DIGITS:
        return None
    if scale == 0 and left in _BITS and right in _BITS:
        bits = max(_BITS[name][0] for name in (left, right))
        return {8: "SMALLINT", 16: "INTEGER", 32: "BIGINT"}.get(bits, "DECIMAL(20,0)")
    return f"DECIMAL({whole + scale},{scale})"


def _as_decimal(name: str) -> tuple[int, int]:
    if name in _BITS:
        bits, signed = _BITS[name]
        return _DIGITS[bits] + (bits == 64 and not signed), 0
    return decimal_of(name) or (_MOST_DIGITS, 0)


def _joined_moments(left: str, right: str) -> str:
    if UTC_TIMESTAMP in (left, right):
        return UTC_TIMESTAMP
    kinds = {left, right} - {"DATE"}
    return kinds.pop() if len(kinds) == 1 else "TIMESTAMP"


def _joined_structs(left: Struct, right: Struct) -> Struct | None:
    theirs = {folded(name): kind for name, kind in right.fields}
    fields: list[tuple[str, ColumnType]] = []
    for name, kind in left.fields:
        other = theirs.pop(folded(name), None)
        both = kind if other is None else joined(kind, other)
        if both is None:
            return None
        fields.append((name, both))
    return Struct((*fields, *((name, kind) for name, kind in right.fields if folded(name) in theirs)))
