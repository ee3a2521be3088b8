"""Where validation and feeders run: in this process, or on Ray."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from lakeray.ports.committer import Committer
from lakeray.values.errors import LakerayError
from lakeray.values.model import Batch, BuildResult, CommitterWork, Contract, StreamName, StreamReport, Verdict


class Validator(Protocol):
    """Validates one batch. Picklable: it runs in a thread or in a Ray task, the same."""

    def validate(self, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
        """A verdict per file, in the batch's order.

        Raises:
            StorageError: the object store failed; no verdict can be given.
            ValidationMemoryError: a single file takes more memory than there is.
        """


class Executor(Protocol):
    """Where validation runs: in this process or as Ray tasks. Same results whichever runs."""

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        """Verdicts for every batch, in order, at most ``ahead`` batches ahead of the consumer (P6).

        Whoever stops asking before the end closes it: what is under way ahead is given up then.
        """


FeedOne = Callable[[StreamName, Committer, Executor, Callable[[], bool]], StreamReport]
"""Feeds one stream through a committer and an executor, until the last argument says stop. Picklable where Ray runs."""
Finish = Callable[[Committer, Sequence[StreamReport]], BuildResult | LakerayError]
"""What comes once, after all streams, whose reports it gets; a failure is a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fed:
    """What the feeders of one run did."""

    reports: tuple[StreamReport, ...]
    """In the order of the streams."""
    built: BuildResult | LakerayError
    """What came after all of them."""
    work: CommitterWork | None
    """The committer's; None when it died."""


class Feeders(Protocol):
    """Feeds several streams at a time through one committer, which it opens and closes."""

    def run(self, streams: Sequence[StreamName], *, finish: Finish, stop: Callable[[], bool]) -> Fed:
        """Feed the streams, then do what comes once, after all of them. A feeder that dies fails its stream alone.

        Raises:
            LeaseHeldError: another committer works on the lake.
            LakerayError: the committer could not start.
        """
