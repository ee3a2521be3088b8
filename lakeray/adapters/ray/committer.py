"""The committer as a Ray actor, and the port that sends it messages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from lakeray.adapters.ray.answers import get
from lakeray.ports.committer import ServedCommitter
from lakeray.ports.forwarding import ForwardingCommitter
from lakeray.values.errors import LakerayError
from lakeray.values.model import (
    CommitOutcome,
    CommitRequest,
    CommitterWork,
    Unknown,
)

OpenCommitter = Callable[[], AbstractContextManager[ServedCommitter]]


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)
class CommitterActor:
    """One per lake. A restart is a new lease, so Ray never restarts it by itself (P10).

    It takes a call of each feeder at once, so that those that wait can go together.
    """

    def __init__(self, open_committer: OpenCommitter) -> None:
        self._open_committer = open_committer
        self._stack = ExitStack()
        self._committer: ServedCommitter | None = None

    def open(self) -> int:
        """Take the lease; returns the fencing token."""
        self._committer = self._stack.enter_context(self._open_committer())
        return self._committer.token

    def work(self) -> CommitterWork:
        """What it has done so far."""
        assert self._committer is not None
        return self._committer.work

    def close(self) -> None:
        """Give the lease back."""
        self._committer = None
        self._stack.close()

    def token(self) -> int:
        """The fencing token."""
        assert self._committer is not None
        return self._committer.token

    def call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call one method of the committer."""
        assert self._committer is not None
        return getattr(self._committer, name)(*arguments, **named)


class RayCommitter(ForwardingCommitter):
    """The ``Committer`` port, by messages to the committer actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    @property
    def token(self) -> int:
        """The fencing token."""
        return int(get(self._actor.token.remote()))

    def forward(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Send the call, and wait for its answer."""
        return get(self._actor.call.remote(name, arguments, named))

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """See ``Committer``. An actor that dies in between leaves an unknown outcome (P9)."""
        try:
            outcome: CommitOutcome = ray.get(self._actor.call.remote("commit", (request,), {}))
        except RayTaskError as error:
            if isinstance(error.cause, LakerayError):
                raise error.cause from None
            raise
        except RayError as error:
            return Unknown(commit_id=request.commit_id, cause=str(error).split("\n", 1)[0])
        return outcome
