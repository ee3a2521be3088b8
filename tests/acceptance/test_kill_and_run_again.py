"""kill -9 at any moment of a feed, run it again: the same tables, row for row, nothing twice (P3, P7, P9, P12, P15)."""

from __future__ import annotations

import random
import signal
import tempfile
from pathlib import Path
from uuid import uuid4

import pytest

from tests.acceptance.fed import STREAM, Fed
from tests.support.real.lake import Lake
from tests.support.real.processes import Running, lakeray, wait_until_gone

pytestmark = pytest.mark.timeout(900)
MOMENTS = ("executor_chosen", "landing_changed", "stream_planned", "batch_committed", "batch_transformed")
"""The line of the first such event is the last that a process lives to write: it dies in the step after it."""


def assert_as_never_killed(lake: Lake, never_killed: Lake) -> None:
    keys = lake.ledger_keys()
    assert keys == sorted(set(keys)) == sorted(lake.objects())
    paths = lake.query(
        "SELECT data_file FROM ducklake_list_files('lakehouse', 'stg_klaviyo__events', schema => 'staging')"
    )
    assert len(paths) == len(set(paths))
    found, wanted = lake.contents(), never_killed.contents()
    assert found.keys() == wanted.keys()
    for name, rows in wanted.items():
        assert found[name] == rows, name
    doctor = lake.run("doctor", f"+stream={STREAM}")
    assert doctor.document["findings"] == []


def test_a_feed_killed_after_each_step_and_run_again_makes_the_same_tables(
    fed: Fed, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=fed.lake.raw)
    for event in MOMENTS:
        with Running(lake, *fed.command) as feed:
            assert feed.until_event(event), (event, "".join(feed.lines))
            feed.kill()
    with Running(lake, *fed.command) as feed:
        assert feed.until_line(random.Random(1).randint(3, 6)), "".join(feed.lines)
        feed.kill()
    last = lake.ok(*fed.command)
    assert last.stream(STREAM)["status"] == "ok"
    assert_as_never_killed(lake, fed.lake)
    assert lake.ok(*fed.command).stream(STREAM)["status"] == "nothing_new"


@pytest.mark.parametrize("point", ["after_remove", "before_expire", "after_expire", "after_originals"])
def test_a_feed_killed_in_its_clean_up_is_ended_by_one_with_nothing_new(
    point: str, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    amount = ("sample.days=10", "sample.files_per_day=1", "sample.syncs_per_day=1", "sample.rows_per_file=8")
    lake.ok("sample", f"+stream={STREAM}", *amount)
    command = ("feed", f"+stream={STREAM}", "retention.snapshot_days=0")
    with Running(lake, *command, environment={"LAKERAY_FAULT": point}) as feed:
        assert feed.end().code == -signal.SIGKILL, "".join(feed.lines)
    assert len(lake.objects()) == 10
    assert lake.ok(*command).stream(STREAM)["status"] == "nothing_new"
    assert len(lake.objects()) == 8
    lake.ok("doctor", f"+stream={STREAM}")
    assert lake.ok(*command).events == []


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_two_thousand_files_and_twenty_kills_at_random_moments_make_the_same_tables(
    seed: int, tmp_path: Path, extension_directory: Path
) -> None:
    never_killed = Lake.new(tmp_path / "never_killed", extensions=extension_directory)
    amount = ("sample.days=20", "sample.files_per_day=100", "sample.rows_per_file=8")
    never_killed.ok("sample", f"+stream={STREAM}", *amount)
    command = ("feed", f"+stream={STREAM}", "batch.max_files=50")
    never_killed.ok(*command)
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=never_killed.raw)
    chance = random.Random(seed)
    for kills in range(20):
        with Running(lake, *command) as feed:
            # Any line of a process's life, and any moment before the next line.
            reached = feed.until_line(chance.randint(1, 6)) and not feed.ends_within(chance.uniform(0, 1))
            assert reached, f"the feed came to its end after {kills} kills"
            feed.kill()
    lake.ok(*command)
    assert_as_never_killed(lake, never_killed)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("event", ["executor_chosen", "batch_committed", "batch_transformed"])
def test_a_feed_killed_on_ray_leaves_no_process_and_another_makes_the_same_tables(
    event: str, fed: Fed, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=fed.lake.raw)
    mark = f"lakeray-test-{uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="lakeray-") as short:  # where Ray's sockets are: a path of few bytes
        environment = {"LAKERAY_TEST_MARK": mark, "TMPDIR": short}
        with Running(lake, *fed.command, "feed.executor=ray", "ray.num_cpus=2", environment=environment) as feed:
            assert feed.until_event(event), "".join(feed.lines)
            feed.kill()
        next_one = lakeray(*fed.command, *lake.settings, "lake.lease_wait_s=120")
        assert next_one.code == 0, next_one.err
        wait_until_gone(mark)
    assert_as_never_killed(lake, fed.lake)
