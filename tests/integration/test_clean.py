"""Clean-up: whole, merged files behind the retention leave landing, and storage loses just those objects (P13)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.real.lake import Lake, Ran, Row
from tests.support.real.parquet import RECORD, record, write

STREAM = "klaviyo/metrics"
HERE = f"+stream={STREAM}"
OWN_DAYS = "streams.klaviyo__metrics.retention.days=7"
"""The stream's own retention, which goes before that of all."""
CLEAN = ("clean", HERE, "retention.days=30", OWN_DAYS, "retention.snapshot_days=0")


def key(day: int, part: int) -> str:
    return f"{STREAM}/year=2026/month=01/day={day:02d}/part_{part}.parquet"


DAYS = range(1, 13)
CONVERTED = key(2, 7)
EXPIRED = {key(day, part) for day in range(1, 5) for part in (0, 1)} | {CONVERTED}
"""Of the twelve days the last one and the seven before it stay."""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A lake before and after its clean-up."""

    lake: Lake
    objects: set[str]
    landing: list[Row]
    processed: list[Row]
    copies: list[Path]
    """Converted copies, before."""
    dry_run: Ran
    contents_after_dry_run_are_the_same: bool
    clean: Ran


@pytest.fixture(scope="module")
def cleaned(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Cleaned:
    lake = Lake.new(tmp_path_factory.mktemp("clean") / "lake", extensions=extension_directory)
    for day in DAYS:
        for part in (0, 1):
            write(
                lake.raw / key(day, part), record(f"{day}/{part}"), record("common", f"day {day}", hour=24 * day + part)
            )
    times = {**RECORD, "_airbyte_extracted_at": pa.int64()}
    write(lake.raw / CONVERTED, record("converted", _airbyte_extracted_at=1_767_312_000_123), types=times)
    lake.ok("feed", HERE, "retention.days=30", "batch.max_files=10")
    before = lake.contents()
    found = {
        "objects": lake.objects(),
        "landing": lake.landing(STREAM),
        "processed": lake.processed(STREAM),
        "copies": list((lake.root / "lake" / "converted").rglob("*.parquet")),
    }
    dry_run = lake.ok(*CLEAN, "clean.dry_run=true")
    same = lake.contents() == before and lake.objects() == found["objects"]
    return Cleaned(lake=lake, **found, dry_run=dry_run, contents_after_dry_run_are_the_same=same, clean=lake.ok(*CLEAN))


KEEPING = (HERE, "retention.days=2", "retention.snapshot_days=0", "retention.delete_existing=false")


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Lake:
    """A lake whose first plan lists four days and a file that is registered as a copy; two more days came later."""
    lake = Lake.new(tmp_path_factory.mktemp("keeping") / "lake", extensions=extension_directory)
    for day in range(1, 5):
        write(lake.raw / key(day, 0), record(f"{day}", hour=24 * day))
    times = {**RECORD, "_airbyte_extracted_at": pa.int64()}
    write(lake.raw / key(1, 7), record("converted", _airbyte_extracted_at=1_767_312_000_123), types=times)
    planned = lake.ok("plan", *KEEPING).stream(STREAM)
    assert (planned["leaves_landing"], planned["deletes_objects"]) == (2, 0)
    fed = lake.ok("feed", *KEEPING).stream(STREAM)
    assert (fed["files"], fed["cleaned"], fed["kept"]) == (5, 2, 2)
    write(lake.raw / key(3, 1), record("late", hour=24 * 3 + 1))
    write(lake.raw / key(7, 0), record("7", hour=24 * 7))
    assert lake.ok("plan", *KEEPING).stream(STREAM)["deletes_objects"] == 1
    fed = lake.ok("feed", *KEEPING).stream(STREAM)
    assert (fed["files"], fed["cleaned"], fed["kept"]) == (2, 4, 3)
    return lake


def test_what_the_first_plan_listed_stays_and_what_came_later_goes(keeping: Lake) -> None:
    assert keeping.objects() == {key(day, 0) for day in (1, 2, 3, 4, 7)} | {key(1, 7)}
    assert {row for (row,) in keeping.landing(STREAM, "id")} == {"7"}
    assert {row for (row,) in keeping.processed(STREAM, "id")} == {"1", "2", "3", "4", "7", "late", "converted"}
    assert not list((keeping.root / "lake" / "converted").rglob("*.parquet"))  # the copy went, its original stays


def test_every_command_knows_what_is_kept(keeping: Lake) -> None:
    assert keeping.ok("status", *KEEPING).stream(STREAM)["kept_files"] == 5
    assert keeping.document("why", key(1, 7), *KEEPING[1:])["verdict"].endswith("(kept); the object is kept")
    found = keeping.document("doctor", *KEEPING)
    assert (found["findings"], found["facts"][f"raw objects that stay, {STREAM}"]) == ([], "5")
    again = keeping.ok("clean", *KEEPING)
    assert (again.stream(STREAM)["files"], again.document["objects_deleted"]) == ([], [])
    assert keeping.ok("feed", *KEEPING).stream(STREAM)["status"] == "nothing_new"


def test_a_dry_run_lists_what_would_go_and_changes_nothing(cleaned: Cleaned) -> None:
    listed = cleaned.dry_run.stream(STREAM)
    assert (set(listed["files"]), listed["before"], listed["rows"]) == (EXPIRED, "2026-01-05", 17)
    assert cleaned.dry_run.document["objects_deleted"] == []
    assert cleaned.contents_after_dry_run_are_the_same


def test_storage_loses_just_the_expired_objects(cleaned: Cleaned) -> None:
    assert cleaned.objects - cleaned.lake.objects() == EXPIRED
    assert cleaned.lake.objects() <= cleaned.objects
    deleted = {str(cleaned.lake.raw / name) for name in EXPIRED}
    assert deleted <= set(cleaned.clean.document["objects_deleted"])


def test_a_converted_copy_goes_with_its_raw_object(cleaned: Cleaned) -> None:
    assert len(cleaned.copies) == 1
    assert not cleaned.copies[0].exists()
    assert CONVERTED not in cleaned.lake.objects()


def test_landing_stays_readable_and_keeps_the_rest(cleaned: Cleaned) -> None:
    kept = cleaned.lake.landing(STREAM)
    assert set(kept) < set(cleaned.landing)
    assert len(kept) == 2 * 2 * 8
    assert {row for (row,) in cleaned.lake.landing(STREAM, "id")} == {
        *(f"{day}/{part}" for day in range(5, 13) for part in (0, 1)),
        "common",
    }


def test_processed_keeps_every_row(cleaned: Cleaned) -> None:
    assert cleaned.lake.processed(STREAM) == cleaned.processed
    assert ("common", "day 12") in cleaned.lake.processed(STREAM, "id, type")
    assert ("converted",) in cleaned.lake.processed(STREAM, "id")


def test_why_tells_that_a_file_has_gone(cleaned: Cleaned) -> None:
    found = cleaned.lake.document("why", CONVERTED)
    assert "left the landing table" in found["verdict"]
    assert found["verdict"].endswith("the object is gone")
    assert (found["listed"], found["taken_in"][0]["live"]) == (None, False)


def test_doctor_is_content_after_a_clean_up(cleaned: Cleaned) -> None:
    assert cleaned.lake.document("doctor", HERE)["findings"] == []


def test_a_second_clean_up_and_a_feed_find_nothing_to_do(cleaned: Cleaned) -> None:
    before, objects = cleaned.lake.contents(), cleaned.lake.objects()
    again = cleaned.lake.ok(*CLEAN)
    assert (again.stream(STREAM)["files"], again.document["objects_deleted"]) == ([], [])
    assert cleaned.lake.ok("feed", HERE, OWN_DAYS).stream(STREAM)["status"] == "nothing_new"
    assert (cleaned.lake.contents(), cleaned.lake.objects()) == (before, objects)


def test_an_expired_object_that_arrives_again_does_not_come_back_by_itself(cleaned: Cleaned) -> None:
    """The last of the module: it leaves a file behind that is too late."""
    write(cleaned.lake.raw / key(1, 0), record("1/0"))
    assert cleaned.lake.ok("status", HERE).stream(STREAM)["too_late"] == 1
    assert cleaned.lake.ok("feed", HERE, OWN_DAYS).stream(STREAM)["status"] == "nothing_new"


def test_a_feed_with_nothing_new_releases_what_an_earlier_one_removed_and_then_rests(
    tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    for day in DAYS:
        write(lake.raw / key(day, 0), record(f"{day}"))
    everything = lake.objects()
    lake.ok("feed", HERE)
    assert lake.ok("feed", HERE).events == [] and lake.objects() == everything  # the grace period is not over
    over = lake.ok("feed", HERE, "retention.snapshot_days=0")
    assert over.stream(STREAM)["status"] == "nothing_new"
    assert [(item["event"], item["objects_deleted"]) for item in over.events] == [("files_cleaned", 4)]
    assert lake.objects() == {key(day, 0) for day in DAYS if day > 4}
    before = lake.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()")
    assert lake.ok("feed", HERE, "retention.snapshot_days=0").events == []
    assert lake.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()") == before
    lake.ok("doctor", HERE)
