"""Named points at which a process may die. Tests kill it there, in the in-memory lake and in the real process alike.

Nothing happens at a fault point in production: the function that is called there is ``no_fault``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class FaultPoint(StrEnum):
    """In the order of a feed."""

    AFTER_DISCOVER = "after_discover"
    AFTER_NOTED = "after_noted"
    """What the stream's first plan lists is remembered, nothing is taken in."""
    AFTER_CLAIMED = "after_claimed"
    """The stream's prefix has the lake's claim, nothing is taken in."""
    AFTER_VALIDATE = "after_validate"
    BEFORE_COMMIT = "before_commit"
    """Everything is written in the transaction, COMMIT is not sent."""
    AFTER_COMMIT = "after_commit"
    """COMMIT has landed, nobody knows yet."""
    AFTER_REGISTER = "after_register"
    """The batch is registered, dbt has not run."""
    AFTER_TRANSFORM = "after_transform"
    """dbt has merged, transformed_through has not moved."""
    AFTER_ADVANCE = "after_advance"
    AFTER_REPLACE = "after_replace"
    """Rows of older generations left the processed table, their files are still registered."""
    AFTER_REMOVE = "after_remove"
    """Clean-up: rows left landing, no DuckLake snapshot is expired."""
    BEFORE_EXPIRE = "before_expire"
    """Clean-up: kept objects are out of the catalog, no DuckLake snapshot is expired."""
    AFTER_EXPIRE = "after_expire"
    """Clean-up: DuckLake snapshots are expired, storage has lost nothing."""
    AFTER_ORIGINALS = "after_originals"
    """Clean-up: the originals of converted copies are deleted, DuckLake's clean-up has not run."""
    AFTER_FORGET = "after_forget"
    """Files left landing to be registered anew, and are not yet. Only where a contract changed."""
    AFTER_REBUILD = "after_rebuild"
    """``rebuild``: the processed table is made anew, landing is as it was."""


Fault = Callable[[FaultPoint], None]


def no_fault(_point: FaultPoint) -> None:
    """What happens at a fault point in production."""
