"""One committer for several feeders: what waits together goes together, and an error stays with its stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from lakeray.adapters.threads.committer import SharedCommitter, shared
from lakeray.adapters.threads.feeders import run_feeds
from lakeray.values.errors import CatalogError, LakerayError
from lakeray.values.model import (
    BuildResult,
    CommitOutcome,
    CommitRequest,
    Landed,
    PendingTransform,
    StreamName,
    StreamReport,
    StreamStatus,
)

NAMES = [StreamName("shop", name) for name in ("a", "b", "c", "d")]
DEADLINE_S = 30


class Slow:
    """Keeps each group until it is let go, and remembers who was in it."""

    token = 7

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.working, self.go_on = Event(), Event()
        self.fails: set[str] = set()

    def commit_group(self, requests: Sequence[CommitRequest]) -> Sequence[CommitOutcome | LakerayError]:
        self._work([request.stream.stream for request in requests])
        return [self._outcome(request.stream.stream, Landed(snapshot=len(self.groups))) for request in requests]

    def transform_group(self, pending: Sequence[PendingTransform]) -> Sequence[BuildResult | LakerayError]:
        self._work([f"dbt {asked.stream.stream}" for asked in pending])
        return [BuildResult(models=(asked.stream.stream,), rows_affected=0, seconds=0.0) for asked in pending]

    def advance_group(self, pending: Sequence[PendingTransform]) -> Sequence[LakerayError | None]:
        raise RuntimeError("a fault of ours")

    def read_back(self, commit_id: str) -> Landed | None:
        self._work([f"read back {commit_id}"])
        return None

    def _outcome(self, name: str, landed: Landed) -> CommitOutcome | LakerayError:
        return CatalogError(f"{name} failed") if name in self.fails else landed

    def _work(self, names: list[str]) -> None:
        self.groups.append(names)
        self.working.set()
        assert self.go_on.wait(DEADLINE_S)


def request(stream: StreamName) -> CommitRequest:
    return CommitRequest(
        commit_id=stream.stream, batch_id="", stream=stream, files=(), rejected=(), requirements=(), cursor_path=None
    )


def pending(stream: StreamName) -> PendingTransform:
    return PendingTransform(stream=stream, from_snapshot=1, to_snapshot=1)


def while_busy(slow: Slow, calls: Sequence[Callable[[SharedCommitter], Any]]) -> list[Any]:
    """Make the first call, the others one after the other while it is worked on; then let everything go."""
    with shared(slow) as committer, ThreadPoolExecutor(len(calls)) as feeders:  # type: ignore[arg-type]
        futures = [feeders.submit(calls[0], committer)]
        assert slow.working.wait(DEADLINE_S)
        for call in calls[1:]:
            before = waiting(committer)
            futures.append(feeders.submit(call, committer))
            while waiting(committer) == before:
                assert not futures[-1].done(), futures[-1].result()
        slow.go_on.set()
        return [future.exception(DEADLINE_S) or future.result() for future in futures]


def waiting(committer: SharedCommitter) -> int:
    return committer._thread._work_queue.qsize()  # type: ignore[attr-defined]


def test_commits_that_wait_go_together_when_their_turn_comes() -> None:
    slow = Slow()
    outcomes = while_busy(slow, [lambda c, n=name: c.commit(request(n)) for name in NAMES])  # type: ignore[misc]
    assert slow.groups == [["a"], ["b", "c", "d"]]
    assert [outcome.snapshot for outcome in outcomes] == [1, 2, 2, 2]


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for() -> None:
    slow = Slow()
    calls: list[Callable[[SharedCommitter], Any]] = [
        lambda c: c.commit(request(NAMES[0])),
        lambda c: c.transform(pending(NAMES[1])),
        lambda c: c.read_back("x"),
        lambda c: c.commit(request(NAMES[2])),
        lambda c: c.transform(pending(NAMES[3])),
    ]
    while_busy(slow, calls)
    assert slow.groups == [["a"], ["dbt b", "dbt d"], ["read back x"], ["c"]]


def test_an_error_is_the_answer_of_its_stream_alone() -> None:
    slow = Slow()
    slow.fails = {"c"}
    outcomes = while_busy(slow, [lambda c, n=name: c.commit(request(n)) for name in NAMES])  # type: ignore[misc]
    assert [isinstance(outcome, CatalogError) for outcome in outcomes] == [False, False, True, False]


def test_what_breaks_a_group_reaches_everybody_in_it_and_the_committer_works_on() -> None:
    slow = Slow()
    slow.go_on.set()
    with shared(slow) as committer:  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="a fault of ours"):
            committer.advance(pending(NAMES[0]))
        assert committer.commit(request(NAMES[1])) == Landed(snapshot=1)


def test_the_work_is_counted() -> None:
    slow = Slow()
    with shared(slow) as committer:  # type: ignore[arg-type]
        assert committer.work.seconds == 0
        slow.go_on.set()
        committer.commit(request(NAMES[0]))
        committer.transform(pending(NAMES[0]))
        work = committer.work
    assert (work.commits, work.snapshots, work.transforms, work.dbt_runs) == (1, 1, 1, 1)
    assert 0 <= work.busy_s <= work.seconds + 0.001


def _never() -> None:
    raise AssertionError("nobody was impatient")


def test_reports_come_in_the_streams_order_and_nothing_begins_after_the_stop() -> None:
    stopped = Event()

    def feed_one(stream: StreamName) -> StreamReport:
        stopped.set()
        return StreamReport(stream=stream, status=StreamStatus.OK)

    names = [StreamName("shop", f"s{number}") for number in range(40)]
    reports = run_feeds(names, feed_one=feed_one, stop=stopped.is_set, leave_at_once=_never)
    assert [report.stream for report in reports] == names
    assert {report.status for report in reports} == {StreamStatus.OK, StreamStatus.INTERRUPTED}


def test_no_stream_is_no_report() -> None:
    one = lambda stream: StreamReport(stream=stream, status=StreamStatus.OK)  # noqa: E731
    assert run_feeds([], feed_one=one, stop=bool, leave_at_once=_never) == []
