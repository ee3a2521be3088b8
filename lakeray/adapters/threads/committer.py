"""One committer for several feeders at once: one thread does its work, and what is ready together is done together.

Whatever a feeder asks waits its turn, first come, first served. When a commit's turn comes, all commits that wait by
then go with it; transforms and marks alike. No feeder waits for a group to fill: groups form while the committer works.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from lakeray.ports.committer import GroupCommitter
from lakeray.ports.forwarding import ForwardingCommitter
from lakeray.values.model import (
    BuildResult,
    CommitOutcome,
    CommitRequest,
    CommitterWork,
    Merged,
    Peak,
    PendingTransform,
)

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@contextmanager
def shared(committer: GroupCommitter) -> Iterator[SharedCommitter]:
    """The committer, for any number of threads, until the block ends. What is under way then is waited for."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="committer") as thread:
        yield SharedCommitter(committer, thread)


@dataclass(slots=True)
class _Group:
    """The calls of one kind that wait for their turn."""

    waiting: list[tuple[Any, Future[Any]]] = field(default_factory=list)
    calls: int = 0
    groups: int = 0


class SharedCommitter(ForwardingCommitter):
    """The ``Committer`` port, for several threads."""

    def __init__(self, committer: GroupCommitter, thread: ThreadPoolExecutor) -> None:
        self._committer = committer
        self._thread = thread
        self._lock = Lock()
        self._commits, self._transforms, self._marks = _Group(), _Group(), _Group()
        self._busy_s = 0.0
        self._since_s: float | None = None
        self._until_s = 0.0

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._committer.token

    @property
    def work(self) -> CommitterWork:
        """What it has done so far."""
        return CommitterWork(
            commits=self._commits.calls,
            snapshots=self._commits.groups,
            transforms=self._transforms.calls,
            dbt_runs=self._transforms.groups,
            busy_s=round(self._busy_s, 3),
            seconds=0.0 if self._since_s is None else round(self._until_s - self._since_s, 3),
        )

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """See ``Committer``."""
        outcome: CommitOutcome = self._together(self._commits, request, self._committer.commit_group)
        return outcome

    def transform(self, pending: PendingTransform) -> BuildResult:
        """See ``Committer``."""
        built: BuildResult = self._together(self._transforms, pending, self._committer.transform_group)
        return built

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """See ``Committer``."""
        self._together(self._marks, Merged(pending=pending, peaks=tuple(peaks)), self._committer.advance_group)

    def forward(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Do the call alone, when its turn comes."""
        return self._thread.submit(self._timed, lambda: getattr(self._committer, name)(*arguments, **named)).result()

    def _together(self, group: _Group, item: Item, work: Callable[[Sequence[Item]], Sequence[Any]]) -> Any:
        answer: Future[Any] = Future()
        with self._lock:
            group.waiting.append((item, answer))
        # As many turns as calls: the first serves all that wait, and the turns of those find nothing to do.
        self._thread.submit(self._serve, group, work)
        return answer.result()

    def _serve(self, group: _Group, work: Callable[[Sequence[Any]], Sequence[Any]]) -> None:
        with self._lock:
            calls, group.waiting = group.waiting, []
        if not calls:
            return
        group.calls, group.groups = group.calls + len(calls), group.groups + 1
        try:
            answers = self._timed(lambda: work([item for item, _ in calls]))
        except BaseException as error:
            for _, waiting in calls:
                waiting.set_exception(error)
            raise
        for (_, waiting), answer in zip(calls, answers, strict=True):
            if isinstance(answer, BaseException):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)

    def _timed(self, work: Callable[[], Answer]) -> Answer:
        started_s = time.monotonic()
        self._since_s = self._since_s or started_s
        try:
            return work()
        finally:
            self._until_s = time.monotonic()
            self._busy_s += self._until_s - started_s
