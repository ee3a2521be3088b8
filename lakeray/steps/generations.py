"""Generations: what a refresh, or a sync that overwrites, has replaced by another set of records (P16). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lakeray.values.model import UNKNOWN_GENERATION, FileGenerations, Plan, SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A generation that is whole, and has taken the place of older ones."""

    generation: int
    """The oldest that stays (inclusive)."""
    gone: tuple[str, ...]
    """Keys of live files of older generations; none of these objects is there any more."""


def replaced(live: Mapping[str, FileGenerations], *, gone: Collection[str], overwrites: bool) -> Replacement | None:
    """Which generation is whole: live files of older ones are gone, none of them is left, and nothing newer is missing.

    Airbyte deletes what is older only when the sync that replaces it has succeeded. What clean-up took out of landing
    is not live, and says nothing.

    Args:
        live: every live file, by key.
        gone: keys of objects that storage has lost.
        overwrites: every sync of the stream is a generation of its own. Of other streams, files that do not say of
            which generation they are prove nothing by going: a rule of the bucket may have deleted them for their age.
    """
    there = [file.oldest for key, file in live.items() if file.rows and key not in gone]
    if not there:
        return None
    oldest = min(there)
    lost = {key: file for key, file in live.items() if key in gone}
    if any(file.rows and file.newest >= oldest for file in lost.values()):
        return None
    is_proved = any(file.rows and (overwrites or file.newest != UNKNOWN_GENERATION) for file in lost.values())
    return Replacement(generation=oldest, gone=tuple(sorted(lost))) if is_proved else None


def older(live: Mapping[str, FileGenerations], *, gone: Collection[str], newest: int | None = None) -> frozenset[str]:
    """The keys that are gone and of an older generation than the newest that is there: nothing to worry about (P14).

    Args:
        newest: the newest generation of what is listed and not taken in, if that is known.
    """
    there = [file.newest for key, file in live.items() if file.rows and key not in gone]
    newest_there = max([*there, UNKNOWN_GENERATION if newest is None else newest])
    return frozenset(key for key in gone if key in live and live[key].newest < newest_there)


def outside(planned: Plan, live: Mapping[str, FileGenerations], *, ignored: Collection[str]) -> tuple[SourceFile, ...]:
    """The listed files of a look that are not taken in by now: what they hold may belong to the newest generation.

    Args:
        ignored: keys that an operator asked to look away from.
    """
    asked = (
        *(file for batch in planned.batches for file in batch.files),
        *(item.file for item in planned.oversize),
        *planned.skipped,
        *planned.too_late,
        *planned.waiting,
        *(change.file for change in planned.changed),
    )
    return tuple(
        file for file in asked if file.key not in ignored and (file.key not in live or live[file.key].etag != file.etag)
    )
