"""Transform: dbt merges exactly the registered rows that it has not merged yet (P11, P12)."""

from __future__ import annotations

from typing import Protocol

from lakeray.model import BuildResult, PendingTransform, StreamName


class Marks(Protocol):
    """The part of the catalog reader that tells what is pending."""

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet."""


class Transforms(Protocol):
    """The part of the committer that runs dbt and moves the mark."""

    def transform(self, pending: PendingTransform) -> BuildResult:
        """Run dbt on exactly these rows."""

    def advance(self, pending: PendingTransform) -> None:
        """Move transformed_through."""


def catch_up(stream: StreamName, *, marks: Marks, committer: Transforms) -> tuple[PendingTransform, BuildResult] | None:
    """Merge what is registered and not merged, then move the mark. None when there is nothing.

    The mark moves after dbt's success and never before: a crash between the two repeats a merge that changes nothing.

    Raises:
        TransformError: dbt failed; the mark stays.
    """
    pending = marks.pending_transform(stream)
    if pending is None:
        return None
    built = committer.transform(pending)
    committer.advance(pending)
    return pending, built
