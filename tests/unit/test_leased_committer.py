"""A committer and its lease: without the lease no call begins, and what fails after its loss is told as its loss."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from lakeray.adapters.lease.committer import LeasedCommitter
from lakeray.values.errors import CatalogError, LakerayError, LeaseLostError
from lakeray.values.model import CommitOutcome, CommitRequest, Landed, StreamName

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = StreamName("shop", "orders")


class Lease:
    """A lease whose loss is known at once, or only when it is asked for."""

    def __init__(self) -> None:
        self.known_lost = False
        self.lost = False

    def check(self) -> None:
        if self.known_lost:
            raise LeaseLostError("the lease is lost")

    def confirm(self) -> None:
        self.known_lost = self.known_lost or self.lost
        self.check()


class Commits:
    """Counts its calls, and does what it is told."""

    token = 7

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.error: LakerayError | None = None
        self.found: Landed | None = None

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        return list(self._called("expire", ["gone"]))

    def rewind(self, stream: StreamName, *, to_snapshot: int) -> None:
        self._called(f"rewind {stream} {to_snapshot}", None)

    def read_back(self, commit_id: str) -> Landed | None:
        return self._called("read_back", self.found)

    def commit_group(self, requests: Sequence[CommitRequest]) -> Sequence[CommitOutcome | LakerayError]:
        self.calls.append("commit_group")
        return [Landed(snapshot=3), CatalogError("no answer")]

    def _called(self, name: str, answer: Any) -> Any:
        self.calls.append(name)
        if self.error is not None:
            raise self.error
        return answer


@pytest.fixture
def lease() -> Lease:
    return Lease()


@pytest.fixture
def commits() -> Commits:
    return Commits()


@pytest.fixture
def committer(commits: Commits, lease: Lease) -> LeasedCommitter:
    return LeasedCommitter(commits, lease=lease)  # type: ignore[arg-type]  # of the port, what these tests call


def test_with_the_lease_every_answer_is_the_committers(committer: LeasedCommitter, commits: Commits) -> None:
    assert committer.token == 7
    assert committer.expire(older_than=NOW) == ["gone"]
    committer.rewind(ORDERS, to_snapshot=4)
    assert committer.read_back("x") is None
    landed, failed = committer.commit_group([])
    assert landed == Landed(snapshot=3) and isinstance(failed, CatalogError)
    assert commits.calls == ["expire", "rewind shop/orders 4", "read_back", "commit_group"]


def test_without_it_nothing_is_asked_of_the_committer(
    committer: LeasedCommitter, commits: Commits, lease: Lease
) -> None:
    lease.known_lost = True
    for call in (lambda: committer.expire(older_than=NOW), lambda: committer.commit_group([])):
        with pytest.raises(LeaseLostError):
            call()
    assert commits.calls == []


def test_an_error_is_told_as_it_is_while_the_lease_is_held(committer: LeasedCommitter, commits: Commits) -> None:
    commits.error = CatalogError("no answer")
    with pytest.raises(CatalogError) as raised:
        committer.rewind(ORDERS, to_snapshot=4)
    assert raised.value is commits.error and raised.value.__cause__ is None


def test_an_error_after_the_loss_is_told_as_the_loss(
    committer: LeasedCommitter, commits: Commits, lease: Lease
) -> None:
    commits.error = CatalogError("no answer")
    lease.lost = True
    with pytest.raises(LeaseLostError) as raised:
        committer.rewind(ORDERS, to_snapshot=4)
    assert raised.value.__cause__ is commits.error


def test_an_error_among_the_answers_of_a_group_is_told_so_too(committer: LeasedCommitter, lease: Lease) -> None:
    lease.lost = True
    landed, failed = committer.commit_group([])
    assert landed == Landed(snapshot=3) and isinstance(failed, LeaseLostError)


def test_what_landed_before_the_loss_is_read_back_and_what_did_not_is_the_loss(
    committer: LeasedCommitter, commits: Commits, lease: Lease
) -> None:
    lease.lost = True
    commits.found = Landed(snapshot=3)
    assert committer.read_back("x") == Landed(snapshot=3)
    commits.found = None
    with pytest.raises(LeaseLostError):
        committer.read_back("x")
