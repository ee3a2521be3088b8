"""Re-register: live files with values that had no place in landing, and have one since the contract changed. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lakeray.ports.catalog import Known
from lakeray.values.model import (
    Accepted,
    Contract,
    LedgerEntry,
    LeftOut,
    OnNewColumn,
    QuarantineEntry,
    QuarantineStatus,
    Rejected,
    Removal,
    SourceFile,
    Verdict,
)
from lakeray.values.names import folded
from lakeray.values.type_growth import FieldPath, has_place, shown

_BEGUN = (str(Removal.REREGISTER), str(Removal.REBUILD))


def waiting(
    contract: Contract,
    left_out: Mapping[tuple[FieldPath, ...], int],
    files: Callable[[], Sequence[LeftOut]],
) -> dict[str, LeftOut]:
    """The live files that hold values the contract has a place for now, by key.

    Args:
        left_out: which fields were left out at all.
        files: of which files; asked only when it matters.
    """
    if not any(_have_place(fields, contract) for fields in left_out):
        return {}
    return {item.key: item for item in files() if item.refused is None and _have_place(item.fields, contract)}


def _have_place(fields: Iterable[FieldPath], contract: Contract) -> bool:
    if contract.on_new_column is OnNewColumn.ADD:
        return True
    types = {folded(column.name): column.type for column in contract.columns}
    return any(folded(path[0]) in types and has_place(types[folded(path[0])], path[1:]) for path in fields)


class Watch:
    """Remembers, of a listing that somebody else reads, the objects of some keys."""

    def __init__(self, wanted: Mapping[str, LeftOut]) -> None:
        self._wanted = wanted
        self._seen: dict[str, SourceFile] = {}

    def passing(self, listed: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """The listing, as it is."""
        for file in listed:
            if file.key in self._wanted:
                self._seen[file.key] = file
            yield file

    def as_registered(self, head: Callable[[str], SourceFile | None]) -> tuple[SourceFile, ...]:
        """The objects that are there and have not changed; those that the listing did not cover are looked up."""
        found = ((item, self._seen.get(key) or head(key)) for key, item in self._wanted.items())
        return tuple(file for item, file in found if file is not None and file.etag == item.etag)


def unfinished(
    held: Sequence[QuarantineEntry], known_among: Callable[[Sequence[str]], Mapping[str, Known]]
) -> tuple[str, ...]:
    """The files that were about to leave landing when a run was cut off, by key: the ledger has them as live still.

    Args:
        held: the record of rejected files.
        known_among: the ledger of some keys; asked only when there are some.
    """
    begun = {item.key: item.etag for item in held if item.reason in _BEGUN and item.status == QuarantineStatus.RETRY}
    known = known_among(list(begun)) if begun else {}
    return tuple(key for key, entry in known.items() if entry.live and entry.etag == begun[key])


def sorted_out(
    verdicts: Sequence[Verdict], before: Mapping[str, LeftOut]
) -> tuple[tuple[Accepted, ...], dict[str, str]]:
    """Which files to register anew, and why the others stay as they are, by key.

    Args:
        before: what was left out of them so far.
    """
    anew: list[Accepted] = []
    refused: dict[str, str] = {}
    for item in verdicts:
        key = item.file.key
        if isinstance(item, Rejected):
            refused[key] = f"{item.reason}: {item.detail}"
        elif key in before and set(item.left_out) >= set(before[key].fields):
            refused[key] = f"no place for {', '.join(map(shown, before[key].fields))}"
        else:
            anew.append(item)
    return tuple(anew), refused


def held(
    files: Sequence[LedgerEntry], unsettled: Mapping[str, LeftOut], head: Callable[[str], SourceFile | None]
) -> set[str]:
    """Of files that retention would take out, the keys of those that wait to be registered anew (P13).

    One whose object is gone, or another one by now, cannot be: it does not wait.
    """
    asked = ((entry, head(entry.key)) for entry in files if entry.key in unsettled)
    return {entry.key for entry, now in asked if now is not None and now.etag == entry.etag}
