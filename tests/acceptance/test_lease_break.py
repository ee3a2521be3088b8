"""A feed of an embedded lake that is stopped (SIGSTOP, Ctrl-Z): its lease is broken, and it writes nothing any more."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from lakeray.values.faults import FaultPoint
from tests.support.real.lake import Lake
from tests.support.real.processes import DEADLINE_S, Running, lakeray

STREAM = "klaviyo/lists"
QUICK = (f"+stream={STREAM}", "lake.lease_heartbeat_s=0.2", "lake.lease_timeout_s=1")


@pytest.fixture
def undisturbed(tmp_path: Path, extension_directory: Path) -> Lake:
    """A lake that was fed to its end; the others have its raw files."""
    lake = Lake.new(tmp_path / "undisturbed", extensions=extension_directory)
    amount = ("sample.days=10", "sample.files_per_day=1", "sample.syncs_per_day=1", "sample.rows_per_file=8")
    lake.ok("sample", f"+stream={STREAM}", *amount)
    lake.ok("feed", *QUICK)
    return lake


def until_stopped(feed: Running) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{feed.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "T":
        assert feed.alive and time.monotonic() < deadline_s
        time.sleep(0.02)


def errors(feed_document: dict[str, object]) -> set[str]:
    streams = feed_document["streams"]
    assert isinstance(streams, list)
    return {item["error"]["kind"] for item in streams if item["error"]}


@pytest.mark.parametrize("point", [FaultPoint.AFTER_VALIDATE, FaultPoint.AFTER_TRANSFORM])
def test_the_lease_of_a_stopped_feed_is_broken_and_its_feed_goes_on_without_it(
    point: FaultPoint, undisturbed: Lake, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=undisturbed.raw)
    with Running(lake, "feed", *QUICK, environment={"LAKERAY_FAULT": f"{point}:1:stop"}) as sleeper:
        until_stopped(sleeper)
        held = lakeray("feed", *QUICK, *lake.settings, "lake.lease_wait_s=0")
        assert held.code == 3 and "lease break" in held.document["error"]["todo"], held.err
        broken = lakeray("lease", "break", *QUICK, *lake.settings)
        assert broken.code == 0 and f"process {sleeper.pid}" in broken.document["taken_from"], broken.err
        lake.ok("feed", *QUICK)
        taken_over = lake.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()")
        os.kill(sleeper.pid, signal.SIGCONT)
        late = sleeper.end()
    assert late.code == 1 and errors(late.document) == {"lease_lost"}, late.out + late.err
    assert "Traceback" not in late.err
    assert lake.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()") == taken_over
    assert lake.contents() == undisturbed.contents()
    assert lake.document("doctor", f"+stream={STREAM}")["findings"] == []


def test_a_feed_that_is_stopped_in_the_middle_of_a_commit_must_be_ended_and_says_so(
    undisturbed: Lake, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=undisturbed.raw)
    with Running(lake, "feed", *QUICK, environment={"LAKERAY_FAULT": f"{FaultPoint.BEFORE_COMMIT}:1:stop"}) as sleeper:
        until_stopped(sleeper)
        broken = lakeray("lease", "break", *QUICK, *lake.settings)
        assert broken.code == 1, broken.out + broken.err
        error = broken.document["error"]
        assert error["kind"] == "catalog" and f"process {sleeper.pid}" in error["about"] and "kill -9" in error["todo"]
        sleeper.kill()
    lake.ok("feed", *QUICK)
    assert lake.contents() == undisturbed.contents()
    assert lake.document("doctor", f"+stream={STREAM}")["findings"] == []


def test_the_lease_of_a_feed_that_works_is_not_broken(undisturbed: Lake) -> None:
    assert undisturbed.run("lease", "break", *QUICK).document == {"taken_from": None, "held_by": None}
    wrong = undisturbed.run("lease", "brake", *QUICK)
    assert wrong.code == 2 and "Did you mean break?" in wrong.document["error"]["todo"]
    assert undisturbed.run("lease", *QUICK).code == 2
