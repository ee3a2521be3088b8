"""doctor: storage, ledger and catalog disagree, and it says where, by kind; it changes nothing (P2, P14)."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.real.lake import Lake, Ran
from tests.support.real.parquet import RECORD, record, write
from tests.support.real.processes import lakeray

GONE, CHANGED, TWICE, SOUND = "klaviyo/metrics", "klaviyo/lists", "klaviyo/flows", "klaviyo/campaigns"
STREAMS = f"+stream=[{GONE},{CHANGED},{TWICE},{SOUND}]"


def key(stream: str, part: int) -> str:
    return f"{stream}/year=2026/month=01/day=01/part_{part}.parquet"


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A lake to which somebody did something, each stream another thing."""

    lake: Lake
    before: Ran
    doctor: Ran

    def findings(self, stream: str) -> list[tuple[str, str]]:
        """Kind and path of what doctor found in a stream."""
        found = self.doctor.document["findings"]
        return sorted((item["kind"], item["path"]) for item in found if item["stream"] == stream)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Damaged:
    lake = Lake.new(tmp_path_factory.mktemp("doctor") / "lake", extensions=extension_directory)
    for stream in (GONE, CHANGED, TWICE, SOUND):
        for part in (0, 1):
            write(lake.raw / key(stream, part), record(f"{stream} {part}"))
    lake.ok("feed", STREAMS)
    before = lake.run("doctor", STREAMS)
    (lake.raw / key(GONE, 1)).unlink()
    write(lake.raw / key(CHANGED, 1), record("another"))
    with lake.connection(read_only=False) as connection:
        path = str(lake.raw / key(TWICE, 1))
        options = "schema => 'staging', allow_missing => true, hive_partitioning => false"
        connection.execute(f"CALL ducklake_add_data_files('lakehouse', 'stg_klaviyo__flows', ?, {options})", [path])
    return Damaged(lake=lake, before=before, doctor=lake.run("doctor", STREAMS))


def test_doctor_is_content_with_a_sound_lake(damaged: Damaged) -> None:
    assert (damaged.before.code, damaged.before.document["findings"]) == (0, [])
    assert damaged.before.document["facts"]["DuckLake catalog"] == "1.0"
    assert damaged.before.document["facts"]["lease"] == "free"


def test_doctor_exits_1_and_says_nothing_of_sound_streams(damaged: Damaged) -> None:
    assert damaged.doctor.code == 1
    assert damaged.findings(SOUND) == []


def test_doctor_finds_an_object_that_has_gone(damaged: Damaged) -> None:
    assert damaged.findings(GONE) == [("registered_but_gone", key(GONE, 1))]


def test_doctor_finds_an_object_that_was_overwritten(damaged: Damaged) -> None:
    assert damaged.findings(CHANGED) == [("registered_but_changed", key(CHANGED, 1))]


def test_doctor_finds_a_file_that_is_registered_twice(damaged: Damaged) -> None:
    assert damaged.findings(TWICE) == [("registered_twice", str(damaged.lake.raw / key(TWICE, 1)))]


def test_a_feed_takes_neither_the_changed_nor_the_vanished_object_in_again(damaged: Damaged) -> None:
    """And says that they are there: nothing is answered wrongly without a word (P14). What changed leaves landing."""
    before = damaged.lake.ledger_keys()
    feed = damaged.lake.ok("feed", STREAMS)
    told = {name: feed.stream(name) for name in (GONE, CHANGED, TWICE, SOUND)}
    assert [told[name]["status"] for name in told] == ["nothing_new", "ok", "nothing_new", "nothing_new"]
    assert (told[GONE]["vanished"], told[CHANGED]["changed"], told[SOUND]["changed"]) == (1, 1, 0)
    assert damaged.lake.ledger_keys() == before
    assert damaged.lake.landing(CHANGED, "id") == [(f"{CHANGED} 0",)]
    assert damaged.lake.processed(CHANGED, "id") == [(f"{CHANGED} 0",), (f"{CHANGED} 1",)]
    states = damaged.lake.ok("status", STREAMS)
    assert (states.stream(GONE)["vanished"], states.stream(CHANGED)["changed"]) == (1, 1)
    assert "vanished" in damaged.lake.document("why", key(GONE, 1))["verdict"]
    assert "changed" in damaged.lake.document("why", key(CHANGED, 1))["verdict"]


LEFT, LOST = "left_by_a_killed_run", "data_file_gone"


def test_doctor_finds_what_a_killed_run_left_and_deletes_that_alone(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    lake.raw.mkdir()
    lake.ok("reconcile", f"+stream={GONE}")
    left = [lake.root / "lake/main/int_x/ducklake-1.parquet", lake.root / "lake/converted/x/2.parquet"]
    left.append(lake.root / "tmp/duckdb_temp_storage-0.tmp")
    fresh, foreign = lake.root / "lake/main/int_x/ducklake-3.parquet", lake.root / "lake/notes.txt"
    for path in (*left, fresh, foreign):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for path in (*left, foreign):
        os.utime(path, (0, 0))
    found = lake.ok("doctor", f"+stream={GONE}").document["findings"]
    assert {(item["kind"], item["stream"], item["path"]) for item in found} == {(LEFT, "*", str(at)) for at in left}
    lake.ok("doctor", f"+stream={GONE}", f"repair={LEFT}", "doctor.dry_run=true")
    assert all(path.exists() for path in left)
    lake.ok("doctor", f"+stream={GONE}", f"repair={LEFT}")
    assert [path.exists() for path in (*left, fresh, foreign)] == [False, False, False, True, True]
    assert lake.ok("doctor", f"+stream={GONE}").document["findings"] == []


def test_doctor_spares_every_file_that_the_catalog_knows(damaged: Damaged) -> None:
    files = list((damaged.lake.root / "lake").rglob("*.parquet"))
    assert files
    for path in files:
        os.utime(path, (0, 0))
    found = damaged.lake.run("doctor", STREAMS).document["findings"]
    assert LEFT not in {item["kind"] for item in found}


def test_doctor_merges_what_a_killed_feed_registered(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    write(lake.raw / key(GONE, 1), record("one"))
    killed = lakeray("feed", f"+stream={GONE}", *lake.settings, environment={"LAKERAY_FAULT": "after_register"})
    assert killed.code == -signal.SIGKILL
    assert [item["kind"] for item in lake.ok("doctor", f"+stream={GONE}").document["findings"]] == ["not_transformed"]
    lake.ok("doctor", f"+stream={GONE}", "repair=not_transformed")
    assert lake.ok("doctor", f"+stream={GONE}").document["findings"] == []
    assert lake.processed(GONE, "id") == [("one",)]


@pytest.mark.parametrize("writer", ["catalog", "extension"])
def test_a_file_without_rows_is_no_damage(tmp_path: Path, extension_directory: Path, writer: str) -> None:
    """It was: repair forgot it, the feed took it in again, and so for ever."""
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    write(lake.raw / key(GONE, 0), record("one"))
    write(lake.raw / key(GONE, 1))
    assert lake.ok("feed", f"+stream={GONE}", f"lake.writer={writer}").stream(GONE)["files"] == 2
    assert lake.ok("doctor", f"+stream={GONE}").document["findings"] == []
    assert lake.ok("doctor", f"+stream={GONE}", "repair=all").document["mended"] == []
    assert lake.ok("feed", f"+stream={GONE}").stream(GONE)["status"] == "nothing_new"
    assert "taken in" in lake.document("why", key(GONE, 1))["verdict"]


def test_doctor_finds_files_of_the_lake_that_somebody_deleted(tmp_path: Path, extension_directory: Path) -> None:
    """A converted copy is made again from its raw object; whose rows are nowhere else, nobody can bring back."""
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    times = {**RECORD, "_airbyte_extracted_at": pa.int64()}
    write(lake.raw / key(GONE, 0), record("copied", _airbyte_extracted_at=1_767_312_000_123), types=times)
    lake.ok("feed", f"+stream={GONE}")
    (copy,) = (lake.root / "lake/converted").rglob("*.parquet")
    (table,) = (lake.root / "lake/main/int_klaviyo__metrics").glob("*.parquet")
    copy.unlink()
    table.rename(tmp_path / "elsewhere")
    found = lake.run("doctor", f"+stream={GONE}")
    stated = {(item["kind"], item["stream"], item["path"]) for item in found.document["findings"]}
    assert (found.code, stated) == (1, {(LOST, GONE, str(copy)), (LOST, "*", table.name)})
    repaired = lake.run("doctor", f"+stream={GONE}", "repair=all")
    assert (repaired.code, [item["path"] for item in repaired.document["not_mended"]]) == (1, [table.name])
    (tmp_path / "elsewhere").rename(table)
    assert lake.ok("feed", f"+stream={GONE}").stream(GONE)["files"] == 1
    assert (copy.exists(), lake.landing(GONE, "id"), lake.processed(GONE, "id")) == (True, [("copied",)], [("copied",)])
    assert lake.ok("doctor", f"+stream={GONE}").document["findings"] == []
