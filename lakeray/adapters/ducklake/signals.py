"""Why an attempt to commit ended without a commit, for the code that decides whether to try again."""

from __future__ import annotations

from lakeray.model import Refused, Requirement


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


def failed(requirement: Requirement, expected: str, found: str) -> RequirementFailed:
    """The signal of a requirement that does not hold."""
    return RequirementFailed(Refused(requirement=requirement, expected=expected, found=found))
