"""Column types as DuckDB writes them: parse, print, compare. Standard library only.

The stream configs, the landing DDL and a footer all speak of types; this is the one form they meet in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from lakeray.values.names import folded, no_name, twice

_ALIASES = {
    "STRING": "VARCHAR",
    "TEXT": "VARCHAR",
    "INT64": "BIGINT",
    "LONG": "BIGINT",
    "INT": "INTEGER",
    "INT32": "INTEGER",
    "BOOL": "BOOLEAN",
    "FLOAT8": "DOUBLE",
    "TIMESTAMPTZ": "TIMESTAMP WITH TIME ZONE",
    "BYTEA": "BLOB",
}
_TOKEN = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([A-Za-z_][A-Za-z0-9_]*)|(\d+)|(\[\]|[(),]))')


@dataclass(frozen=True, slots=True)
class Scalar:
    """A type without parts: ``BIGINT``, ``DECIMAL(10,2)``, ``TIMESTAMP WITH TIME ZONE``."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Struct:
    """Named parts, in order. Names are compared as DuckDB compares them (names.py)."""

    fields: tuple[tuple[str, ColumnType], ...]

    def __str__(self) -> str:
        return "STRUCT(" + ", ".join(f"{quoted(name)} {kind}" for name, kind in self.fields) + ")"


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of items of one type."""

    item: ColumnType

    def __str__(self) -> str:
        return f"{self.item}[]"


@dataclass(frozen=True, slots=True)
class MapOf:
    """Keys of one type to values of another."""

    key: ColumnType
    value: ColumnType

    def __str__(self) -> str:
        return f"MAP({self.key}, {self.value})"


ColumnType = Scalar | Struct | ListOf | MapOf

LANDABLE = frozenset(
    {
        *("BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL"),
        *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "DATE", "TIME", "TIMESTAMP", "INTERVAL"),
        *("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE"),
        *("VARCHAR", "BLOB", "UUID", "JSON"),
    }
)
"""The scalars that a table of DuckLake's catalog format 1.0 can have (its specification, Data Types)."""
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


def quoted(identifier: str) -> str:
    """``identifier`` as a quoted SQL identifier. The one place where identifiers are quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """``text`` as an SQL string, for what takes no bound value (ATTACH, CREATE SECRET, the names of fields)."""
    return "'" + text.replace("'", "''") + "'"


def leaf_count(kind: ColumnType) -> int:
    """How many columns without parts a Parquet file has for a column of this type."""
    match kind:
        case Struct(fields=parts):
            return sum(leaf_count(part) for _, part in parts)
        case ListOf(item=item):
            return leaf_count(item)
        case MapOf(key=key, value=value):
            return leaf_count(key) + leaf_count(value)
        case Scalar():
            return 1
        case _:
            assert_never(kind)


def unlandable(kind: ColumnType) -> str | None:
    """The part of the type that no DuckLake table can have; None when it can have all of it."""
    match kind:
        case Struct(fields=parts):
            names = [name for name, _ in parts]
            if twice(names):
                return f"{kind}: two fields of one name"
            unnamed = next((why for name in names if (why := no_name(name))), None)
            if unnamed is not None:
                return f"a field with {unnamed}"
            return next((found for _, part in parts if (found := unlandable(part))), None)
        case ListOf(item=item):
            return unlandable(item)
        case MapOf(key=key, value=value):
            return unlandable(key) or unlandable(value)
        case Scalar(name=name):
            decimal = _DECIMAL.fullmatch(name)
            if decimal is not None:
                precision, scale = int(decimal[1]), int(decimal[2])
                return None if 1 <= precision <= 38 and scale <= precision else name
            return None if name in LANDABLE else name
        case _:
            assert_never(kind)


@lru_cache(maxsize=4096)
def parse_type(text: str) -> ColumnType:
    """The type that ``text`` names, e.g. ``STRUCT(a BIGINT, "b-c" VARCHAR[])``.

    Raises:
        ValueError: ``text`` is not a type; the message says where.
    """
    tokens = list(_tokens(text))
    kind, at = _parse(tokens, 0, text)
    if at != len(tokens):
        raise ValueError(f"unexpected {tokens[at][1]!r} after the type in {text!r}")
    return kind


def same_type(left: ColumnType, right: ColumnType) -> bool:
    """Whether the two are the same type; struct fields by name, as DuckDB compares names, in any order."""
    match left, right:
        case Scalar(name=a), Scalar(name=b):
            return a == b
        case ListOf(item=a_item), ListOf(item=b_item):
            return same_type(a_item, b_item)
        case MapOf(), MapOf():
            return same_type(left.key, right.key) and same_type(left.value, right.value)
        case Struct(), Struct():
            a_fields = {folded(name): kind for name, kind in left.fields}
            b_fields = {folded(name): kind for name, kind in right.fields}
            return a_fields.keys() == b_fields.keys() and all(
                same_type(kind, b_fields[name]) for name, kind in a_fields.items()
            )
        case _:
            return False


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"unexpected {text[at : at + 10]!r} at position {at} of the type {text!r}")
        at = match.end()
        if match[1] is not None:
            yield "name", match[1].replace('""', '"')
        elif match[2] is not None:
            yield "word", match[2]
        elif match[3] is not None:
            yield "number", match[3]
        else:
            yield "mark", match[4]


def _expect(tokens: list[tuple[str, str]], at: int, mark: str, text: str) -> int:
    if at >= len(tokens) or tokens[at] != ("mark", mark):
        found = tokens[at][1] if at < len(tokens) else "the end"
        raise ValueError(f"expected {mark!r}, found {found!r} in the type {text!r}")
    return at + 1


def _parse(tokens: list[tuple[str, str]], at: int, text: str) -> tuple[ColumnType, int]:
    if at >= len(tokens) or tokens[at][0] != "word":
        found = tokens[at][1] if at < len(tokens) else "the end"
        raise ValueError(f"expected a type, found {found!r} in {text!r}")
    word, at = tokens[at][1].upper(), at + 1
    kind: ColumnType
    if word == "STRUCT":
        kind, at = _parse_struct(tokens, at, text)
    elif word == "MAP":
        at = _expect(tokens, at, "(", text)
        key, at = _parse(tokens, at, text)
        at = _expect(tokens, at, ",", text)
        value, at = _parse(tokens, at, text)
        at = _expect(tokens, at, ")", text)
        kind = MapOf(key, value)
    else:
        kind, at = _parse_scalar(word, tokens, at, text)
    while at < len(tokens) and tokens[at] == ("mark", "[]"):
        kind, at = ListOf(kind), at + 1
    return kind, at


def _parse_struct(tokens: list[tuple[str, str]], at: int, text: str) -> tuple[Struct, int]:
    at = _expect(tokens, at, "(", text)
    fields: list[tuple[str, ColumnType]] = []
    while True:
        if at >= len(tokens) or tokens[at][0] not in ("word", "name"):
            raise ValueError(f"expected a field's name in the type {text!r}")
        name = tokens[at][1]
        kind, at = _parse(tokens, at + 1, text)
        fields.append((name, kind))
        if at < len(tokens) and tokens[at] == ("mark", ","):
            at += 1
            continue
        return Struct(tuple(fields)), _expect(tokens, at, ")", text)


def _parse_scalar(word: str, tokens: list[tuple[str, str]], at: int, text: str) -> tuple[Scalar, int]:
    if word in ("TIMESTAMP", "TIME") and [t[1].upper() for t in tokens[at : at + 3]] == ["WITH", "TIME", "ZONE"]:
        return Scalar(f"{word} WITH TIME ZONE"), at + 3
    if word in ("DECIMAL", "NUMERIC") and at < len(tokens) and tokens[at] == ("mark", "("):
        precision, at = _number(tokens, at + 1, text)
        at = _expect(tokens, at, ",", text)
        scale, at = _number(tokens, at, text)
        return Scalar(f"DECIMAL({precision},{scale})"), _expect(tokens, at, ")", text)
    return Scalar(_ALIASES.get(word, word)), at


def _number(tokens: list[tuple[str, str]], at: int, text: str) -> tuple[str, int]:
    if at >= len(tokens) or tokens[at][0] != "number":
        raise ValueError(f"expected a number in the type {text!r}")
    return tokens[at][1], at + 1
