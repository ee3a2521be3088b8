"""kill -9 of what a feed on Ray consists of; the next feed ends the work: the same tables (P9, P10, P15)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.realstack.results import Results
from tests.realstack.stack import Contents, Feed, Stack, assert_ended_typed, until

WORKER = ("ray::_validate", "ray::IDLE")


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Where Ray keeps its session; killed, it leaves it behind. A short path: there are Unix sockets in it."""
    folder = Path(tempfile.mkdtemp(prefix="lr"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("victim", "titles"),
    [
        ("a Ray worker", WORKER),
        ("a feeder actor", ("ray::_FeederActor",)),
        ("the committer actor", ("ray::_CommitterActor",)),
        ("the raylet", ("raylet",)),
    ],
    ids=["worker", "feeder", "committer", "raylet"],
)
@pytest.mark.parametrize("event", ["stream_planned", "batch_committed"])
def test_a_killed_part_of_ray_costs_at_most_a_second_feed(
    victim: str,
    titles: tuple[str, ...],
    event: str,
    stack: Stack,
    undisturbed: Contents,
    results: Results,
    ray_folder: Path,
) -> None:
    lake = stack.lake()
    with results.trial(f"kill -9 of {victim}", f"after {event}") as row:
        on_ray = ("feed.executor=ray", "ray.num_cpus=2", "batch.max_files=2")
        with lake.feed(*on_ray, environment={"TMPDIR": str(ray_folder)}) as feed:
            feed.until_text(f'"event": "{event}"', deadline_s=300)
            family = psutil.Process(feed.pid).children(recursive=True)
            try:
                killed = until(lambda: kill_one(feed, titles), what=f"there is {victim}")
                ran = feed.end()
            finally:
                end(family + killed_family(feed))
        assert killed
        if victim != "the raylet":  # with it dies the driver's own half of Ray, in Ray's own way
            assert_ended_typed(ran)
        lake.fed()
        results.same(row, lake, undisturbed)


def kill_one(feed: Feed, titles: tuple[str, ...]) -> bool:
    """Kill a process of the feed by what it calls itself; those named first, first."""
    family = psutil.Process(feed.pid).children(recursive=True)
    for title in titles:
        for process in family:
            if title in _title(process):
                process.kill()
                return True
    return False


def killed_family(feed: Feed) -> list[psutil.Process]:
    """What the feed still has below it."""
    try:
        return psutil.Process(feed.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end(family: list[psutil.Process]) -> None:
    """End what lives on; psutil knows a pid that has become another process."""
    for process in family:
        try:
            if process.is_running():
                process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=20)


def _title(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    return words[0] if words else ""
