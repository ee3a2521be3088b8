"""The machine's time zone changes no row: not where an hour is missing, not where one comes twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.real.lake import Lake
from tests.support.real.parquet import RECORD, TIMES, record, write

STREAM = "klaviyo/metrics"
MORE = {"local": pa.timestamp("us"), "instant": TIMES, "nanos": pa.timestamp("ns"), "day": pa.date32()}
MOMENTS = [
    datetime(2026, 3, 8, 2, 30, tzinfo=UTC),  # is not there in New York
    datetime(2026, 11, 1, 1, 30, tzinfo=UTC),  # comes twice there
    datetime(2026, 3, 29, 2, 30, tzinfo=UTC),  # is not there in Berlin
    datetime(1883, 11, 18, 12, 3, 58, tzinfo=UTC),  # New York's clocks before they were set by a zone
    datetime(2026, 1, 1, tzinfo=UTC),
]


@pytest.fixture
def in_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.undo()
    time.tzset()


def test_the_same_files_make_the_same_tables_in_every_time_zone(
    tmp_path: Path, extension_directory: Path, in_zone: pytest.MonkeyPatch
) -> None:
    raw = tmp_path / "raw"
    for part in range(2):
        records = [
            record(
                f"{number}",
                hour=part,
                local=moment.replace(tzinfo=None) + timedelta(seconds=part),
                instant=moment,
                nanos=moment.replace(tzinfo=None),
                day=moment.date() if part else date(2026, 3, 8),
            )
            for number, moment in enumerate(MOMENTS)
        ]
        write(raw / f"{STREAM}/year=2026/month=01/day=02/part_{part}.parquet", *records, types=RECORD | MORE)
    found = {}
    for zone in ("UTC", "America/New_York", "Pacific/Kiritimati"):
        in_zone.setenv("TZ", zone)
        time.tzset()
        lake = Lake.new(tmp_path / zone.replace("/", "-"), extensions=extension_directory, raw=raw)
        lake.ok("feed", f"+stream={STREAM}", "batch.max_files=1")
        found[zone] = lake.contents()
    assert found["America/New_York"] == found["UTC"] == found["Pacific/Kiritimati"]
    newest = [(at.replace(tzinfo=None) + timedelta(seconds=1), at, at.date()) for at in MOMENTS]
    assert sorted(lake.processed(STREAM, '"local", "instant", "day"')) == sorted(newest)
