"""Work: what there is to do for a stream. One rule: a feed says ``nothing_new`` if and only if it is empty. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from lakeray.values.model import Contract, ObjectPolicy, Plan
from lakeray.values.names import folded


class Work(StrEnum):
    """A kind of work, in the order in which a feed comes to it."""

    WIDEN = "widen"
    """The stream's config has a column that the landing table lacks."""
    OBJECTS = "objects"
    """Registered objects changed, or vanished and the policy is not only to report it (P14)."""
    MERGE = "merge"
    """Rows are registered that dbt has not merged (P12)."""
    REPLACE = "replace"
    """A newer generation is whole, and rows of older ones may leave the processed table (P16)."""
    TAKE_IN = "take_in"
    """There are files to validate and register (P3)."""
    REFUSE = "refuse"
    """A file does not fit the memory budget, and the policy is to refuse it (P5)."""
    CLAIM = "claim"
    """Objects are to be deleted one day, and the stream's prefix lacks the lake's claim (P13)."""
    REREGISTER = "reregister"
    """Registered files hold values that the contract has a place for now, or a run was cut off from it (P13, P15)."""
    CLEAN = "clean"
    """Rows behind the retention are merged and may leave the landing table (P13)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a stream stands, as the bookkeeping says it at one moment."""

    landing: Collection[str] | None
    """The names of the landing table's columns; None when there is no table."""
    is_merged: bool
    """Whether dbt has merged all that is registered."""
    oldest_merged_day: date | None
    """The oldest day whose rows are live and merged; None when there are none."""
    clean_before: date | None
    """Merged files of days before this one may go (exclusive); None when the cursor tells no day."""
    is_claimed: bool = True
    """Whether there is nothing to claim."""


def work_of(
    planned: Plan,
    standing: Standing,
    *,
    contract: Contract,
    on_vanished: ObjectPolicy,
    replaced: Collection[str] = (),
    is_replaceable: bool = False,
) -> frozenset[Work]:
    """What there is to do for the stream; empty when there is nothing.

    Args:
        replaced: the vanished keys that something newer explains.
        is_replaceable: whether a newer generation is whole, and all that is listed is taken in.
    """
    gone = [key for key in planned.vanished if key not in replaced]
    found = {
        Work.WIDEN: lacks_columns(standing.landing, contract),
        Work.OBJECTS: bool(planned.changed) or (bool(gone) and on_vanished is not ObjectPolicy.REPORT),
        Work.MERGE: not standing.is_merged,
        Work.REPLACE: is_replaceable,
        Work.TAKE_IN: bool(planned.batches),
        Work.REFUSE: bool(planned.oversize) and not planned.batches,
        Work.CLAIM: not standing.is_claimed,
        Work.REREGISTER: bool(planned.reregister or planned.unfinished),
        Work.CLEAN: standing.oldest_merged_day is not None
        and standing.clean_before is not None
        and standing.oldest_merged_day < standing.clean_before,
    }
    return frozenset(kind for kind, is_there in found.items() if is_there)


def lacks_columns(landing: Collection[str] | None, contract: Contract) -> bool:
    """Whether a landing table that is there lacks a column of the contract. One that is missing is made with files."""
    if landing is None:
        return False
    have = {folded(name) for name in landing}
    return any(folded(column.name) not in have for column in contract.columns)
