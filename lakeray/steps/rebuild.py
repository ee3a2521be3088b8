"""Rebuild: what has to become of a stream's tables when its config says another key, cursor or type. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lakeray.values.casts import castable
from lakeray.values.column_types import parse_type
from lakeray.values.errors import ContractError, DataError
from lakeray.values.model import Cast, Contract, MergedBy, Rebuild, RebuildCounts, StreamName
from lakeray.values.names import folded
from lakeray.values.refusals import other_key
from lakeray.values.type_growth import covers, grows, merged


def plan_rebuild(
    stream: StreamName,
    contract: Contract,
    *,
    landing: Mapping[str, str],
    processed: Mapping[str, str] | None,
    noted: MergedBy | None,
) -> Rebuild:
    """What differs from the config. What only grows is left to the next feed.

    Args:
        landing: the landing table's columns and types; empty when there is no table.
        processed: the processed table's; None when there is no table.
        noted: what the processed table is merged by.

    Raises:
        ContractError: there is no cast from what a column is to what it should be.
    """
    casts = tuple(cast for cast in _casts(contract, processed or {}) if _follows(cast, landing))
    change = Rebuild(
        stream=stream,
        key=contract.primary_key,
        newest_first=contract.newest_first,
        noted=_compared(noted, casts, contract) if processed is not None else None,
        cursor_type=_compared_as(contract),
        notes_cursor_type=contract.cursor_type is not None,
        processed=casts,
        landing=_casts(contract, landing),
        has_processed=processed is not None,
    )
    for cast in change.processed + change.landing:
        if not castable(cast.found, cast.wanted):
            raise ContractError(
                f"{stream}: {cast.column} cannot be made {cast.wanted}",
                expected=f"a type that {cast.found} casts to: VARCHAR, or a union with a field for it",
                found=str(cast.wanted),
                todo=f"Set fields.{cast.column} in conf/stream/{stream}.yaml to another type. Nothing was changed",
            )
    return change


def refuse_other_key(stream: StreamName, contract: Contract, *, noted: MergedBy | None, merged: bool) -> None:
    """See that the stream is merged by what its config says.

    Args:
        merged: whether anything is merged yet.

    Raises:
        ContractError: the config names another key, cursor or type to compare the cursor as.
    """
    if merged and noted is not None and not noted.allows(contract.merged_by):
        raise other_key(stream, noted, contract.merged_by)


def refuse_loss(change: Rebuild, counts: RebuildCounts, *, allow_loss: bool) -> None:
    """Execution refuses what the dry run only tells.

    Raises:
        DataError: rows or values would be lost, and nobody allowed it.
    """
    if allow_loss or not counts.lost:
        return
    failing = [f"{rows:,} value(s) of {column} that do not fit its new type" for column, rows in counts.failing]
    keyless = [f"{counts.without_key:,} row(s) without the new key"] if counts.without_key else []
    raise DataError(
        f"{change.stream}: rebuilding {change.stream.processed_table} would lose {' and '.join(failing + keyless)}",
        todo="Choose a type that holds them, as VARCHAR does, or another key; or let them go with "
        "rebuild.allow_loss=true: values become NULL, rows without a key go. Nothing was changed",
    )


def _compared_as(contract: Contract) -> str | None:
    """What the config says that the cursor is compared as; None: of a text what was kept, or will be found."""
    if not contract.newest_first or contract.cursor_type is not None:
        return contract.cursor_type
    own = {folded(column.name): column.type for column in contract.columns}.get(folded(contract.newest_first[0]))
    return None if own is None or own == parse_type("VARCHAR") else str(own)


def _compared(noted: MergedBy | None, casts: Sequence[Cast], contract: Contract) -> MergedBy | None:
    """What the rows were compared by: of a cursor that becomes a text, the type that it has until then."""
    if noted is None or noted.cursor_type is not None or not noted.newest_first or contract.cursor_type is None:
        return noted
    cursor = folded(noted.newest_first[0])
    found = next((cast.found for cast in casts if folded(cast.column) == cursor), None)
    return noted if found in (None, parse_type("VARCHAR")) else replace(noted, cursor_type=str(found))


def _follows(cast: Cast, landing: Mapping[str, str]) -> bool:
    """Whether the processed column is what the landing table's is. Where it is not, the model made it so on purpose."""
    own = next((kind for name, kind in landing.items() if folded(name) == folded(cast.column)), None)
    return own is None or covers(cast.found, parse_type(own))


def _casts(contract: Contract, table: Mapping[str, str]) -> tuple[Cast, ...]:
    stands = {folded(name): (name, parse_type(kind)) for name, kind in table.items()}
    casts: list[Cast] = []
    for column in contract.columns:
        own = stands.get(folded(column.name))
        if own is None or covers(own[1], column.type):
            continue
        target = merged(own[1], column.type)
        if not grows(own[1], target):
            casts.append(Cast(column=own[0], found=own[1], wanted=target))
    return tuple(casts)
