"""Whether what a commit requires holds (P8). Pure: a writer reads a state inside its transaction, and asks.

There is one rule for every writer, so that a request is refused for the same reason and in the same words whoever
writes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Struct, parse_type, same_type
from lakeray.values.model import ContractIs, CursorIs, LeaseIs, LedgerLacks, Refused, Requirement
from lakeray.values.names import folded


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the transaction of a commit finds, of all that a request can require.

    Every field is of one DuckLake snapshot, and that snapshot is still the newest when the commit lands.
    """

    token: int
    """The fencing token of the lease."""
    cursor_path: str | None
    """Where the stream's cursor is; None before its first batch."""
    columns: Mapping[str, str]
    """The landing table's columns and DuckDB's types, in order; without those that this very commit has added."""
    live_keys: Collection[str] = ()
    """Those of the request's keys that the ledger holds with live rows."""
    live_paths: Collection[str] = ()
    """Those of the request's paths that are registered and live."""


def unmet(requirement: Requirement, state: State) -> Refused | None:
    """The refusal that says what was expected and what was found; None when the requirement holds."""
    match requirement:
        case LeaseIs(token=token):
            held = token == state.token
            return None if held else _refused(requirement, f"fencing token {token}", f"token {state.token}")
        case CursorIs(path=path):
            stands = path == state.cursor_path
            return None if stands else _refused(requirement, f"cursor {path}", str(state.cursor_path))
        case ContractIs(columns=columns):
            difference = next(_differences(columns, state.columns), None)
            return None if difference is None else _refused(requirement, *difference)
        case LedgerLacks(keys=keys):
            key = next((key for key in keys if key in state.live_keys), None)
            if key is not None:
                return _refused(requirement, "files that are not taken in", f"taken in already: {key}")
            path = min(state.live_paths, default=None)
            if path is not None:
                return _refused(requirement, "paths that are not registered", f"registered already: {path}")
            return None
        case _:
            assert_never(requirement)


def first_unmet(requirements: Sequence[Requirement], state: State) -> Refused | None:
    """The refusal of the first requirement that does not hold; None when all do."""
    return next(filter(None, (unmet(requirement, state) for requirement in requirements)), None)


def _refused(requirement: Requirement, expected: str, found: str) -> Refused:
    return Refused(requirement=requirement, expected=expected, found=found)


def _differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What was expected and what is there, by column: first the missing and the changed ones, then those too many."""
    for name, text in wanted.items():
        if name not in found:
            yield f"column {name} {parse_type(text)}", "no such column in the landing table"
        elif found[name] != text:
            left, right = parse_type(text), parse_type(found[name])
            if not same_type(left, right):
                at, expected, there = _apart(name, left, right)
                yield f"column {at} {expected}", f"{at} {there}"
    for name, text in found.items():
        if name not in wanted:
            yield f"no column {name}", f"column {name} {parse_type(text)}"


def _apart(at: str, wanted: ColumnType, found: ColumnType) -> tuple[str, str, str]:
    """Where two types that are not the same differ first: a nested type's whole text can be thousands of characters."""
    match wanted, found:
        case ListOf(), ListOf():
            return _apart(f"{at}[]", wanted.item, found.item)
        case MapOf(), MapOf():
            if not same_type(wanted.key, found.key):
                return _apart(f"{at} (key)", wanted.key, found.key)
            return _apart(f"{at} (value)", wanted.value, found.value)
        case Struct(), Struct():
            return _fields_apart(at, wanted, found)
        case _:
            return at, str(wanted), str(found)


def _fields_apart(at: str, wanted: Struct, found: Struct) -> tuple[str, str, str]:
    have = {folded(name): kind for name, kind in found.fields}
    for name, kind in wanted.fields:
        there = have.pop(folded(name), None)
        if there is None:
            return f"{at}.{name}", str(kind), "is not there"
        if not same_type(kind, there):
            return _apart(f"{at}.{name}", kind, there)
    name = next(name for name, _ in found.fields if folded(name) in have)
    return f"{at}.{name}", "not there", str(have[folded(name)])
