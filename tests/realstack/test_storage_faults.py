"""The object store fails while a feed works: nothing is lost, and no failed listing means "no files" (P3, P6, P15)."""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest

from lakeray.adapters.storage.object_store import open_store
from tests.realstack.proxy import Faults, Proxy
from tests.realstack.results import Results
from tests.realstack.stack import Contents, RealLake, Stack, assert_ended_typed, errors_of
from tests.support.real.disk import tiny
from tests.support.real.processes import lakeray

DBT = Path(__file__).parents[2] / "dbt"
EVENTS = {"listing": "executor_chosen", "validation": "stream_planned", "dbt": "batch_committed"}
"""What a feed logs before it lists for the last time, before it validates, and before it runs dbt."""


def test_a_storage_that_errs_and_recovers_costs_nothing_but_time(
    stack: Stack, undisturbed: Contents, results: Results, s3_proxy: Proxy
) -> None:
    lake = behind(s3_proxy, stack)
    with results.trial("503, resets and cut-off bodies together", "the first 12 requests") as row:
        s3_proxy.faults = Faults(slow_down=4, reset_requests=4, truncate=4)
        with lake.feed() as feed:
            ran = feed.end()
        assert ran.code == 0, ran.err
        assert s3_proxy.faults.used == 12
        results.same(row, lake, undisturbed)


def test_a_listing_that_is_denied_is_never_an_empty_one(stack: Stack, results: Results, s3_proxy: Proxy) -> None:
    assert_no_listing_is_no_files(403, stack, results, s3_proxy)


@pytest.mark.long
def test_a_listing_that_fails_for_ever_is_never_an_empty_one(stack: Stack, results: Results, s3_proxy: Proxy) -> None:
    assert_no_listing_is_no_files(503, stack, results, s3_proxy)


def test_dbt_reads_a_batch_of_small_files_once_however_often_its_models_do(stack: Stack, s3_proxy: Proxy) -> None:
    lake = behind(s3_proxy, stack)
    with lake.feed() as feed:
        assert feed.end().code == 0
    read = Counter(line for line in s3_proxy.faults.asked if line.startswith(b"GET") and b"/raw-" in line)
    files = {line: times for line, times in read.items() if b".parquet" in line}
    assert len(files) == 24
    assert max(files.values()) <= 4, files  # validation: the footer and DuckDB's; dbt: its footer and its columns


def test_a_wrong_key_a_wrong_bucket_and_a_wrong_address_are_told_apart(stack: Stack) -> None:
    lake = stack.lake(streams=["klaviyo/lists"], sample=("sample.days=1", "sample.files_per_day=1"))
    for word, kind in (
        ("storage.secret_access_key=nobody-gave-this-away", "storage_refused"),
        ("storage.url=s3://nobody-has-this/raw", "not_there"),
        ("storage.endpoint_url=http://127.0.0.1:1", "storage_address"),
    ):
        ran = lakeray("plan", *lake.settings, word, "storage.timeout_s=3")
        (error,) = ran.document["errors"]
        assert (ran.code, error["kind"]) == (1, kind), error
        assert "storage." in error["todo"], error


@pytest.mark.parametrize("after", ["day=05", "day=05/", "day=05/part_0.parquet", "day=04/part_9.parquet", "day=13"])
def test_a_listing_after_a_name_shows_all_that_sorts_after_it(after: str, stack: Stack) -> None:
    services, month = stack.state, "klaviyo/lists/year=2026/month=01/"
    lake = stack.lake(streams=["klaviyo/lists"])
    store = open_store(
        f"s3://landing/raw-{lake.number}",
        endpoint_url=services.s3_endpoint,
        region="us-east-1",
        access_key_id=services.s3_access_key_id,
        secret_access_key=services.s3_secret_access_key,
    )
    found = [file.key for file in store.list_files(month, start_after=month + after)]
    assert found == sorted(key for key in lake.objects() if key > month + after)


def assert_no_listing_is_no_files(status: int, stack: Stack, results: Results, s3_proxy: Proxy) -> None:
    lake = behind(s3_proxy, stack)
    with results.trial(f"{status} without end", "listing"):
        s3_proxy.faults = Faults(slow_down=1_000_000, status=status, only=b"list-type")
        with lake.feed() as feed:
            ran = feed.end()
        assert ran.code == 1, ran.out
        kind = "storage_refused" if status == 403 else "storage"
        assert {error["kind"] for error in errors_of(ran)} == {kind}
        assert [item["status"] for item in ran.document["streams"]] == ["failed", "failed"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "faults"),
    [
        ("503 SlowDown", {"slow_down": 5}),
        ("connections reset", {"reset_requests": 5}),
        ("bodies cut off", {"truncate": 5}),
        ("503 SlowDown, many", {"slow_down": 60}),
        ("connections reset, many", {"reset_requests": 60}),
        ("bodies cut off, many", {"truncate": 60}),
    ],
)
@pytest.mark.parametrize("step", EVENTS)
def test_a_storage_that_errs_while_a_feed_works(
    step: str,
    fault: str,
    faults: dict[str, int],
    stack: Stack,
    undisturbed: Contents,
    results: Results,
    s3_proxy: Proxy,
) -> None:
    lake = behind(s3_proxy, stack)
    with results.trial(fault, step) as row:
        with lake.feed() as feed:
            feed.until_event(EVENTS[step])
            s3_proxy.faults = Faults(**faults)
            assert_ended_typed(feed.end())
        s3_proxy.heal()
        assert lake.doctor() == []
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("step", EVENTS)
def test_all_connections_to_the_storage_reset_at_once(
    step: str, stack: Stack, undisturbed: Contents, results: Results, s3_proxy: Proxy
) -> None:
    lake = behind(s3_proxy, stack)
    with results.trial("all storage connections reset", step) as row:
        with lake.feed() as feed:
            feed.until_event(EVENTS[step])
            s3_proxy.reset_all()
            assert_ended_typed(feed.end())
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("step", EVENTS)
def test_seaweedfs_paused_for_twenty_seconds(
    step: str, servers: Stack, undisturbed: Contents, results: Results
) -> None:
    lake = servers.lake()
    with results.trial("SeaweedFS stopped for 20 s (SIGSTOP)", step) as row:
        with lake.feed() as feed:
            feed.until_event(EVENTS[step])
            servers.pause_seaweedfs()
            resume = threading.Timer(20, servers.resume_seaweedfs)
            resume.start()
            assert_ended_typed(feed.end())
            resume.join()
        assert lake.doctor() == []
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.parametrize("step", EVENTS)
def test_seaweedfs_killed_and_started_again(step: str, servers: Stack, undisturbed: Contents, results: Results) -> None:
    lake = servers.lake()
    with results.trial("SeaweedFS killed and started again", step) as row:
        with lake.feed() as feed:
            feed.until_event(EVENTS[step])
            servers.kill_seaweedfs()
            feed.ends_within(5)
            servers.start_seaweedfs()
            assert_ended_typed(feed.end())
        assert lake.doctor() == []
        lake.fed()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_slow_storage_changes_nothing(stack: Stack, undisturbed: Contents, results: Results, s3_proxy: Proxy) -> None:
    lake = behind(s3_proxy, stack)
    with results.trial("slow storage (30 ms a packet)", "the whole feed") as row:
        s3_proxy.faults = Faults(delay_s=0.03)
        lake.fed()
        s3_proxy.heal()
        results.same(row, lake, undisturbed)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_full_disk_under_dbt_fails_the_stream_and_nothing_else(
    stack: Stack, results: Results, tmp_path: Path
) -> None:
    big = ("sample.days=2", "sample.files_per_day=2", "sample.syncs_per_day=1", "sample.rows_per_file=20000")
    wanted_lake = stack.lake(streams=["klaviyo/events"], sample=big)
    lake = stack.lake(streams=["klaviyo/events"], sample=big)
    memory = ("batch.memory_bytes=150MB", "batch.oversize=spill")
    with results.trial("disk full", "dbt's temporary folder") as row:
        # A model that sorts whole rows, in little memory: it must spill, and there is no room to spill to.
        with tiny(stack.root / "tmp"), lake.feed(*memory, f"dbt.project_dir={sorting(tmp_path)}") as feed:
            ran = feed.end()
        assert ran.code == 1, ran.out
        assert_ended_typed(ran)
        assert all("Free the disk" in error["todo"] for error in errors_of(ran)), errors_of(ran)
        assert lake.doctor() == []
        lake.fed()
        wanted_lake.fed()
        results.same(row, lake, wanted_lake.contents())


def sorting(folder: Path) -> Path:
    """The dbt project with a model of events that sorts them."""
    project = folder / "dbt"
    shutil.copytree(DBT, project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models" / "processed" / "klaviyo" / "int_klaviyo__events.sql"
    model.write_text(model.read_text() + "order by attributes::varchar, id\n")
    return project


def behind(proxy: Proxy, stack: Stack) -> RealLake:
    """A lake whose commands reach the storage through the proxy."""
    lake = stack.lake()
    lake.s3_port = proxy.port
    return lake
