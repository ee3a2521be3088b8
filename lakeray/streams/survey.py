"""What a look at files proposes: types, where files disagree, a key and a cursor, each with its evidence. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from lakeray.values.casts import lossless
from lakeray.values.column_types import ColumnType, Scalar
from lakeray.values.model import Column
from lakeray.values.names import folded
from lakeray.values.type_growth import joined, without_nulls

_OWN = "_airbyte_"
_TEXT = Scalar("VARCHAR")
_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
_KEY_TYPES = (*_WHOLE, "VARCHAR", "UUID", "DATE")
_PART_OF_KEY = ("id", "key", "code", "sku", "number", "date", "uuid", "guid")
_MOST_PARTS = 6
_UPDATED = ("updat", "modif", "changed")
_HAPPENED = ("datetime", "timestamp", "occurred", "event_time", "sent_at", "happened")
_CREATED = ("creat", "insert")
_DELETED = ("deleted_at", "_ab_cdc_deleted_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnSeen:
    """A column as the footers have it."""

    name: str
    wanted: ColumnType
    """The type that most files can be taken in by."""
    types: Mapping[str, int]
    """In how many files it has which type; more than one where files disagree."""
    refused: int = 0
    """Files whose type cannot become the wanted one: they would be quarantined."""
    missing: int = 0
    """Files that lack it."""


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the rows of one file say of a column."""

    nulls: int
    distinct: int
    greatest: int | None = None
    """Of times and whole numbers, as a number that grows with them."""
    is_time: bool = False
    """Of texts: all of them say a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What the rows of one file say."""

    rows: int
    columns: Mapping[str, ColumnFacts]
    pairs: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How many different values two columns have together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Columns that are proposed, and why."""

    columns: tuple[str, ...] = ()
    evidence: str = ""


def columns_seen(footers: Sequence[Sequence[Column]]) -> list[ColumnSeen]:
    """The columns of the files, those of the newest file first. Airbyte's own, and those without a value, are left out.

    Args:
        footers: the columns of each file, the newest file first.
    """
    found: dict[str, list[Column]] = {}
    for columns in footers:
        for column in columns:
            found.setdefault(folded(column.name), []).append(column)
    seen = []
    for name, columns in found.items():
        kinds = [kind for column in columns if (kind := without_nulls(column.type)) is not None]
        if name.startswith(_OWN) or not kinds:
            continue
        wanted = _wanted(kinds)
        refused = sum(1 for kind in kinds if not _is_taken(kind, wanted))
        types = Counter(str(kind) for kind in kinds)
        missing = len(footers) - len(columns)
        seen.append(ColumnSeen(name=columns[0].name, wanted=wanted, types=types, refused=refused, missing=missing))
    return seen


def _is_taken(kind: ColumnType, wanted: ColumnType) -> bool:
    return joined(kind, wanted) == wanted or lossless(kind, wanted)


def _wanted(kinds: Sequence[ColumnType]) -> ColumnType:
    """The newest file's type, as wide as the others need it; text where nothing else holds them all."""
    wanted = kinds[0]
    for kind in dict.fromkeys(kinds):
        both = joined(wanted, kind)
        if both is not None:
            wanted = both
        elif not lossless(kind, wanted) and lossless(wanted, kind):
            wanted = kind
    refused = any(not _is_taken(kind, wanted) for kind in kinds)
    return _TEXT if refused and all(_is_taken(kind, _TEXT) for kind in kinds) else wanted


def candidates(columns: Iterable[ColumnSeen]) -> list[tuple[str, str]]:
    """The columns, by name and type, whose rows are asked: those that can be a key or a cursor."""
    return [(item.name, str(item.wanted)) for item in columns if _may_be_key(item) or _is_moment(item)]


def pairs_of(columns: Iterable[ColumnSeen]) -> list[tuple[str, str]]:
    """Columns that may be a key together: those whose names say so, a few."""
    parts = [
        item.name for item in columns if _may_be_key(item) and folded(item.name).rpartition("_")[2] in _PART_OF_KEY
    ][:_MOST_PARTS]
    return [(left, right) for number, left in enumerate(parts) for right in parts[number + 1 :]]


def _may_be_key(item: ColumnSeen) -> bool:
    return isinstance(item.wanted, Scalar) and item.wanted.name in _KEY_TYPES


def _is_moment(item: ColumnSeen) -> bool:
    return isinstance(item.wanted, Scalar) and item.wanted.name.startswith(("TIMESTAMP", "DATE"))


def proposed_key(stream: str, columns: Sequence[ColumnSeen], facts: Sequence[FileFacts]) -> Proposal:
    """The key that the rows allow and the names suggest: no nulls, and unique in each file where there is such a one.

    Within a file, for the same record comes again in later ones.
    """
    names = [item.name for item in columns if _may_be_key(item)]
    alone = [item.name for item in columns if _may_be_key(item) and not _is_moment(item)]
    rows = sum(file.rows for file in facts)
    whole = [name for name in names if rows and not _nulls(name, facts)]
    unique = [name for name in whole if _repeats(name, facts) == 0]
    ranked = sorted(set(whole) & set(alone), key=lambda name: (_key_rank(name, stream), names.index(name)))
    best = next((name for name in ranked if _key_rank(name, stream) < 2 or name in unique), None)
    if best is not None:
        return Proposal(columns=(best,), evidence=_of_key(best, facts))
    for pair in sorted({pair for file in facts for pair in file.pairs}, key=lambda pair: [*map(names.index, pair)]):
        if set(pair) <= set(whole) and all(file.pairs.get(pair, 0) == file.rows for file in facts):
            evidence = f"{pair[0]} and {pair[1]} together are unique in each of {len(facts)} files, {rows:,} rows"
            return Proposal(columns=pair, evidence=f"{evidence}, and never null")
    return Proposal(evidence=f"no column, and no two that are named as keys, are unique in {rows:,} rows")


def _key_rank(name: str, stream: str) -> int:
    name = folded(name)
    if name == "id":
        return 0
    if name in (f"{stream}_id", f"{stream.removesuffix('s')}_id", "uuid", "guid", "pk"):
        return 1
    return 2 if name.endswith("id") else 3


def _of_key(name: str, facts: Sequence[FileFacts]) -> str:
    rows, repeats = sum(file.rows for file in facts), _repeats(name, facts)
    what = "unique in each of" if not repeats else f"{repeats:,} rows repeat a value (the newest wins) in"
    return f"{name}: never null, {what} {len(facts)} files, {rows:,} rows"


def _nulls(name: str, facts: Sequence[FileFacts]) -> int:
    return sum(file.columns[name].nulls if name in file.columns else file.rows for file in facts)


def _repeats(name: str, facts: Sequence[FileFacts]) -> int:
    return sum(file.rows - file.columns[name].distinct for file in facts if name in file.columns)


def proposed_cursor(columns: Sequence[ColumnSeen], facts: Sequence[FileFacts]) -> Proposal:
    """The time whose name says that it grows with each change of a record, and how it grew from file to file.

    Args:
        facts: of files, the oldest first.
    """
    ranked = []
    for number, item in enumerate(columns):
        rank = _cursor_rank(item.name)
        known = [file.columns[item.name] for file in facts if item.name in file.columns]
        if rank is None or not known or not (_is_moment(item) or all(each.is_time for each in known)):
            continue
        ranked.append((_nulls(item.name, facts) > 0, rank, number, item.name))
    if not ranked:
        return Proposal(evidence="no time whose name says that it grows; the extraction time decides which is newer")
    name = min(ranked)[-1]
    greatest = [file.columns[name].greatest for file in facts if name in file.columns]
    told = [value for value in greatest if value is not None]
    grown = sum(1 for old, new in pairwise(told) if new >= old)
    steps = max(0, len(told) - 1)
    nulls, rows = _nulls(name, facts), sum(file.rows for file in facts)
    evidence = f"{name}: {nulls:,} nulls in {rows:,} rows"
    if steps:
        evidence += f", its greatest value does not fall in {grown} of {steps} steps from file to file"
    return Proposal(columns=(name,), evidence=evidence)


def _cursor_rank(name: str) -> int | None:
    name = folded(name)
    for rank, words in enumerate((_UPDATED, _HAPPENED, _CREATED)):
        if any(word in name for word in words):
            return rank
    return None


def proposed_deleted(columns: Iterable[ColumnSeen]) -> str | None:
    """The field that is not null in a record of a deletion, when one is named as such."""
    return next((item.name for item in columns if folded(item.name) in _DELETED), None)
