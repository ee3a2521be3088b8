"""One committer (P10): two feeds at once, and one that slept through the loss of its lease. Readers need no lease."""

from __future__ import annotations

import pytest

from tests.realstack.results import Results
from tests.realstack.stack import Contents, Feed, RealLake, Stack, assert_ended_typed, errors_of, until
from tests.support.real.lake import events_of


def test_a_second_feed_names_the_first_and_a_sleeper_that_lost_its_lease_commits_nothing(
    stack: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = stack.lake()
    with results.trial("SIGSTOP, lease lost, SIGCONT", "before a commit") as row:
        with lake.feed() as sleeper:
            sleeper.until_event("stream_planned")
            sleeper.pause()
            second = lake.run("feed", "lake.lease_wait_s=0")
            assert second.code == 3, second.err
            assert f"process {sleeper.pid}" in second.document["error"]["found"]
            assert_readers_work(lake)
            lose_the_lease(lake, sleeper.pid)
            lake.fed()
            sleeper.go_on()
            late = sleeper.end()
        assert late.code == 1, late.err
        assert {error["kind"] for error in errors_of(late)} == {"lease_lost"}, late.out
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("event", ["landing_changed", "batch_committed", "batch_transformed"])
def test_a_sleeper_that_lost_its_lease_commits_nothing_wherever_it_slept(
    event: str, stack: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = stack.lake()
    with results.trial("SIGSTOP, lease lost, SIGCONT", f"after {event}") as row:
        with lake.feed() as sleeper:
            sleeper.until_event(event)
            sleeper.pause()
            lose_the_lease(lake, sleeper.pid)
            end_what_waits_in_a_transaction(lake)
            before = wrote(sleeper)
            lake.fed()
            sleeper.go_on()
            late = sleeper.end()
            assert wrote(sleeper) == before, late.err
        # One that slept before it planned may find that nothing is left to do.
        assert_ended_typed(late)
        assert {error["kind"] for error in errors_of(late)} <= {"lease_lost", "catalog"}, late.out
        results.same(row, lake, undisturbed)


def wrote(feed: Feed) -> int:
    """How many commits and merges it says it made."""
    return sum(item["event"] in ("batch_committed", "batch_transformed") for item in events_of(feed.lines))


def assert_readers_work(lake: RealLake) -> None:
    status, plan = lake.run("status"), lake.run("plan")
    why = lake.run("why", sorted(lake.objects())[0])
    assert [ran.code for ran in (status, plan, why)] == [0, 0, 0], (status.err, plan.err, why.err)
    assert all(state["error"] is None for state in status.document["streams"])


def lose_the_lease(lake: RealLake, pid: int) -> None:
    """End the sleeper's lease connection, as a network that breaks does."""
    ended = lake.stack.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE %s",
        f"lakeray %process {pid}",
    )
    assert ended == [(True,)]
    until(lambda: lake.run("doctor").document["facts"]["lease"] == "free", what="the lease is free")


def end_what_waits_in_a_transaction(lake: RealLake) -> None:
    """What idle_in_transaction_session_timeout does to a sleeper."""
    lake.stack.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'ducklake' AND pid <> pg_backend_pid()"
    )
