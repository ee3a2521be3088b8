"""One committer (P10): two feeds at once, one that is stopped, one whose host is gone. Readers need no lease."""

from __future__ import annotations

import pytest

from lakeray.values.faults import FaultPoint
from tests.realstack.network import FarHost
from tests.realstack.results import Results
from tests.realstack.stack import Contents, Feed, RealLake, Stack, errors_of, until
from tests.support.real.lake import events_of

QUICK = ("lake.lease_heartbeat_s=0.3", "lake.lease_timeout_s=3")
"""The server ends a silent session soon: what is awaited is a state, never that time."""
SLOW = ("lake.lease_heartbeat_s=0.3", "lake.lease_timeout_s=900")
"""The server ends no session while a test lasts."""
STOPPED = "T"
WITH_LOCKS = FaultPoint.BEFORE_COMMIT
"""All rows of the commit are written and locked, COMMIT is not sent."""
SAMPLE_OF_STOPS = (WITH_LOCKS, FaultPoint.AFTER_REGISTER)


def test_a_second_feed_names_the_first_and_readers_need_no_lease(stack: Stack) -> None:
    lake = stack.lake()
    with lake.feed() as first:
        first.until_event("stream_planned")
        first.pause()
        second = lake.run("feed", "lake.lease_wait_s=0")
        assert second.code == 3, second.err
        assert f"process {first.pid}" in second.document["error"]["found"]
        assert "heartbeat" in second.document["error"]["found"]
        assert_readers_work(lake)


@pytest.mark.parametrize("point", SAMPLE_OF_STOPS)
def test_a_stopped_committer_loses_its_lease_by_itself_and_writes_nothing_when_it_wakes(
    point: FaultPoint, stack: Stack, undisturbed: Contents, results: Results
) -> None:
    sleeps_through_the_loss(point, stack, undisturbed, results)


@pytest.mark.long
@pytest.mark.parametrize("point", [point for point in FaultPoint if point not in SAMPLE_OF_STOPS])
def test_a_stopped_committer_writes_nothing_when_it_wakes_wherever_it_slept(
    point: FaultPoint, stack: Stack, undisturbed: Contents, results: Results
) -> None:
    sleeps_through_the_loss(point, stack, undisturbed, results)


@pytest.mark.long
@pytest.mark.parametrize("event", ["landing_changed", "stream_planned", "batch_committed", "batch_transformed"])
def test_a_committer_that_is_stopped_while_it_works_writes_nothing_when_it_wakes(
    event: str, stack: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = stack.lake()
    with results.trial("SIGSTOP, the lease lost to another, SIGCONT", f"after {event}") as row:
        with lake.feed(*QUICK) as sleeper:
            sleeper.until_event(event)
            sleeper.pause()
            wakes_too_late(lake, sleeper)
        results.same(row, lake, undisturbed)


def sleeps_through_the_loss(point: FaultPoint, stack: Stack, undisturbed: Contents, results: Results) -> None:
    lake = stack.lake()
    with results.trial("SIGSTOP, the lease lost to another, SIGCONT", str(point)) as row:
        with lake.feed(*QUICK, fault=f"{point}:1:stop") as sleeper:
            until(lambda: sleeper.state == STOPPED, what="the feed has stopped itself")
            wakes_too_late(lake, sleeper)
        results.same(row, lake, undisturbed)


def wakes_too_late(lake: RealLake, sleeper: Feed) -> None:
    """Another feed gets the lease by waiting, does all the work, and the sleeper finds nothing that it may do."""
    before = wrote(sleeper)
    lake.fed(*QUICK)
    taken_over = lake.snapshots()
    sleeper.go_on()
    late = sleeper.end()
    assert lake.snapshots() == taken_over
    assert wrote(sleeper) == before, late.err
    assert "Traceback" not in late.err, late.err
    assert late.code == 1, late.out + late.err
    assert {error["kind"] for error in errors_of(late)} == {"lease_lost"}, late.out


def test_the_lease_is_broken_only_when_its_holder_does_not_answer(
    stack: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = stack.lake()
    assert lake.run("lease", "break", *SLOW).document == {"taken_from": None, "held_by": None}
    with results.trial("SIGSTOP, lease break, SIGCONT", str(WITH_LOCKS)) as row:
        with lake.feed(*SLOW, fault=f"{WITH_LOCKS}:1:stop") as sleeper:
            until(lambda: sleeper.state == STOPPED, what="the feed has stopped itself")
            broken = lake.run("lease", "break", *SLOW)
            assert broken.code == 0, broken.err
            assert f"process {sleeper.pid}" in broken.document["taken_from"]
            wakes_too_late(lake, sleeper)
        results.same(row, lake, undisturbed)


def test_a_committer_that_hangs_on_its_storage_answers_and_keeps_its_lease(
    servers: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = servers.lake()
    with results.trial("lease break while the storage does not answer", "listing") as row:
        with lake.feed(*QUICK) as feed:
            feed.until_event("landing_changed")
            servers.pause_seaweedfs()
            refused = lake.run("lease", "break", *QUICK)
            assert refused.code == 3, refused.out + refused.err
            assert f"process {feed.pid}" in refused.document["error"]["found"]
            assert lake.run("clean", "lake.lease_wait_s=5", *QUICK).code == 3  # longer than the timeout
            servers.resume_seaweedfs()
            assert feed.end().code == 0, feed.log
        results.same(row, lake, undisturbed)


def test_a_committer_whose_host_is_gone_in_the_middle_of_a_commit_holds_nobody_up(
    far_host: FarHost, undisturbed: Contents, results: Results
) -> None:
    lake = far_host.stack.lake()
    with results.trial("the host of the committer is gone", str(WITH_LOCKS)) as row:
        with far_host.feed(lake, *QUICK, fault=f"{WITH_LOCKS}:1:stop") as gone:
            until(lambda: gone.state == STOPPED, what="the feed has stopped itself")
            far_host.cut()
            gone.kill()  # behind the cut: the server hears nothing of it
            lake.fed(*QUICK)
        results.same(row, lake, undisturbed)


def test_a_committer_that_is_cut_off_and_comes_back_writes_nothing(
    far_host: FarHost, undisturbed: Contents, results: Results
) -> None:
    lake = far_host.stack.lake()
    with results.trial("the network of the committer is cut, and comes back", "after batch_committed") as row:
        with far_host.feed(lake, *QUICK) as cut_off:
            cut_off.until_event("batch_committed")
            far_host.cut()
            lake.fed(*QUICK)
            taken_over = lake.snapshots()
            far_host.heal()
            late = cut_off.end()
            assert lake.snapshots() == taken_over
            assert late.code == 1, late.out + late.err
            assert "Traceback" not in late.err, late.err
            assert {error["kind"] for error in errors_of(late)} <= {"lease_lost", "catalog", "storage"}, late.out
        results.same(row, lake, undisturbed)


def wrote(feed: Feed) -> int:
    """How many commits and merges it says it made."""
    return sum(item["event"] in ("batch_committed", "batch_transformed") for item in events_of(feed.lines))


def assert_readers_work(lake: RealLake) -> None:
    status, plan = lake.run("status"), lake.run("plan")
    why = lake.run("why", sorted(lake.objects())[0])
    assert [ran.code for ran in (status, plan, why)] == [0, 0, 0], (status.err, plan.err, why.err)
    assert all(state["error"] is None for state in status.document["streams"])
