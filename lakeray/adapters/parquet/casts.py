"""A column of a raw file in the contract's type, as SQL for DuckDB whose time zone is UTC, and what would be lost."""

from __future__ import annotations

from lakeray.values import casts
from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct, literal, quoted
from lakeray.values.model import Cast, Column
from lakeray.values.type_growth import EPOCHS, UTC_TIMESTAMP

_A_SECOND = (1, 10**3, 10**6, 10**9)
_PLAUSIBLE = (946_684_800, 4_102_444_800)
"""The seconds from 1970 to 2000 (inclusive) and to 2100 (exclusive): in no two units do these ranges meet."""


def cast_sql(cast: Cast, *, value: str | None = None) -> str:
    """The column as the wanted type: NULL where a value does not fit, never an error.

    Args:
        value: SQL of the column's value, as of the type that was found; None for the column itself.
    """
    column = value or quoted(cast.column)
    if cast.found == Scalar("NULL"):
        return f"CAST(NULL AS {cast.wanted})"
    if is_epoch(cast):
        micros = f"CAST({column} AS HUGEINT) * 1000000 // {_unit(column)}"
        return f"timezone('UTC', make_timestamp(CAST({micros} AS BIGINT)))"
    return casts.cast_sql(column, cast.found, cast.wanted) or f"CAST(NULL AS {cast.wanted})"


def kept_sql(column: Column, kept: ColumnType) -> str:
    """The column with those of its fields alone that the type has, as they are."""
    if column.type == kept:
        return quoted(column.name)
    return casts.cast_sql(quoted(column.name), column.type, kept) or f"CAST(NULL AS {kept})"


def loss_sql(cast: Cast) -> str:
    """True when a value of all rows would not come back as it was: an aggregate."""
    column = quoted(cast.column)
    if cast.found == Scalar("NULL"):
        return some(f"{column} IS NOT NULL")
    if is_epoch(cast):
        unit = _unit(column)
        return f"({some(f'{column} IS NOT NULL AND {unit} IS NULL')} OR count(DISTINCT {unit}) > 1)"
    return some(casts.loss_sql(column, cast.found, cast.wanted))


def some(condition: str) -> str:
    """Whether it is true of any row."""
    return f"coalesce(bool_or({condition}), false)"


def is_epoch(cast: Cast) -> bool:
    """Whether whole numbers are to be times: in the one unit in which all of the file's values are plausible."""
    return str(cast.found) in EPOCHS and str(cast.wanted) == UTC_TIMESTAMP


def _unit(column: str) -> str:
    first, end = _PLAUSIBLE
    ranges = (f"WHEN {column} >= {first * n} AND {column} < {end * n} THEN {n}" for n in _A_SECOND)
    return f"(CASE {' '.join(ranges)} END)"


def outside_sql(column: Column) -> str | None:
    """True where a time of day is none: DuckDB's process ends when it writes one. None when there is no time in it."""
    return _outside(quoted(column.name), column.type, level=0)


def _outside(value: str, kind: ColumnType, *, level: int) -> str | None:
    match kind:
        case Scalar(name="TIME"):
            return f"({value} NOT BETWEEN TIME '00:00:00' AND TIME '24:00:00')"
        case Scalar(name="TIME WITH TIME ZONE"):
            return f"(CAST({value} AS TIME) NOT BETWEEN TIME '00:00:00' AND TIME '24:00:00')"
        case Struct(fields=parts):
            conditions = [
                _outside(f"struct_extract({value}, {literal(name)})", part, level=level) for name, part in parts
            ]
            found = [condition for condition in conditions if condition]
            return f"({' OR '.join(found)})" if found else None
        case ListOf(item=item):
            return _outside_any(value, item, level)
        case MapOf(key=key, value=item):
            sides = _outside_any(f"map_keys({value})", key, level), _outside_any(f"map_values({value})", item, level)
            found = [condition for condition in sides if condition]
            return f"({' OR '.join(found)})" if found else None
        case _:
            return None


def _outside_any(values: str, kind: ColumnType, level: int) -> str | None:
    inner = _outside(f"x{level}", kind, level=level + 1)
    return inner and f"len(list_filter({values}, lambda x{level}: coalesce({inner}, false))) > 0"
