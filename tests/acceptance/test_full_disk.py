"""A disk that fills up is an error that says what to do, never a traceback; with room again, the command goes on."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real.disk import tiny
from tests.support.real.lake import PROJECT, Lake, Ran, plain_environment
from tests.support.real.processes import lakeray

STREAM = "+stream=klaviyo/events"
SAMPLE = ("sample", STREAM, "sample.days=3", "sample.files_per_day=2", "sample.rows_per_file=3000")


@pytest.fixture
def lake(tmp_path: Path, extension_directory: Path) -> Lake:
    return Lake.new(tmp_path / "lake", extensions=extension_directory)


def assert_told(ran: Ran, text: str) -> None:
    assert ran.code == 1, ran.out
    error = ran.document["error"]
    assert error["kind"] == "disk_full" and text in error["found"] and "Make room" in error["todo"], error
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("full", ["tmp", "raw"])
def test_a_sample_on_a_full_disk(full: str, lake: Lake) -> None:
    (lake.root / full).mkdir()
    with tiny(lake.root / full):
        ran = lakeray(*SAMPLE, *lake.settings)
        assert ran.code == 1 and "Traceback" not in ran.err, ran.err
        error = ran.document["error"]
        assert error["kind"] == "disk_full" and "No space left" in error["found"], error
    assert lake.ok(*SAMPLE).document["streams"][0]["written"] == 6


def test_a_feed_whose_lake_is_full_says_so_and_goes_on_when_there_is_room(lake: Lake) -> None:
    feed = ("feed", STREAM, "feed.executor=inline")
    lake.ok(*SAMPLE)
    (lake.root / "lake").mkdir()
    with tiny(lake.root / "lake"):
        (lake.root / "lake" / "ballast").write_bytes(bytes(1_000_000))
        ran = lake.run(*feed)
        error = ran.stream("klaviyo/events")["error"]
        assert (ran.code, error["kind"]) == (1, "disk_full"), error
        assert "No space left" in error["found"] and "Make room" in error["todo"] and "model" not in error["todo"]
    assert lake.ok(*feed).stream("klaviyo/events")["status"] == "ok"


def test_a_sample_whose_files_may_not_grow(lake: Lake) -> None:
    most = 100_000

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = subprocess.run(
        [sys.executable, "-m", "lakeray", *SAMPLE, *lake.settings],
        cwd=PROJECT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited,
    )
    assert_told(Ran(code=done.returncode, out=done.stdout, err=done.stderr), "File too large")
