"""What a committer has just registered and not merged yet: its merge need not look the files' origins up (P12)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from lakeray.values.model import Accepted, CommitRequest, Origin, PendingTransform, StreamName
from lakeray.values.origins import origin_of

_MOST = 64
"""Batches that are kept, at most: those whose merges fail are not asked for again."""


class RecentOrigins:
    """The origins of the newest batches, by stream and DuckLake snapshot."""

    def __init__(self, path: Callable[[Accepted], str]) -> None:
        """Remember nothing yet.

        Args:
            path: what is registered for a file.
        """
        self._path = path
        self._batches: OrderedDict[tuple[StreamName, int], tuple[Origin, ...]] = OrderedDict()

    def registered(self, request: CommitRequest, *, snapshot: int) -> None:
        """Remember the files of a batch that landed."""
        self._batches[request.stream, snapshot] = tuple(
            Origin(path=self._path(item), origin=origin_of(item.file)) for item in request.files
        )
        while len(self._batches) > _MOST:
            self._batches.popitem(last=False)

    def completed(self, asked: PendingTransform) -> PendingTransform:
        """What is to be merged with its origins, where it is one batch that is remembered; else as it is."""
        if asked.from_snapshot != asked.to_snapshot:
            return asked
        return replace(asked, origins=self._batches.get((asked.stream, asked.to_snapshot), ()))

    def merged(self, done: PendingTransform) -> None:
        """Forget what is merged."""
        gone = [at for at in self._batches if at[0] == done.stream and at[1] <= done.to_snapshot]
        for at in gone:
            del self._batches[at]
