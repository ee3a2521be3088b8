"""Attempts to commit, and why one ended without a commit: for the code that decides whether to try again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lakeray.values.errors import LeaseLostError
from lakeray.values.model import CommitRequest, Refused

_MAX_CONFLICTS = 50
_CONFLICT_WAIT_S = 0.02
_Result = TypeVar("_Result")


class RequirementFailed(Exception):
    """A requirement of the request does not hold (P8)."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.found)
        self.refused = refused


class PathsWait(Exception):
    """Older registrations of these paths wait to be cleaned up: the objects there are new ones by now."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(f"{len(paths)} paths")
        self.paths = paths


class NotProved(Exception):
    """The batch, or the catalog, is not one that the catalog writer may write; the reason, for the log."""


class LayoutMoved(Exception):
    """The schema changed since it was looked at; nothing was written."""


class Conflict(Exception):
    """Another transaction got in between; nothing was written, and the same can be tried again."""


class CatalogFailed(Exception):
    """The database failed before the COMMIT; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request, and what was looked up for it."""

    request: CommitRequest
    paths: Sequence[str]
    """What is registered for each of its files."""
    columns: Mapping[str, str]
    """The landing table's columns and types as of ``CatalogWriter.schema_version``, without those added for it."""


LeftOut = RequirementFailed | PathsWait | NotProved | LeaseLostError


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of several attempts."""

    snapshot: int | None
    """The DuckLake snapshot of those that landed; None when none did."""
    left_out: Mapping[str, LeftOut]
    """By commit id: why nothing was written of the others."""


def until_landed(write: Callable[[], _Result]) -> _Result:
    """Try a write again while others get in between.

    Raises:
        CatalogFailed: they did so each time.
    """
    for attempt in range(_MAX_CONFLICTS):
        try:
            return write()
        except LayoutMoved:
            continue
        except Conflict:
            time.sleep(min(_CONFLICT_WAIT_S * attempt, 1.0))
    raise CatalogFailed(f"{_MAX_CONFLICTS} times somebody else committed first")


class AnswerLost(Exception):
    """The COMMIT was sent and failed or gave no answer: it may have landed (P9)."""


def commit_extra(requests: Sequence[CommitRequest], *, registered_by: str) -> dict[str, str]:
    """What travels with the DuckLake snapshot of some batches (P7); of several, with commas.

    Args:
        registered_by: who wrote the catalog's rows, and why; ``status`` shows it.
    """
    return {
        "commit_id": ",".join(request.commit_id for request in requests),
        "batch_id": ",".join(request.batch_id for request in requests),
        "stream": ",".join(str(request.stream) for request in requests),
        "registered_by": registered_by,
    }
