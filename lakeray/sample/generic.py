"""Any other stream: values that suit each column's type and name, with the keys and the cursor right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from lakeray.sample.draw import Draw
from lakeray.sample.texts import COMPANIES, DOMAINS, FIRST_NAMES, LAST_NAMES, NOTES, PLACES, PRODUCTS, TAGS
from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct
from lakeray.values.model import Column

_WIDTHS = {"TINYINT": 8, "UTINYINT": 8, "SMALLINT": 16, "USMALLINT": 16, "INTEGER": 32, "UINTEGER": 32}
_MAX_DEPTH = 8


def generic_record(
    fields: tuple[Column, ...],
    *,
    draw: Draw,
    record: int,
    keys: frozenset[str],
    cursor: str | None,
    created_at: datetime,
    updated_at: datetime,
) -> dict[str, Any]:
    """One version of a record: key columns tell its number, the cursor its time, other values come from ``draw``."""
    row: dict[str, Any] = {}
    for field in fields:
        name = field.name.lower()
        if field.name in keys:
            row[field.name] = numbered(field.type, number=record, name=name)
        elif field.name == cursor:
            row[field.name] = timed(field.type, at=updated_at)
        elif name in ("created_at", "created", "createdat", "updated_at", "updated", "updatedat"):
            row[field.name] = timed(field.type, at=created_at if name.startswith("created") else updated_at)
        else:
            row[field.name] = value(field.type, draw=draw, name=name, at=updated_at)
    return row


def numbered(kind: ColumnType, *, number: int, name: str) -> Any:
    """The ``number``-th distinct value of a key column; types with few values repeat."""
    match kind:
        case Struct(fields=fields):
            return {part: numbered(of, number=number, name=part) for part, of in fields}
        case ListOf(item=item):
            return [numbered(item, number=number, name=name)]
        case MapOf(key=key, value=of):
            return [(numbered(key, number=number, name=name), numbered(of, number=number, name=name))]
    return _numbered(kind, number=number, name=name)


def _numbered(kind: Scalar, *, number: int, name: str) -> Any:
    match kind:
        case Scalar(name="VARCHAR" | "JSON"):
            return f"{name}-{number:08d}"
        case Scalar(name="UUID"):
            return number.to_bytes(16, "big")
        case Scalar(name="BLOB"):
            return number.to_bytes(8, "big")
        case Scalar(name="BOOLEAN"):
            return number % 2 == 1
        case Scalar(name="DATE"):
            return date(1970, 1, 1) + timedelta(days=number % 200_000)
        case Scalar(name=text) if text.startswith("TIMESTAMP"):
            return timed(kind, at=datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=number))
        case Scalar(name="TIME"):
            return (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=number % 86_400)).time()
        case Scalar(name=text) if text.startswith("DECIMAL"):
            return Decimal(number % 10 ** _whole_digits(text))
        case Scalar(name=text) if text in _WIDTHS:
            return number % (1 << (_WIDTHS[text] - 1))
    return number


def timed(kind: ColumnType, *, at: datetime) -> Any:
    """The moment ``at`` in a column's type; in a number: milliseconds since 1970, or seconds where those do not fit."""
    match kind:
        case Scalar(name="TIMESTAMP WITH TIME ZONE"):
            return at
        case Scalar(name=text) if text.startswith("TIMESTAMP"):
            return at.replace(tzinfo=None)
        case Scalar(name="DATE"):
            return at.date()
        case Scalar(name="TIME"):
            return at.time()
        case Scalar(name="VARCHAR"):
            return at.isoformat(timespec="milliseconds")
        case Scalar(name="BIGINT" | "UBIGINT"):
            return round(at.timestamp() * 1000)
        case Scalar(name="INTEGER" | "UINTEGER"):
            return int(at.timestamp())
        case Scalar(name="DOUBLE"):
            return at.timestamp()
        case Scalar(name=text) if text.startswith("DECIMAL") and _whole_digits(text) >= 10:
            return Decimal(int(at.timestamp()))
    return None


def value(kind: ColumnType, *, draw: Draw, name: str, at: datetime, depth: int = 0) -> Any:
    """A plausible value, None in one of ten; nested types end after a few levels."""
    if depth > _MAX_DEPTH or draw.chance(0.1):
        return None
    match kind:
        case Struct(fields=fields):
            return {part: value(of, draw=draw, name=part.lower(), at=at, depth=depth + 1) for part, of in fields}
        case ListOf(item=item):
            return [value(item, draw=draw, name=name, at=at, depth=depth + 1) for _ in range(draw.between(0, 3))]
        case MapOf(key=key, value=of):
            numbers = range(draw.between(0, 2))
            return [(numbered(key, number=n, name=name), value(of, draw=draw, name=name, at=at)) for n in numbers]
        case Scalar(name="VARCHAR"):
            return _text(draw, name=name)
        case Scalar(name="JSON"):
            return json.dumps({name: draw.pick(TAGS), "n": draw.between(0, 99)}, ensure_ascii=False)
        case Scalar(name=scalar):
            return _scalar(scalar, draw=draw, name=name, at=at)


def _scalar(scalar: str, *, draw: Draw, name: str, at: datetime) -> Any:
    if scalar in ("FLOAT", "DOUBLE"):
        return draw.between(0, 500_000) / 100
    if scalar.startswith("DECIMAL"):
        precision, scale = map(int, scalar.removeprefix("DECIMAL(").removesuffix(")").split(","))
        return Decimal(draw.between(0, 10 ** min(precision, 9) - 1)).scaleb(-scale)
    if scalar == "BOOLEAN":
        return draw.chance(0.5)
    if scalar == "UUID":
        return bytes.fromhex(draw.hex(32))
    if scalar == "BLOB":
        return bytes.fromhex(draw.hex(16))
    if scalar == "TIME":
        return time(draw.between(0, 23), draw.between(0, 59), draw.between(0, 59))
    if scalar == "DATE" or scalar.startswith("TIMESTAMP"):
        return timed(Scalar(scalar), at=at - timedelta(minutes=draw.between(0, 500_000)))
    if scalar == "NULL":
        return None
    high = {"TINYINT": 100, "UTINYINT": 200}.get(scalar, 30_000)
    return draw.between(0, 20 if "count" in name or "quantity" in name else high)


def _whole_digits(decimal: str) -> int:
    """The digits before the point of a ``DECIMAL(precision,scale)``."""
    precision, scale = decimal.removeprefix("DECIMAL(").removesuffix(")").split(",")
    return int(precision) - int(scale)


def _text(draw: Draw, *, name: str) -> str:
    """Text that suits the column's name."""
    for part, make in _TEXTS.items():
        if part in name:
            return make(draw)
    return draw.hex(12) if name.endswith("id") else draw.pick(NOTES)


def _tagged(draw: Draw) -> str:
    return json.dumps({"tag": draw.pick(TAGS)}, ensure_ascii=False)


_TEXTS: Mapping[str, Callable[[Draw], str]] = {
    "email": lambda draw: f"{draw.hex(6)}@{draw.pick(DOMAINS)}",
    "phone": lambda draw: f"{draw.pick(PLACES).dial}{draw.between(1_000_000, 9_999_999)}",
    "url": lambda draw: f"https://www.example.com/{draw.hex(8)}?q=%22a%22",
    "currency": lambda draw: draw.pick(("EUR", "USD", "CHF")),
    "country": lambda draw: draw.pick(PLACES).country,
    "city": lambda draw: draw.pick(PLACES).city,
    "address": lambda draw: f"{draw.pick(PLACES).street} {draw.between(1, 200)}",
    "first": lambda draw: draw.pick(FIRST_NAMES),
    "last": lambda draw: draw.pick(LAST_NAMES),
    "company": lambda draw: draw.pick(COMPANIES),
    "title": lambda draw: draw.pick(PRODUCTS).title,
    "name": lambda draw: f"{draw.pick(FIRST_NAMES)} {draw.pick(LAST_NAMES)}",
    "status": lambda draw: draw.pick(("active", "inactive", "pending")),
    "properties": _tagged,
    "metadata": _tagged,
}
"""The first part that occurs in a column's name decides."""
