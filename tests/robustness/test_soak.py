"""A long life: many small feeds in one process. Nothing may grow but the tables."""

from __future__ import annotations

import gc
import logging
import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

from lakeray import wiring
from lakeray.cli.compose import settings_of
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.parse import parse
from lakeray.run import feed_all
from lakeray.settings.values import Settings
from lakeray.values.events import Event
from lakeray.values.model import StreamStatus
from tests.support.real.lake import Lake, plain_environment
from tests.support.real.parquet import START, record, write

STREAMS = ("klaviyo/metrics", "klaviyo/lists", "klaviyo/flows")
FEEDS_PER_DAY = 4
"""The files' day moves on, so that clean-up has its part: landing and snapshots stay as many as they are."""
IDS = 40


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The process and the lake after one feed."""

    seconds: float
    """Of processor time: the machine may have other work."""
    rss_bytes: int
    descriptors: int
    threads: int
    objects: int
    log_handlers: int
    temporary_files: int


class Quiet:
    """An event sink that keeps nothing."""

    def emit(self, event: Event) -> None:
        """Take one event."""


class Soak:
    """Feeds of one process on one lake, and what must be in the tables after them."""

    def __init__(self, lake: Lake, settings: Settings) -> None:
        self.lake = lake
        self.settings = settings
        self.wanted: dict[str, dict[str, str]] = {stream: {} for stream in STREAMS}
        self._dice = random.Random(7)
        self._hours = 0

    def round(self, number: int) -> Measure:
        """Let 1 to 3 files arrive, feed, and measure."""
        day = START + timedelta(days=number // FEEDS_PER_DAY)
        for part in range(self._dice.randint(1, 3)):
            self._arrive(self._dice.choice(STREAMS), f"{day:year=%Y/month=%m/day=%d}/part_{number}_{part}.parquet")
        started = time.process_time()
        with wiring.opened(self.settings, events=Quiet()) as app:
            report = feed_all(app, stop=StopFlag())
        seconds = time.process_time() - started
        assert not report.failed, [(str(item.stream), item.error) for item in report.streams]
        assert any(item.status is StreamStatus.OK for item in report.streams)
        return self._measure(seconds)

    def _arrive(self, stream: str, name: str) -> None:
        rows = []
        for _ in range(self._dice.randint(1, 5)):
            self._hours += 1
            key, kind = f"id{self._dice.randrange(IDS)}", f"change {self._hours}"
            rows.append(record(key, kind, hour=self._hours))
            self.wanted[stream][key] = kind
        write(self.lake.raw / stream / name, *rows)

    def _measure(self, seconds: float) -> Measure:
        gc.collect()
        process = psutil.Process()
        loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
        return Measure(
            seconds=seconds,
            rss_bytes=process.memory_info().rss,
            descriptors=process.num_fds(),
            threads=process.num_threads(),
            objects=len(gc.get_objects()),
            log_handlers=sum(len(getattr(logger, "handlers", ())) for logger in loggers),
            temporary_files=sum(1 for path in (self.lake.root / "tmp").rglob("*") if path.is_file()),
        )

    def tables(self) -> dict[str, dict[str, str]]:
        """The newest record of every id, as the processed tables have it."""
        return {
            stream: dict(self.lake.query(f"SELECT id, type FROM lakehouse.main.int_{stream.replace('/', '__')}"))
            for stream in STREAMS
        }


@pytest.fixture
def soak(tmp_path: Path, extension_directory: Path) -> Iterator[Soak]:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    words = [f"+stream=[{','.join(STREAMS)}]", *lake.settings, "retention.snapshot_days=0", "feed.executor=inline"]
    with patch.dict(os.environ, plain_environment(), clear=True):
        yield Soak(lake, settings_of(parse(["feed", *words])))


def thirds(values: list[float]) -> list[float]:
    """The medians of the first and of the last third: one reading of a pool's threads says little."""
    third = len(values) // 3
    return [statistics.median(values[:third]), statistics.median(values[-third:])]


def slope(values: list[float]) -> float:
    """Growth per feed: the median of the slopes between points of the first and of the last third."""
    third = len(values) // 3
    gap = len(values) - third
    return statistics.median((values[at + gap] - values[at]) / gap for at in range(third))


def told(measures: list[Measure]) -> dict[str, Any]:
    """What is compared, and what a failure shows."""
    return {
        "feeds": len(measures),
        "seconds, first and last third": [round(value, 3) for value in thirds([m.seconds for m in measures])],
        "kB of memory per feed": round(slope([m.rss_bytes / 1000 for m in measures]), 1),
        "objects per feed": round(slope([m.objects for m in measures]), 1),
        "descriptors": [measures[0].descriptors, measures[-1].descriptors],
        "threads, first and last third": thirds([m.threads for m in measures]),
        "log handlers": [measures[0].log_handlers, measures[-1].log_handlers],
        "temporary files": [measures[0].temporary_files, measures[-1].temporary_files],
        "MB of memory": [measures[0].rss_bytes // 10**6, measures[-1].rss_bytes // 10**6],
    }


def assert_nothing_grew(measures: list[Measure], *, kilobytes_per_feed: float) -> None:
    """Compare the end with the time after the warm-up."""
    seen = told(measures)
    first, last = measures[0], measures[-1]
    assert seen["kB of memory per feed"] < kilobytes_per_feed, seen
    assert seen["objects per feed"] < 20, seen
    assert last.descriptors <= first.descriptors + 2, seen
    before, after = seen["threads, first and last third"]
    assert after <= before + 2, seen
    assert last.log_handlers == first.log_handlers, seen
    assert last.temporary_files == 0, seen
    early, late = seen["seconds, first and last third"]
    assert late < 2 * early, seen


def test_a_few_feeds_in_one_process_leave_nothing_behind(soak: Soak) -> None:
    measures = [soak.round(number) for number in range(20)]
    assert soak.tables() == soak.wanted
    # Allocators keep what they once had; that settles within some twenty feeds more.
    assert_nothing_grew(measures[8:], kilobytes_per_feed=1_500)


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_two_thousand_feeds_in_one_process_leave_nothing_behind(soak: Soak) -> None:
    measures = [soak.round(number) for number in range(2_000)]
    assert soak.tables() == soak.wanted
    print(told(measures[100:]))
    assert_nothing_grew(measures[100:], kilobytes_per_feed=20)
