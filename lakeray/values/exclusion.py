"""Fields that a stream never takes, at any depth: the columns that are left of a file. Pure.

A field is named by its path, with dots; lists and maps have no name of their own in it, nor have the kinds of Airbyte's
unions. Names are compared as DuckDB compares them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import assert_never

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct
from lakeray.values.model import Column
from lakeray.values.names import folded

_TEXTS = ("VARCHAR", "JSON", "BLOB")
"""What may hold a document that nobody looks into."""
_KINDS = ("object", "array")
_TAG = "type"


def pruned(columns: Sequence[Column], excluded: Iterable[str]) -> tuple[Column, ...]:
    """The columns without the excluded fields, in their order.

    A text in whose place an excluded field would be, as of ``address.street`` where ``address`` is JSON, goes whole:
    nobody looks into it. So does a struct of which nothing is left.

    Args:
        excluded: paths, ``customer.email``.
    """
    paths = frozenset(folded(path) for path in excluded)
    kept = ((column, _without(column.type, (folded(column.name),), paths)) for column in columns)
    return tuple(replace(column, type=kind) for column, kind in kept if kind is not None)


def held(columns: Sequence[Column], excluded: Iterable[str]) -> tuple[str, ...]:
    """The columns that are, or hold, an excluded field."""
    left = {column.name: column.type for column in pruned(columns, excluded)}
    return tuple(column.name for column in columns if left.get(column.name) != column.type)


def _without(kind: ColumnType, at: tuple[str, ...], excluded: frozenset[str]) -> ColumnType | None:
    """What is left of a type.

    Args:
        at: the paths that lead here; a union's kind has that of the union, too.
    """
    if excluded.intersection(at):
        return None
    match kind:
        case Struct():
            return _without_fields(kind, at, excluded)
        case ListOf(item=item):
            left = _without(item, at, excluded)
            return None if left is None else ListOf(left)
        case MapOf():
            key, value = (_without(part, at, excluded) for part in (kind.key, kind.value))
            return None if key is None or value is None else MapOf(key, value)
        case Scalar(name=name):
            hides = name in _TEXTS and any(path.startswith(f"{own}.") for path in excluded for own in at)
            return None if hides else kind
        case _:
            assert_never(kind)


def _without_fields(kind: Struct, at: tuple[str, ...], excluded: frozenset[str]) -> ColumnType | None:
    is_union = any(folded(name) == _TAG and part == Scalar("VARCHAR") for name, part in kind.fields)
    fields: list[tuple[str, ColumnType]] = []
    for name, part in kind.fields:
        own = tuple(f"{path}.{folded(name)}" for path in at)
        left = _without(part, own + at if is_union and folded(name) in _KINDS else own, excluded)
        if left is not None:
            fields.append((name, left))
    return Struct(tuple(fields)) if fields else None
