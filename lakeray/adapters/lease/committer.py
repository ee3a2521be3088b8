"""The committer together with the lease that entitles to it: no call begins without the lease (P10)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lakeray.ports.committer import GroupCommitter, Lease
from lakeray.ports.forwarding import ForwardingCommitter
from lakeray.values.errors import LakerayError, LeaseLostError
from lakeray.values.model import BuildResult, CommitOutcome, CommitRequest, Landed, Merged, PendingTransform

Answer = TypeVar("Answer")


class LeasedCommitter(ForwardingCommitter):
    """The ``GroupCommitter`` port, by another committer.

    A committer that slept finds its sessions ended and its transactions in conflict. Whatever fails after the lease was
    lost is told as its loss: the fencing token has kept it from writing, and its reader has nothing to mend.
    """

    def __init__(self, committer: GroupCommitter, *, lease: Lease) -> None:
        self._committer = committer
        self._lease = lease

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._committer.token

    def forward(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call the committer, unless the lease is lost.

        Raises:
            LeaseLostError: it is, or it was while the call failed.
        """
        self._lease.check()
        return self._told(lambda: getattr(self._committer, name)(*arguments, **named))

    def read_back(self, commit_id: str) -> Landed | None:
        """See ``Committer``. After the lease was lost, what was committed before is told; else the loss is."""
        found = self._told(lambda: self._committer.read_back(commit_id))
        if found is None:
            self._lease.confirm()
        return found

    def commit_group(self, requests: Sequence[CommitRequest]) -> Sequence[CommitOutcome | LakerayError]:
        """See ``GroupCommitter``."""
        return self._each(self.forward("commit_group", requests))

    def transform_group(self, pending: Sequence[PendingTransform]) -> Sequence[BuildResult | LakerayError]:
        """See ``GroupCommitter``."""
        return self._each(self.forward("transform_group", pending))

    def advance_group(self, merged: Sequence[Merged]) -> Sequence[LakerayError | None]:
        """See ``GroupCommitter``."""
        return self._each(self.forward("advance_group", merged))

    def _each(self, answers: Sequence[Any]) -> Sequence[Any]:
        return [self._cause_of(answer) if isinstance(answer, LakerayError) else answer for answer in answers]

    def _told(self, work: Callable[[], Answer]) -> Answer:
        try:
            return work()
        except LakerayError as error:
            cause = self._cause_of(error)
            if cause is error:
                raise
            raise cause from error

    def _cause_of(self, error: LakerayError) -> LakerayError:
        """The loss of the lease, when it is lost; else the error."""
        if isinstance(error, LeaseLostError):
            return error
        try:
            self._lease.confirm()
        except LeaseLostError as lost:
            return lost
        return error
