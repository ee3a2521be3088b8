"""Validate: a footer against the landing contract, a verdict per file (P6). Pure.

What can be registered as it is, was measured on DuckDB 1.5.5 (docs/adr/0005-registrable-types.md): the same type, a
narrower integer or decimal, a timestamp of any unit with the same zone, structs by field name. What else casts without
loss is registered as a converted copy, each value checked. What the landing table lacks, at any depth, is added, left
out or refused, as the contract says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from lakeray.values.casts import lossless
from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct, parse_type
from lakeray.values.errors import ContractError
from lakeray.values.exclusion import held, pruned
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
    StreamName,
    Verdict,
)
from lakeray.values.names import OWN_PREFIX, folded, is_own_name, twice
from lakeray.values.type_growth import (
    EPOCHS,
    UTC_TIMESTAMP,
    FieldPath,
    grows,
    joined,
    merged,
    registrable,
    shown,
    without_nulls,
)

EXTRACTED_AT = "_airbyte_extracted_at"
EMITTED_AT = "_airbyte_emitted_at"
_BEFORE_1_0 = (
    (Column(name="_airbyte_ab_id", type=Scalar("VARCHAR")), "_airbyte_raw_id"),
    (Column(name=EMITTED_AT, type=Scalar(UTC_TIMESTAMP)), EXTRACTED_AT),
)
"""Airbyte's columns before 1.0, and the names that they stand for (P12). Their place in landing is no matter of policy:
the source does not know them."""


def convertible(found: ColumnType, wanted: ColumnType, *, column: str) -> bool:
    """Whether a converted copy can take the file's place without a loss.

    Airbyte releases wrote ``_airbyte_extracted_at`` as a whole number since 1970; a column without a value can have no
    type. The conversion is checked value by value, and a value that does not fit rejects the file.
    """
    if column in (EXTRACTED_AT, EMITTED_AT) and wanted == Scalar(UTC_TIMESTAMP):
        return isinstance(found, Scalar) and (found.name in EPOCHS or lossless(found, wanted))
    return lossless(found, wanted)


def effective(contract: Contract, landing: Mapping[str, str]) -> Contract:
    """The contract with the columns and fields that earlier files added to the landing table.

    Args:
        landing: the table's columns and types.
    """
    have = {folded(name): (name, parse_type(kind)) for name, kind in landing.items()}
    columns = []
    for column in contract.columns:
        _, kind = have.pop(folded(column.name), (column.name, column.type))
        columns.append(replace(column, type=merged(kind, column.type)))
    added = tuple(Column(name=name, type=kind) for name, kind in have.values())
    return replace(contract, columns=(*columns, *added), declared=contract.declared or contract.columns)


def verdict(file: SourceFile, footer: Footer, contract: Contract) -> Verdict:
    """Accept or reject one file. Only the first complaint is told; its detail holds no data value.

    Of a file with excluded fields everything else is looked at as if it had none.
    """
    taken = pruned(footer.columns, contract.excluded) if contract.excluded else footer.columns
    if taken == footer.columns:
        return _verdict(file, footer, contract)
    found = _duplicate_columns(file, footer) or _verdict(file, replace(footer, columns=taken), contract)
    return replace(found, whole=footer.columns) if isinstance(found, Accepted) else found


def require_excluded(stream: StreamName, contract: Contract, landing: Mapping[str, str]) -> None:
    """See that the landing table has no excluded field: it has one that was excluded after files were taken in.

    Args:
        landing: the table's columns and types.

    Raises:
        ContractError: it has.
    """
    columns = [Column(name=name, type=parse_type(kind)) for name, kind in landing.items()] if contract.excluded else []
    there = held(columns, contract.excluded)
    if there:
        raise ContractError(
            f"{stream}: the tables hold what `exclude` says is never taken",
            expected=f"no columns with {', '.join(contract.excluded)}",
            found=", ".join(there),
            todo=f"Nothing was taken in. `lakeray drop-stream {stream}` removes the tables and leaves the raw files; "
            "then the feed takes them in without these fields",
        )


def _verdict(file: SourceFile, footer: Footer, contract: Contract) -> Verdict:
    old = _old_names(footer, contract)
    contract = _with_old_names(contract, old)
    complaint = (
        _duplicate_columns(file, footer)
        or _reserved_columns(file, footer, contract)
        or _missing_columns(file, footer, contract)
    )
    if complaint is not None:
        return complaint
    fits = _fits(footer, contract)
    complaint = _changed_types(file, fits, contract) or _new_columns_refused(file, fits, footer, contract)
    if complaint is not None:
        return complaint
    adds = contract.on_new_column is OnNewColumn.ADD
    new = _new_columns(footer, contract)
    fresh = tuple((column.name,) for column in new) + tuple(path for fit in fits for path in fit.fresh)
    return Accepted(
        file=file,
        footer=footer,
        new_columns=old + (new if adds else ()),
        grown=tuple(Column(name=fit.wanted.name, type=fit.target) for fit in fits if fit.target != fit.wanted.type),
        casts=tuple(
            Cast(column=fit.found.name, found=fit.found.type, wanted=fit.target)
            for fit in fits
            if fit.found.copied or not registrable(fit.found.type, fit.target)
        )
        + (_copied(footer, new) if adds else ()),
        left_out=() if adds else fresh,
    )


def _old_names(footer: Footer, contract: Contract) -> tuple[Column, ...]:
    """Airbyte's columns of before 1.0 that the file has and the landing table does not have yet."""
    have, want = _by_name(footer.columns), _by_name(contract.columns)
    return tuple(column for column, _ in _BEFORE_1_0 if column.name in have and column.name not in want)


def _with_old_names(contract: Contract, old: tuple[Column, ...]) -> Contract:
    """As if the config had them: their types do not follow the files."""
    if not old:
        return contract
    return replace(contract, columns=contract.columns + old, declared=(contract.declared or contract.columns) + old)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """A column of the file beside its landing column."""

    found: Column
    wanted: Column
    target: ColumnType
    """What the landing column has to be for the file."""
    fresh: tuple[FieldPath, ...]
    """Nested fields that the landing column lacks."""

    @property
    def can(self) -> bool:
        """Whether the file can be registered then, or a converted copy of it."""
        return registrable(self.found.type, self.target) or convertible(
            self.found.type, self.target, column=self.wanted.name
        )


def _fits(footer: Footer, contract: Contract) -> list[_Fit]:
    have = _by_name(footer.columns)
    declared = _by_name(contract.columns if contract.declared is None else contract.declared)
    adds = contract.on_new_column is OnNewColumn.ADD
    fits: list[_Fit] = []
    for wanted in contract.columns:
        found = have.get(folded(wanted.name))
        if found is None:
            continue
        own = declared.get(folded(wanted.name))
        fresh: list[FieldPath] = []
        stated = None if own is None else own.type
        target = _target(found.type, wanted.type, stated, adds=adds, path=(wanted.name,), fresh=fresh)
        fits.append(_Fit(found=found, wanted=wanted, target=target, fresh=tuple(fresh)))
    return fits


def _target(
    found: ColumnType,
    wanted: ColumnType,
    stated: ColumnType | None,
    *,
    adds: bool,
    path: FieldPath,
    fresh: list[FieldPath],
) -> ColumnType:
    """The type that ``wanted`` has to become for the file; ``fresh`` gets the paths of the fields that it lacks.

    Args:
        stated: what the stream's config says of it; None when only a file brought it, and it may still grow.
    """
    match found, wanted:
        case ListOf(), ListOf():
            item = stated.item if isinstance(stated, ListOf) else None
            return ListOf(_target(found.item, wanted.item, item, adds=adds, path=(*path, "element"), fresh=fresh))
        case MapOf(), MapOf():
            own = stated if isinstance(stated, MapOf) else None
            key, value = (None, None) if own is None else (own.key, own.value)
            return MapOf(
                _target(found.key, wanted.key, key, adds=adds, path=(*path, "key"), fresh=fresh),
                _target(found.value, wanted.value, value, adds=adds, path=(*path, "value"), fresh=fresh),
            )
        case Struct(), Struct():
            return _target_struct(found, wanted, stated, adds=adds, path=path, fresh=fresh)
        case Scalar(), Scalar() if stated is None and adds:
            both = joined(wanted, found)
            return wanted if both is None or not grows(wanted, both) else both
        case _:
            return wanted


def _target_struct(
    found: Struct, wanted: Struct, stated: ColumnType | None, *, adds: bool, path: FieldPath, fresh: list[FieldPath]
) -> Struct:
    theirs = {folded(name): (name, kind) for name, kind in found.fields}
    parts = {folded(name): kind for name, kind in stated.fields} if isinstance(stated, Struct) else {}
    fields: list[tuple[str, ColumnType]] = []
    for name, kind in wanted.fields:
        _, part = theirs.pop(folded(name), (name, None))
        if part is None:
            fields.append((name, kind))
        else:
            own = parts.get(folded(name))
            fields.append((name, _target(part, kind, own, adds=adds, path=(*path, name), fresh=fresh)))
    for name, kind in theirs.values():
        new = without_nulls(kind)
        if new is not None:
            fresh.append((*path, name))
            fields += [(name, new)] if adds else []
    return Struct(tuple(fields))


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


def _changed_types(file: SourceFile, fits: Sequence[_Fit], contract: Contract) -> Rejected | None:
    changed = next((fit for fit in fits if not fit.can), None)
    if changed is None:
        return None
    return Rejected(
        file=file,
        reason=RejectReason.TYPE_CHANGED,
        detail=f"column {changed.wanted.name}: expected {changed.wanted.type}, found {changed.found.type}",
        fatal=contract.on_type_change is OnTypeChange.FAIL,
    )


def _new_columns(footer: Footer, contract: Contract) -> tuple[Column, ...]:
    want = _by_name(contract.columns)
    new = ((column, without_nulls(column.type)) for column in footer.columns if folded(column.name) not in want)
    return tuple(Column(name=column.name, type=kind) for column, kind in new if kind is not None)


def _copied(footer: Footer, new: Sequence[Column]) -> tuple[Cast, ...]:
    """New columns that only a copy can be registered with."""
    have = _by_name(footer.columns)
    return tuple(
        Cast(column=found.name, found=found.type, wanted=column.type)
        for column in new
        if (found := have[folded(column.name)]).copied
    )


def _new_columns_refused(file: SourceFile, fits: Sequence[_Fit], footer: Footer, contract: Contract) -> Rejected | None:
    if contract.on_new_column is not OnNewColumn.QUARANTINE:
        return None
    new = [column.name for column in _new_columns(footer, contract)] + [shown(p) for fit in fits for p in fit.fresh]
    if not new:
        return None
    return Rejected(
        file=file,
        reason=RejectReason.NEW_COLUMN,
        detail=f"expected only the contract's columns, found also {', '.join(new)} (on_new_column: quarantine)",
    )


def _some(columns: Sequence[Column]) -> str:
    names = [column.name for column in columns]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "no columns"
