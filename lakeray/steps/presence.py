"""Presence: is what was taken in still where it was? Nothing listed is not nothing new (P3, P14). Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

from lakeray.values.errors import NotThereError
from lakeray.values.keys import day_of
from lakeray.values.model import Plan

SHARE = 0.5
"""More than this share of a stream's live objects gone at once (exclusive) is taken for a wrong place."""
LEAST = 4
"""The share is asked of streams with at least so many live objects in view (inclusive); of fewer, each may go."""


def is_waiting(planned: Plan) -> bool:
    """Whether the prefix lists nothing, and nothing that was taken in is expected there."""
    return not planned.listed_files and not planned.live_files


def replaced(planned: Plan, *, overwrites: bool) -> frozenset[str]:
    """The vanished keys that something newer has replaced: a sync that overwrites deletes what it wrote before.

    Args:
        overwrites: the stream's syncs replace what earlier ones wrote (``destination_sync_mode: overwrite``).
    """
    newest = planned.newest_day
    if not overwrites or newest is None:
        return frozenset()
    return frozenset(key for key in planned.vanished if day_of(key, otherwise=date.min) <= newest)


def missing(planned: Plan, *, place: str, replaced: Collection[str] = ()) -> NotThereError | None:
    """Why the listing is not believed; None when it is.

    Args:
        place: the address that was listed.
        replaced: vanished keys that are expected to be gone.
    """
    gone = [key for key in planned.vanished if key not in replaced]
    if not gone:
        return None
    is_most = planned.live_files >= LEAST and len(gone) > planned.live_files * SHARE
    if planned.listed_files and not is_most:
        return None
    found = (
        f"{planned.listed_files:,} objects, and {len(gone):,} of those files gone" if planned.listed_files else "none"
    )
    return NotThereError(
        f"{planned.stream}: what was taken in is not listed at {place} any more; nothing was changed",
        expected=f"the {planned.live_files:,} files that are registered, {min(gone)} among them",
        found=found,
        todo="Is storage.url right? If these files are gone for good, say so once with feed.accept_empty=true: "
        "they are forgotten then",
    )
