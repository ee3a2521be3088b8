"""A value of one type as another, as SQL for DuckDB, and SQL that says whether something of it would be lost.

The session's time zone must be UTC. What cannot be cast gives NULL, never an error; ``loss_sql`` tells it from a value
that was NULL before. Kept whole is what comes back equal when it is cast back; text is taken by what it says: ``'007'``
is 7.
"""

from __future__ import annotations

from collections.abc import Sequence

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct, literal, quoted
from lakeray.values.names import folded
from lakeray.values.type_growth import (
    NAIVE_TIMESTAMPS,
    UTC_TIMESTAMP,
    is_moment,
    is_number,
    joined,
    registrable,
)

_TEXTS = ("VARCHAR", "JSON")
_TIMES_OF_DAY = {"TIME", "TIME WITH TIME ZONE"}
"""Airbyte's TIME comes from its Java writer as a time in UTC."""
_UNION_TAG = "type"
"""In Airbyte's unions, the field that names the one that holds the value."""
_FIRST_NS, _LAST_NS = "TIMESTAMP '1677-09-22'", "TIMESTAMP '2262-04-11'"
"""What TIMESTAMP_NS holds, to a day: 2^63 nanoseconds around 1970."""
_Parts = Sequence[tuple[str, ColumnType]]


def castable(found: ColumnType, wanted: ColumnType) -> bool:
    """Whether there is a cast at all; single values may still not fit."""
    return cast_sql("v", found, wanted) is not None


def lossless(found: ColumnType, wanted: ColumnType) -> bool:
    """Whether each value that a cast keeps whole means the same: what a raw file may be converted by.

    Numbers to numbers, dates and times to timestamps, anything to text, a scalar to a union that has its kind; and
    what is made of these. Text is not parsed: where the contract says a number and the file says text, a type changed.
    """
    match found, wanted:
        case Scalar(name="NULL"), _:
            return True
        case Scalar(name=old), Scalar(name=new):
            return old == new or _is_lossless(old, new)
        case Scalar(), Struct():
            return _union_field(found, wanted) is not None
        case ListOf(), ListOf():
            return lossless(found.item, wanted.item)
        case MapOf(), MapOf():
            return registrable(found.key, wanted.key) and lossless(found.value, wanted.value)
        case Struct(), Struct():
            have = {folded(name): kind for name, kind in found.fields}
            shared = [(have[folded(name)], kind) for name, kind in wanted.fields if folded(name) in have]
            return bool(shared) and all(lossless(left, right) for left, right in shared)
        case _, Scalar(name=new):
            return new in _TEXTS
        case _:
            return False


def cast_sql(value: str, found: ColumnType, wanted: ColumnType, *, level: int = 0) -> str | None:
    """SQL of ``value`` as the wanted type, NULL where it does not fit; None when there is no such cast.

    Args:
        value: SQL of a value of the type ``found``.
        level: how many lists and maps it is in already.
    """
    match found, wanted:
        case Scalar(name="NULL"), _:
            return f"CAST(NULL AS {wanted})"
        case Scalar(name=old), Scalar(name=new):
            return _cast_scalar(value, old, new)
        case Scalar(), Struct():
            return _into_union(value, found, wanted)
        case Struct(), Scalar(name=new) if _is_union(found) and new not in _TEXTS:
            return _out_of_union(value, found, wanted)
        case ListOf(), ListOf():
            item = cast_sql(f"x{level}", found.item, wanted.item, level=level + 1)
            return None if item is None else f"list_transform({value}, lambda x{level}: {item})"
        case MapOf(), MapOf() if registrable(found.key, wanted.key):
            return _cast_map(value, found, wanted, level)
        case Struct(), Struct():
            return _cast_struct(value, found, wanted, level)
        case _, Scalar(name=new) if new in _TEXTS:
            return f"CAST(to_json({value}) AS {wanted})"
        case _:
            return None


def loss_sql(value: str, found: ColumnType, wanted: ColumnType, *, level: int = 0) -> str:
    """SQL that is true where the cast would lose the value or a part of it; ``false`` when it never does."""
    match found, wanted:
        case Scalar(name=old), Scalar(name=new):
            return _loss_of_scalar(value, old, new)
        case Scalar(), Struct():
            field = _union_field(found, wanted)
            return "false" if field is None else loss_sql(value, found, field[1], level=level)
        case Struct(), Scalar(name=new) if _is_union(found) and new not in _TEXTS:
            kinds = [(_field(value, name), kind) for name, kind in found.fields if folded(name) != _UNION_TAG]
            return _any([f"({part} IS NOT NULL AND {cast_sql(part, k, wanted)} IS NULL)" for part, k in kinds])
        case ListOf(), ListOf():
            item = loss_sql(f"x{level}", found.item, wanted.item, level=level + 1)
            return item if item == "false" else _any_item(value, item, level)
        case MapOf(), MapOf():
            item = loss_sql(f"x{level}", found.value, wanted.value, level=level + 1)
            return item if item == "false" else _any_item(f"map_values({value})", item, level)
        case Struct(), Struct():
            want = {folded(name): kind for name, kind in wanted.fields}
            shared = [(name, kind, want[folded(name)]) for name, kind in found.fields if folded(name) in want]
            return _any([loss_sql(_field(value, name), left, right, level=level) for name, left, right in shared])
        case _:
            return "false"


def _is_lossless(old: str, new: str) -> bool:
    if new in _TEXTS:
        return old != "BLOB"
    if {old, new} == _TIMES_OF_DAY:
        return True
    return (is_number(old) and is_number(new)) or (is_moment(old) and is_moment(new))


def _cast_scalar(value: str, old: str, new: str) -> str | None:
    if old == new:
        return value
    if is_moment(old) and is_moment(new):
        return _cast_moment(value, old, new)
    if new in _TEXTS and old not in _TEXTS:
        return f"CAST({value} AS VARCHAR)" if new == "VARCHAR" else f"CAST(to_json({value}) AS JSON)"
    if old in _TEXTS or new in _TEXTS or _are_numbers(old, new) or {old, new} == _TIMES_OF_DAY:
        return f"TRY_CAST({value} AS {new})"
    return None


def _are_numbers(old: str, new: str) -> bool:
    return (is_number(old) or old == "BOOLEAN") and (is_number(new) or new == "BOOLEAN")


def _cast_moment(value: str, old: str, new: str) -> str:
    """A time without a zone is UTC, Airbyte's definition."""
    if new == UTC_TIMESTAMP:
        naive = value if old == "TIMESTAMP" else f"TRY_CAST({value} AS TIMESTAMP)"
        return f"timezone('UTC', {naive})"
    naive = f"timezone('UTC', {value})" if old == UTC_TIMESTAMP else f"TRY_CAST({value} AS TIMESTAMP)"
    if new == "TIMESTAMP_NS":
        # DuckDB's TRY_CAST fails, and does not give NULL, for a time that nanoseconds do not reach.
        return f"CASE WHEN {naive} BETWEEN {_FIRST_NS} AND {_LAST_NS} THEN CAST({naive} AS TIMESTAMP_NS) END"
    if old == UTC_TIMESTAMP or (old in NAIVE_TIMESTAMPS and new in NAIVE_TIMESTAMPS):
        return naive if new == "TIMESTAMP" else f"TRY_CAST({naive} AS {new})"
    return f"TRY_CAST({value} AS {new})"


def _loss_of_scalar(value: str, old: str, new: str) -> str:
    cast = _cast_scalar(value, old, new)
    if cast is None or old == new or "NULL" in (old, new) or registrable(Scalar(old), Scalar(new)):
        return "false"
    if new in _TEXTS and old not in _TEXTS:
        return "false"
    if old in _TEXTS:
        rounded = f" OR TRY_CAST({value} AS DOUBLE) IS DISTINCT FROM CAST({cast} AS DOUBLE)" if is_number(new) else ""
        return f"({value} IS NOT NULL AND ({cast} IS NULL{rounded}))"
    return f"({value} IS NOT NULL AND {_cast_scalar(cast, new, old)} IS DISTINCT FROM {value})"


def _field(value: str, name: str) -> str:
    return f"struct_extract({value}, {literal(name)})"


def _packed(value: str, fields: Sequence[tuple[str, str]]) -> str:
    made = ", ".join(f"{quoted(name)} := {part}" for name, part in fields)
    return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({made}) END"


def _cast_struct(value: str, found: Struct, wanted: Struct, level: int) -> str | None:
    have = {folded(name): (name, kind) for name, kind in found.fields}
    if not any(folded(name) in have for name, _ in wanted.fields):
        return _into_union(value, found, wanted)
    fields: list[tuple[str, str]] = []
    for name, kind in wanted.fields:
        own = have.get(folded(name))
        part = f"CAST(NULL AS {kind})" if own is None else cast_sql(_field(value, own[0]), own[1], kind, level=level)
        if part is None:
            return None
        fields.append((name, part))
    return _packed(value, fields)


def _cast_map(value: str, found: MapOf, wanted: MapOf, level: int) -> str | None:
    entry = f"x{level}"
    key = cast_sql(_field(entry, "key"), found.key, wanted.key, level=level + 1)
    item = cast_sql(_field(entry, "value"), found.value, wanted.value, level=level + 1)
    if key is None or item is None:
        return None
    made = f"struct_pack(key := {key}, value := {item})"
    return f"map_from_entries(list_transform(map_entries({value}), lambda {entry}: {made}))"


def _is_union(kind: Struct) -> bool:
    return any(folded(name) == _UNION_TAG and part == Scalar("VARCHAR") for name, part in kind.fields)


def _kinds(union: Struct) -> _Parts:
    return [(name, kind) for name, kind in union.fields if folded(name) != _UNION_TAG]


def _union_field(found: ColumnType, union: Struct) -> tuple[str, ColumnType] | None:
    """Which kind of an Airbyte union holds such values: of its own type, else of a wider one, else as text."""
    if not _is_union(union):
        return None
    kinds = _kinds(union)
    own = next((field for field in kinds if field[1] == found), None)
    wider = own or next((field for field in kinds if registrable(found, field[1])), None)
    if wider is not None or not isinstance(found, Scalar):
        return wider
    holding = [field for field in kinds if field[1] != Scalar("VARCHAR") and joined(found, field[1]) == field[1]]
    texts = [field for field in kinds if field[1] == Scalar("VARCHAR")]
    return next(iter(holding + texts), None)


def _into_union(value: str, found: ColumnType, union: Struct) -> str | None:
    field = _union_field(found, union)
    held = None if field is None else cast_sql(value, found, field[1])
    if field is None or held is None:
        return None
    parts: list[tuple[str, str]] = []
    for own, kind in union.fields:
        if folded(own) == _UNION_TAG:
            parts.append((own, literal(field[0])))
        else:
            parts.append((own, held if own == field[0] else f"CAST(NULL AS {kind})"))
    return _packed(value, parts)


def _out_of_union(value: str, union: Struct, wanted: Scalar) -> str | None:
    casts = [cast_sql(_field(value, name), kind, wanted) for name, kind in _kinds(union)]
    held = [cast for cast in casts if cast is not None]
    return f"coalesce({', '.join(held)})" if held and len(held) == len(casts) else None


def _any(conditions: Sequence[str]) -> str:
    told = [condition for condition in conditions if condition != "false"]
    return f"({' OR '.join(told)})" if told else "false"


def _any_item(items: str, condition: str, level: int) -> str:
    return f"(coalesce(len(list_filter({items}, lambda x{level}: {condition})), 0) > 0)"
