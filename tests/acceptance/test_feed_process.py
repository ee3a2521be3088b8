"""``lakeray feed`` as a process: beside readers, beside another feed, run again, interrupted, and on Ray."""

from __future__ import annotations

import signal
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.fed import FILES, STREAM, Fed
from tests.support.real.lake import Lake
from tests.support.real.parquet import record, write
from tests.support.real.processes import Running, lakeray, wait_until_gone

pytestmark = pytest.mark.timeout(900)
"""Generous, for a machine that does much else; every process ends or is killed long before."""
REPORT = {"source", "stream", "status", "batches", "files", "bytes", "rows", "quarantined", "seconds", "error"}
STATE = {
    "source", "stream", "cursor_path", "pending_files", "pending_bytes", "registered_files", "registered_snapshot",
    "transformed_snapshot", "lag_seconds", "quarantined", "too_late", "last_batch",
}  # fmt: skip


def test_a_feed_reports_every_stream_as_the_interface_says(fed: Fed) -> None:
    assert fed.feed.code == 0, fed.feed.err
    report = fed.feed.stream(STREAM)
    assert report.keys() >= REPORT
    assert (report["status"], report["files"], report["batches"], report["error"]) == ("ok", FILES, 5, None)
    assert report["rows"] == sum(rows for (rows,) in fed.lake.query("SELECT row_count FROM lakehouse.meta.ledger"))


def test_a_feed_takes_every_file_in_once(fed: Fed) -> None:
    assert fed.lake.ledger_keys() == sorted(fed.lake.objects())
    ids = fed.lake.landing(STREAM, "_airbyte_raw_id")
    assert len(ids) == len(set(ids))
    keys = fed.lake.processed(STREAM, "id")
    assert len(keys) == len(set(keys))


def test_status_answers_at_any_moment_of_a_feed(fed: Fed) -> None:
    assert len(fed.statuses) >= 3
    assert [ran.code for ran in fed.statuses] == [0] * len(fed.statuses), [ran.err for ran in fed.statuses]
    states = [ran.stream(STREAM) for ran in fed.statuses]
    assert all(state.keys() >= STATE and state["error"] is None for state in states)
    taken_in = [state["registered_files"] for state in states]
    assert taken_in == sorted(taken_in)
    assert (taken_in[0], taken_in[-1]) == (0, FILES)
    assert (states[0]["pending_files"], states[-1]["pending_files"]) == (FILES, 0)
    assert states[-1]["transformed_snapshot"] == states[-1]["registered_snapshot"]


def test_a_second_feed_at_once_leaves_the_first_alone_and_names_it(fed: Fed) -> None:
    assert fed.beside.code == 3, fed.beside.err
    assert f"process {fed.pid}" in fed.beside.err
    assert f"process {fed.pid}" in fed.beside.document["error"]["found"]


def test_a_feed_with_nothing_new_says_so_and_starts_neither_ray_nor_dbt(fed: Fed) -> None:
    before = fed.lake.contents()
    snapshots = fed.lake.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()")
    settings = (*fed.command, *fed.lake.settings, "feed.executor=ray")
    again = lakeray(*settings, python=("-X", "importtime"))
    assert again.code == 0
    zeros = dict.fromkeys(("batches", "files", "bytes", "rows", "quarantined", "seconds"), 0)
    assert again.stream(STREAM).items() >= {"status": "nothing_new", **zeros, "error": None}.items()
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in again.err.splitlines() if "|" in line}
    assert "duckdb" in imported  # the import trace is what it is taken for
    assert imported.isdisjoint({"ray", "dbt"})
    assert fed.lake.contents() == before
    assert fed.lake.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()") == snapshots


def test_an_interrupted_feed_ends_its_commit_and_the_next_one_takes_in_the_rest(
    fed: Fed, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=fed.lake.raw)
    with Running(lake, *fed.command) as feed:
        assert feed.until_event("batch_committed"), "".join(feed.lines)
        feed.interrupt()
        interrupted = feed.end()
    assert interrupted.code == 130, interrupted.err
    assert 0 < len(lake.ledger_keys()) < FILES
    doctor = lakeray("doctor", f"+stream={STREAM}", *lake.settings)
    assert doctor.code == 0, doctor.out
    assert lake.ok(*fed.command).stream(STREAM)["status"] == "ok"
    assert lake.contents() == fed.lake.contents()


def test_a_second_interrupt_ends_it_at_once_and_the_next_feed_takes_in_the_rest(
    fed: Fed, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=fed.lake.raw)
    with Running(lake, *fed.command) as feed:
        assert feed.until_event("batch_committed"), "".join(feed.lines)
        assert not feed.ends_within(1), "dbt takes seconds to start"
        feed.interrupt()
        if not feed.ends_within(0.1):
            feed.interrupt()
        interrupted = feed.end()
    # By the signal itself, which a shell tells as 130, where the second one came after the end of the work.
    assert interrupted.code in (130, -signal.SIGINT), interrupted.err
    assert "Traceback" not in interrupted.err, interrupted.err
    assert lake.ok(*fed.command).stream(STREAM)["status"] == "ok"
    assert lake.contents() == fed.lake.contents()


def test_ray_and_this_process_make_the_same_tables(fed: Fed, tmp_path: Path, extension_directory: Path) -> None:
    lake, mark = (
        Lake.new(tmp_path / "lake", extensions=extension_directory, raw=fed.lake.raw),
        f"lakeray-test-{uuid4().hex}",
    )
    settings = (*fed.command, *lake.settings, "feed.executor=ray", "ray.num_cpus=2")
    on_ray = lakeray(*settings, environment={"LAKERAY_TEST_MARK": mark})
    assert on_ray.code == 0, on_ray.err
    assert {"executor": "ray", "because": "feed.executor says so"}.items() <= on_ray.events[0].items()
    report = {**on_ray.stream(STREAM), "seconds": 0}
    assert report == {**fed.feed.stream(STREAM), "seconds": 0}
    assert lake.contents() == fed.lake.contents()
    wait_until_gone(mark)


def test_a_watching_feed_takes_in_what_arrives_until_it_is_interrupted(
    tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    folder = lake.raw / "klaviyo/lists/year=2026/month=01/day=01"
    write(folder / "part_0.parquet", record("there before"))
    with Running(lake, "feed", "+stream=klaviyo/lists", "feed.watch=true", "feed.poll_s=0.1") as feed:
        assert feed.until_event("batch_transformed"), "".join(feed.lines)
        write(folder / "part_1.parquet", record("came later"))
        assert feed.until_event("batch_transformed"), "".join(feed.lines)
        feed.interrupt()
        ended = feed.end()
    assert ended.code == 130, ended.err
    assert lake.processed("klaviyo/lists", "id") == [("came later",), ("there before",)]
