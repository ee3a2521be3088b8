"""DuckLake's own maintenance, run by somebody else between and during feeds: survived, or refused with advice (P13)."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from lakeray.values.faults import FaultPoint
from tests.support.real.lake import Lake
from tests.support.real.maintenance import EVERYTHING, OPERATIONS
from tests.support.real.parquet import record, write
from tests.support.real.processes import lakeray

STREAM = "klaviyo/metrics"
HERE = f"+stream={STREAM}"
KEEP = "retention.days=30"


def key(day: int, part: int = 0) -> str:
    return f"{STREAM}/year=2026/month=01/day={day:02d}/part_{part}.parquet"


def land(lake: Lake, day: int) -> None:
    """One file of the day: a record of its own, and one that every day changes."""
    write(lake.raw / key(day), record(f"day {day}", hour=24 * day), record("common", f"day {day}", hour=24 * day))


def landed(lake: Lake, more: int) -> range:
    """Land files of so many more days; all days that there are then."""
    before = len(lake.ledger_keys())
    days = range(1, before + more + 1)
    for day in days[before:]:
        land(lake, day)
    return days


def run_as_others_do(lake: Lake, statements: Sequence[str]) -> list[int]:
    """Run the statements with a DuckDB of one's own; how many rows each says."""
    with lake.connection(read_only=False) as connection:
        return [len(connection.execute(statement).fetchall()) for statement in statements]


def assert_holds(lake: Lake, days: Sequence[int]) -> None:
    """Every row of these days is in landing once, every key in the processed table once, the newest."""
    rows = [(f"day {day}", "first") for day in days] + [("common", f"day {day}") for day in days]
    assert lake.landing(STREAM, "id, type") == sorted(rows, key=repr)
    newest = [*((f"day {day}", "first") for day in days), ("common", f"day {days[-1]}")]
    assert lake.processed(STREAM, "id, type") == sorted(newest, key=repr)
    assert lake.ledger_keys() == [key(day) for day in days]
    doctor = lake.run("doctor", HERE)
    assert (doctor.code, doctor.document["findings"]) == (0, [])


def registered_by(lake: Lake) -> str:
    return str(lake.document("status", HERE)["streams"][0]["last_batch"]["registered_by"])


@pytest.fixture(scope="module", params=["catalog", "extension"])
def writer(request: pytest.FixtureRequest) -> str:
    """Who registers."""
    return f"lake.writer={request.param}"


@pytest.fixture(scope="module")
def worked_on(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path, writer: str) -> Lake:
    """A lake to which one test after the other does something."""
    lake = Lake.new(tmp_path_factory.mktemp("foreign") / "lake", extensions=extension_directory)
    for day in (1, 2):
        land(lake, day)
        lake.ok("feed", HERE, KEEP, writer)
    return lake


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_others_run_changes_no_table_and_no_raw_object(worked_on: Lake, name: str) -> None:
    before, objects = worked_on.contents(), worked_on.objects()
    run_as_others_do(worked_on, OPERATIONS[name])
    assert (worked_on.contents(), worked_on.objects()) == (before, objects)


def test_a_feed_goes_on_after_all_of_it(worked_on: Lake, writer: str) -> None:
    days = landed(worked_on, 1)
    assert worked_on.ok("feed", HERE, KEEP, writer).stream(STREAM)["status"] == "ok"
    assert_holds(worked_on, days)
    assert registered_by(worked_on).startswith("catalog writer" if "catalog" in writer else "DuckLake's call")


def test_what_waits_for_dbt_is_merged_after_all_of_it(worked_on: Lake, writer: str) -> None:
    """Expired snapshots, too, are no reason to leave their rows out (P12)."""
    days = landed(worked_on, 1)
    killed = lakeray("feed", HERE, KEEP, writer, *worked_on.settings, environment={"LAKERAY_FAULT": "after_register"})
    assert killed.code == -signal.SIGKILL
    run_as_others_do(worked_on, EVERYTHING)
    assert worked_on.ok("feed", HERE, KEEP, writer).stream(STREAM)["status"] == "ok"
    assert_holds(worked_on, days)


@pytest.mark.parametrize("point", [FaultPoint.AFTER_DISCOVER, FaultPoint.AFTER_VALIDATE, FaultPoint.AFTER_REGISTER])
def test_what_others_run_during_a_feed_is_survived(worked_on: Lake, writer: str, point: FaultPoint) -> None:
    days = landed(worked_on, 2)
    words = ("feed", HERE, KEEP, writer, "batch.max_files=1")
    report = worked_on.fed_while(*words, meanwhile={point: lambda: run_as_others_do(worked_on, EVERYTHING)})
    assert [(item.status, item.batches) for item in report.streams] == [("ok", 2)]
    assert_holds(worked_on, days)


def test_doctor_takes_in_again_what_somebody_merged_in_landing(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    days = (1, 2)
    for day in days:
        land(lake, day)
    lake.ok("feed", HERE, KEEP, "batch.max_files=1")
    forced = "CALL lakehouse.set_option('auto_compact', true, schema => 'staging')"
    assert run_as_others_do(lake, [forced, *OPERATIONS["merge landing by name"]])[1] > 0
    fed = lake.run("feed", HERE, KEEP, "retention.snapshot_days=0")
    assert (fed.code, fed.document["error"]["kind"]) == (1, "damage")
    found = [item["kind"] for item in lake.run("doctor", HERE).document["findings"]]
    assert sorted(found) == [*["in_ledger_not_registered"] * 2, "registered_not_in_ledger"]
    lake.ok("doctor", HERE, "repair=all")
    lake.ok("feed", HERE, KEEP, "retention.snapshot_days=0")
    assert lake.objects() == {key(day) for day in days}
    assert lake.landing(STREAM, "id, type") == [
        ("common", "day 1"),
        ("common", "day 2"),
        ("day 1", "first"),
        ("day 2", "first"),
    ]
    assert lake.processed(STREAM, "id, type") == [("common", "day 2"), ("day 1", "first"), ("day 2", "first")]
    assert lake.ok("doctor", HERE).document["findings"] == []
