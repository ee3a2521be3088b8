"""Postgres fails while a feed works: landed, refused or read back, never in doubt (P7, P8, P9, P15)."""

from __future__ import annotations

import threading

import pytest

from tests.realstack.proxy import Faults, Proxy, committing
from tests.realstack.results import Results
from tests.realstack.stack import Contents, RealLake, Stack, assert_ended_typed, until

REGISTERS = b"klaviyo/lists: 6 file(s)"
"""What the DuckLake snapshot of a batch says of itself; others are named below."""
SNAPSHOTS = {
    "the landing table": b"create stg_klaviyo__lists",
    "a batch": REGISTERS,
    "dbt's merge": b"inserted_into_table",
    "the mark": b"klaviyo/lists: transformed through",
    "the removal": b"klaviyo/lists: retention",
}


def test_a_commit_that_is_cut_off_before_or_after_it_lands_is_taken_in_once(
    stack: Stack, undisturbed: Contents, results: Results, postgres_proxy: Proxy
) -> None:
    lake = behind(postgres_proxy, stack)
    with results.trial("Postgres connection reset at COMMIT", "a batch, both sides, one lake", times=2) as row:
        for after in (False, True):
            postgres_proxy.faults = Faults(cut_at=committing(REGISTERS), cut_after=after)
            with lake.feed("feed.max_batches=1") as feed:
                assert_ended_typed(feed.end())
            assert postgres_proxy.faults.used == 1
        postgres_proxy.heal()
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("what", SNAPSHOTS)
def test_a_snapshot_cut_off_at_its_commit_is_there_once(
    what: str, after: bool, stack: Stack, undisturbed: Contents, results: Results, postgres_proxy: Proxy
) -> None:
    lake = behind(postgres_proxy, stack)
    where = f"{what}, {'after it landed, before the answer' if after else 'before it is sent'}"
    with results.trial("Postgres connection reset at COMMIT", where) as row:
        postgres_proxy.faults = Faults(cut_at=committing(SNAPSHOTS[what]), cut_after=after)
        with lake.feed() as feed:
            assert_ended_typed(feed.end())
        assert postgres_proxy.faults.used == 1
        assert lake.doctor() == []
        postgres_proxy.heal()
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("event", ["executor_chosen", "stream_planned", "batch_committed", "batch_transformed"])
def test_all_connections_reset_at_once(
    event: str, stack: Stack, undisturbed: Contents, results: Results, postgres_proxy: Proxy
) -> None:
    lake = behind(postgres_proxy, stack)
    with results.trial("all Postgres connections reset", f"after {event}") as row:
        with lake.feed() as feed:
            feed.until_event(event)
            postgres_proxy.reset_all()
            assert_ended_typed(feed.end())
        assert lake.doctor() == []
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("mode", ["fast", "immediate"])
@pytest.mark.parametrize("event", ["executor_chosen", "stream_planned", "batch_committed", "batch_transformed"])
def test_postgres_restarted_while_a_feed_works(
    event: str, mode: str, servers: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = servers.lake()
    with results.trial(f"Postgres restarted ({mode})", f"after {event}") as row:
        with lake.feed() as feed:
            feed.until_event(event)
            servers.stop_postgres(mode=mode)
            servers.start_postgres()
            assert_ended_typed(feed.end())
        assert lake.doctor() == []
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
def test_postgres_restarted_between_the_writes_of_a_batch_and_its_commit(
    servers: Stack, undisturbed: Contents, results: Results, postgres_proxy: Proxy
) -> None:
    lake = behind(postgres_proxy, servers)
    reached = threading.Event()
    wanted = committing(REGISTERS)

    def hold(sent: bytes) -> bool:
        if wanted(sent) and not reached.is_set():
            postgres_proxy.faults.stalled = True
            reached.set()
        return False

    with results.trial("Postgres restarted (fast)", "while a COMMIT is on its way") as row:
        postgres_proxy.faults = Faults(cut_at=hold)
        with lake.feed() as feed:
            until(reached.is_set, what="a COMMIT is sent")
            servers.stop_postgres()
            servers.start_postgres()
            postgres_proxy.heal()
            assert_ended_typed(feed.end())
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
def test_postgres_down_is_a_typed_error_of_every_command(servers: Stack, results: Results) -> None:
    lake = servers.lake()
    lake.fed()
    servers.stop_postgres()
    with results.trial("Postgres down", "feed, status, plan, why, doctor, clean, enrich"):
        for words in (
            ("feed",),
            ("status",),
            ("plan",),
            ("why", "klaviyo/lists/x"),
            ("doctor",),
            ("clean",),
            ("enrich",),
        ):
            ran = lake.run(*words)
            assert ran.code == 1, (words, ran.err)
            assert "Traceback" not in ran.err, ran.err
            assert servers.state.postgres_password not in ran.out + ran.err


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_slow_postgres_changes_nothing(
    stack: Stack, undisturbed: Contents, results: Results, postgres_proxy: Proxy
) -> None:
    lake = behind(postgres_proxy, stack)
    with results.trial("slow Postgres (5 ms a packet)", "the whole feed") as row:
        postgres_proxy.faults = Faults(delay_s=0.005)
        lake.fed()
        postgres_proxy.heal()
        results.same(row, lake, undisturbed)


def behind(proxy: Proxy, stack: Stack) -> RealLake:
    """A lake whose commands reach Postgres through the proxy."""
    lake = stack.lake()
    lake.postgres_port = proxy.port
    return lake
