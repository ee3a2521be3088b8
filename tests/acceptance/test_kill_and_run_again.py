"""kill -9 at any moment of a feed, run it again: the same tables, row for row, nothing twice (P3, P7, P9, P12, P15)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real.lake import Lake, Row
from tests.real.processes import Running

STREAM = "klaviyo/events"
MOMENTS = (
    ("executor_chosen", 1),
    ("landing_changed", 1),
    ("stream_planned", 1),
    ("batch_committed", 1),
    ("batch_transformed", 1),
    ("batch_committed", 2),
)
"""Whose first, or second, line is the last that the process lives to write: so it dies in the step after it."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Raw files, and what a feed that nobody kills makes of them."""

    raw: Path
    feed: tuple[str, ...]
    contents: dict[str, list[Row]]


def sampled(
    folder: Path, extensions: Path, *, days: int, files_per_day: int, max_files: int, rows_per_file: int = 8
) -> Sample:
    """Write the sample and feed it, undisturbed."""
    lake = Lake.new(folder / "never_killed", extensions=extensions)
    plan = (f"sample.days={days}", f"sample.files_per_day={files_per_day}", f"sample.rows_per_file={rows_per_file}")
    lake.ok("sample", f"+stream={STREAM}", *plan)
    feed = ("feed", f"+stream={STREAM}", f"batch.max_files={max_files}")
    lake.ok(*feed)
    return Sample(raw=lake.raw, feed=feed, contents=lake.contents())


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Sample:
    folder = tmp_path_factory.mktemp("kill")
    return sampled(folder, extension_directory, days=10, files_per_day=24, max_files=40)


def assert_as_never_killed(lake: Lake, sample: Sample) -> None:
    keys = lake.ledger_keys()
    assert keys == sorted(set(keys)) == sorted(lake.objects())
    paths = lake.query(
        "SELECT data_file FROM ducklake_list_files('lakehouse', 'stg_klaviyo__events', schema => 'staging')"
    )
    assert len(paths) == len(set(paths))
    found = lake.contents()
    assert found.keys() == sample.contents.keys()
    for name, rows in sample.contents.items():
        assert found[name] == rows, name
    doctor = lake.run("doctor", f"+stream={STREAM}")
    assert doctor.document["findings"] == []


def test_a_feed_killed_after_each_step_and_run_again_makes_the_same_tables(
    sample: Sample, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=sample.raw)
    for event, times in MOMENTS:
        with Running(lake, *sample.feed) as feed:
            assert feed.until_event(event, times=times), (event, "".join(feed.lines))
            feed.kill()
    last = lake.ok(*sample.feed)
    assert last.stream(STREAM)["status"] == "ok"
    assert_as_never_killed(lake, sample)
    assert lake.ok(*sample.feed).stream(STREAM)["status"] == "nothing_new"


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_two_thousand_files_and_twenty_kills_at_random_moments_make_the_same_tables(
    seed: int, tmp_path: Path, extension_directory: Path
) -> None:
    sample = sampled(tmp_path, extension_directory, days=20, files_per_day=100, max_files=50)
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory, raw=sample.raw)
    chance = random.Random(seed)
    kills = 0
    while kills < 20:
        with Running(lake, *sample.feed) as feed:
            # Any line of a process's life, and any moment before the next line.
            if not feed.until_line(chance.randint(1, 7)) or feed.ends_within(chance.uniform(0, 1)):
                assert feed.end().code == 0, "".join(feed.lines)
                break
            feed.kill()
            kills += 1
    assert kills == 20, "the feed came to its end too soon: the kills say nothing"
    lake.ok(*sample.feed)
    assert_as_never_killed(lake, sample)
