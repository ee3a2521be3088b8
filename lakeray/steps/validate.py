"""Validate: a footer against the landing contract, a verdict per file (P6). Pure.

What DuckLake can register as it is was measured on DuckDB 1.5.5 (docs/adr/0005-registrable-types.md): the same type,
a narrower integer, a timestamp of any unit with the same zone, structs by field name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct
from lakeray.values.model import (
    Accepted,
    Cast,
    Column,
    Contract,
    Footer,
    OnMissingColumn,
    OnNewColumn,
    OnTypeChange,
    Rejected,
    RejectReason,
    SourceFile,
    Verdict,
)
from lakeray.values.names import OWN_PREFIX, folded, is_own_name, twice

EXTRACTED_AT = "_airbyte_extracted_at"
EMITTED_AT = "_airbyte_emitted_at"
_BEFORE_1_0 = (
    (Column(name="_airbyte_ab_id", type=Scalar("VARCHAR")), "_airbyte_raw_id"),
    (Column(name=EMITTED_AT, type=Scalar("TIMESTAMP WITH TIME ZONE")), EXTRACTED_AT),
)
"""Airbyte's columns before 1.0, and the names that they stand for (P12). Their place in landing is no matter of policy:
the source does not know them."""

_NARROWER: dict[str, tuple[str, ...]] = {
    "BIGINT": ("INTEGER", "SMALLINT", "TINYINT", "UINTEGER", "USMALLINT", "UTINYINT"),
    "INTEGER": ("SMALLINT", "TINYINT", "USMALLINT", "UTINYINT"),
    "SMALLINT": ("TINYINT", "UTINYINT"),
    "UBIGINT": ("UINTEGER", "USMALLINT", "UTINYINT"),
    "UINTEGER": ("USMALLINT", "UTINYINT"),
    "USMALLINT": ("UTINYINT",),
}
_UTC = "TIMESTAMP WITH TIME ZONE"
_NAIVE_TIMESTAMPS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_TIMES_OF_DAY = {"TIME", "TIME WITH TIME ZONE"}
"""Airbyte's TIME comes from its Java writer as a time in UTC."""
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_EPOCHS = ("INTEGER", "BIGINT", "UINTEGER", "UBIGINT")


def registrable(found: ColumnType, wanted: ColumnType) -> bool:
    """Whether a file's column of type ``found`` can be registered under a landing column of type ``wanted``."""
    match found, wanted:
        case Scalar(), Scalar():
            return found == wanted or found.name in _NARROWER.get(wanted.name, ())
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


def convertible(found: ColumnType, wanted: ColumnType, *, column: str) -> bool:
    """Whether a converted copy can take the file's place without a loss.

    Airbyte releases wrote ``_airbyte_extracted_at`` as a whole number since 1970; a column without a value can have no
    type; a timestamp without a zone is UTC (Airbyte's definition); an integer is a number, and so is a FLOAT, which
    could be registered, but bounds would lie beside values: 0.1 as FLOAT is more than 0.1. The same inside of structs,
    lists and maps. The conversion is checked value by value, and a value that does not fit rejects the file.
    """
    match found, wanted:
        case Scalar(name="NULL"), _:
            return True
        case Scalar(name=old), Scalar(name=new):
            is_epoch = column in (EXTRACTED_AT, EMITTED_AT) and old in _EPOCHS and new == _UTC
            return is_epoch or _convertible_scalar(old, new)
        case ListOf(), ListOf():
            return _either(found.item, wanted.item)
        case MapOf(), MapOf():
            return registrable(found.key, wanted.key) and _either(found.value, wanted.value)
        case Struct(), Struct():
            have = {folded(name): kind for name, kind in found.fields}
            shared = [(have[folded(name)], kind) for name, kind in wanted.fields if folded(name) in have]
            return bool(shared) and all(_either(left, right) for left, right in shared)
        case _:
            return False


def _either(found: ColumnType, wanted: ColumnType) -> bool:
    return registrable(found, wanted) or convertible(found, wanted, column="")


def _convertible_scalar(old: str, new: str) -> bool:
    if new == _UTC:
        return old in _NAIVE_TIMESTAMPS
    if {old, new} == _TIMES_OF_DAY:
        return True
    return new == "DOUBLE" and old in (*_INTEGERS, "FLOAT")


def unmapped_fields(found: ColumnType, wanted: ColumnType, *, path: str) -> tuple[str, ...]:
    """Nested fields of the file that the landing column has no place for, as dotted paths."""
    match found, wanted:
        case ListOf(), ListOf():
            return unmapped_fields(found.item, wanted.item, path=f"{path}[]")
        case Struct(), Struct():
            want = {folded(name): kind for name, kind in wanted.fields}
            missing: list[str] = []
            for name, kind in found.fields:
                place = want.get(folded(name))
                if place is None:
                    missing.append(f"{path}.{name}")
                else:
                    missing.extend(unmapped_fields(kind, place, path=f"{path}.{name}"))
            return tuple(missing)
        case _:
            return ()


def verdict(file: SourceFile, footer: Footer, contract: Contract) -> Verdict:
    """Accept or reject one file. Only the first complaint is told; its detail holds no data value."""
    old = _old_names(footer, contract)
    contract = replace(contract, columns=contract.columns + old)
    complaint = (
        _duplicate_columns(file, footer)
        or _reserved_columns(file, footer, contract)
        or _missing_columns(file, footer, contract)
        or _changed_types(file, footer, contract)
        or _new_columns_refused(file, footer, contract)
    )
    if complaint is not None:
        return complaint
    return Accepted(
        file=file,
        footer=footer,
        new_columns=old + (_new_columns(footer, contract) if contract.on_new_column is OnNewColumn.ADD else ()),
        casts=_casts(footer, contract),
        ignored=_ignored(footer, contract),
    )


def _old_names(footer: Footer, contract: Contract) -> tuple[Column, ...]:
    """Airbyte's columns of before 1.0 that the file has and the landing table does not have yet."""
    have, want = _by_name(footer.columns), _by_name(contract.columns)
    return tuple(column for column, _ in _BEFORE_1_0 if column.name in have and column.name not in want)


def _by_name(columns: Sequence[Column]) -> dict[str, Column]:
    return {folded(column.name): column for column in columns}


def _duplicate_columns(file: SourceFile, footer: Footer) -> Rejected | None:
    found = twice(column.name for column in footer.columns)
    found += tuple(path for column in footer.columns for path in _twin_fields(column.type, path=column.name))
    if not found:
        return None
    return Rejected(
        file=file,
        reason=RejectReason.DUPLICATE_COLUMN,
        detail="expected names that differ in more than the case of A to Z, "
        f"found {', '.join(dict.fromkeys(found))} more than once",
    )


def _twin_fields(kind: ColumnType, *, path: str) -> tuple[str, ...]:
    """Fields of one name within one struct, at any depth, as dotted paths."""
    match kind:
        case Struct(fields=parts):
            twins = tuple(f"{path}.{name}" for name in twice(name for name, _ in parts))
            return twins + tuple(p for name, part in parts for p in _twin_fields(part, path=f"{path}.{name}"))
        case ListOf(item=item):
            return _twin_fields(item, path=f"{path}[]")
        case MapOf(key=key, value=value):
            return _twin_fields(key, path=f"{path} (key)") + _twin_fields(value, path=f"{path} (value)")
        case Scalar():
            return ()
        case _:
            assert_never(kind)


def _reserved_columns(file: SourceFile, footer: Footer, contract: Contract) -> Rejected | None:
    """A name of lakeray's own would be added to the landing table; what is ignored may be called anything."""
    own = [column.name for column in footer.columns if is_own_name(column.name)]
    if not own or contract.on_new_column is OnNewColumn.IGNORE:
        return None
    return Rejected(
        file=file,
        reason=RejectReason.RESERVED_COLUMN,
        detail=f"expected no column whose name begins with {OWN_PREFIX}, found {', '.join(own)}",
    )


def _missing_columns(file: SourceFile, footer: Footer, contract: Contract) -> Rejected | None:
    have = _by_name(footer.columns)
    keys = [name for name in contract.primary_key if folded(name) not in have]
    if keys:
        return Rejected(
            file=file,
            reason=RejectReason.MISSING_KEY_COLUMN,
            detail=f"expected the key column {', '.join(keys)}, found {_some(footer.columns)}",
        )
    if contract.on_missing_column is OnMissingColumn.NULL:
        return None
    stood_for = {today for column, today in _BEFORE_1_0 if column.name in have}
    missing = [column.name for column in contract.columns if folded(column.name) not in have.keys() | stood_for]
    if not missing:
        return None
    return Rejected(
        file=file,
        reason=RejectReason.MISSING_COLUMN,
        detail=f"expected the columns {', '.join(missing)}, which the file lacks (on_missing_column: quarantine)",
    )


def _changed_types(file: SourceFile, footer: Footer, contract: Contract) -> Rejected | None:
    have = _by_name(footer.columns)
    for wanted in contract.columns:
        found = have.get(folded(wanted.name))
        if found is None or registrable(found.type, wanted.type):
            continue
        if convertible(found.type, wanted.type, column=wanted.name):
            continue
        return Rejected(
            file=file,
            reason=RejectReason.TYPE_CHANGED,
            detail=f"column {wanted.name}: expected {wanted.type}, found {found.type}",
            fatal=contract.on_type_change is OnTypeChange.FAIL,
        )
    return None


def _new_columns(footer: Footer, contract: Contract) -> tuple[Column, ...]:
    want = _by_name(contract.columns)
    return tuple(
        column for column in footer.columns if folded(column.name) not in want and not _has_null_type(column.type)
    )


def _has_null_type(kind: ColumnType) -> bool:
    match kind:
        case Scalar(name=name):
            return name == "NULL"
        case ListOf(item=item):
            return _has_null_type(item)
        case MapOf(key=key, value=value):
            return _has_null_type(key) or _has_null_type(value)
        case Struct(fields=parts):
            return any(_has_null_type(part) for _, part in parts)
        case _:
            assert_never(kind)


def _new_columns_refused(file: SourceFile, footer: Footer, contract: Contract) -> Rejected | None:
    if contract.on_new_column is not OnNewColumn.QUARANTINE:
        return None
    new = [column.name for column in _new_columns(footer, contract)] + list(_nested_ignored(footer, contract))
    if not new:
        return None
    return Rejected(
        file=file,
        reason=RejectReason.NEW_COLUMN,
        detail=f"expected only the contract's columns, found also {', '.join(new)} (on_new_column: quarantine)",
    )


def _casts(footer: Footer, contract: Contract) -> tuple[Cast, ...]:
    have = _by_name(footer.columns)
    pairs = ((wanted, have.get(folded(wanted.name))) for wanted in contract.columns)
    return tuple(
        Cast(column=found.name, found=found.type, wanted=wanted.type)
        for wanted, found in pairs
        if found is not None and not registrable(found.type, wanted.type)
    )


def _nested_ignored(footer: Footer, contract: Contract) -> tuple[str, ...]:
    want = _by_name(contract.columns)
    paths: list[str] = []
    for column in footer.columns:
        place = want.get(folded(column.name))
        if place is not None:
            paths.extend(unmapped_fields(column.type, place.type, path=column.name))
    return tuple(paths)


def _ignored(footer: Footer, contract: Contract) -> tuple[str, ...]:
    nested = _nested_ignored(footer, contract)
    if contract.on_new_column is OnNewColumn.IGNORE:
        return tuple(column.name for column in _new_columns(footer, contract)) + nested
    return nested


def _some(columns: Sequence[Column]) -> str:
    names = [column.name for column in columns]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "no columns"
