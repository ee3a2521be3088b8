"""Commands that read hold ports: they show the in-memory lake as they show a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest

from lakeray.cli.commands import doctor, plan, status, why
from lakeray.cli.terminal import Output
from lakeray.cli.words import feed_json, feed_notes, feed_table
from lakeray.run import Lakeray, feed_all
from lakeray.steps.ownership import Owner, claim_of
from lakeray.values.keys import CLAIM
from lakeray.values.model import RawPolicy
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, row

DAY = date(2026, 3, 30)
KEY = key_for(DAY)


@pytest.fixture
def lake() -> MemoryApplication:
    return MemoryApplication()


def never() -> bool:
    return False


def always() -> bool:
    return True


def fed(lake: MemoryApplication) -> MemoryApplication:
    report = feed_all(lake.open(), stop=never)
    assert not report.failed, report
    return lake


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_status_shows_the_lake_that_it_is_given(lake: MemoryApplication, capsys: pytest.CaptureFixture[str]) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    lake.world.put(key_for(DAY, "part_1.parquet"), row(2))
    assert status.show(lake.open(), Output(as_json=True)) == 0
    (shown,) = document(capsys)["streams"]  # type: ignore[misc]
    assert (shown["registered_files"], shown["pending_files"], shown["cursor_path"]) == (1, 1, KEY)
    assert (shown["landing_rows"], shown["processed_rows"], shown["error"]) == (1, 1, None)


def test_status_of_a_storage_that_does_not_answer_says_so_and_fails(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.world.store.fail_after = 0
    assert status.show(lake.open(), Output(as_json=True)) == 1
    (shown,) = document(capsys)["streams"]  # type: ignore[misc]
    assert shown["pending_files"] is None and "failed" in shown["error"]


@pytest.mark.parametrize("show", [plan.show, status.show])
def test_plan_and_status_say_of_a_wrong_place_what_the_feed_says(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], show: Callable[[Lakeray, Output], int]
) -> None:
    lake.world.put(KEY, row(1))
    fed(lake).world.store.delete(KEY)
    (report,) = feed_all(lake.open(), stop=never).streams
    assert report.error is not None
    assert show(lake.open(), Output(as_json=False)) == 1
    assert report.error["about"] in capsys.readouterr().out
    assert show(lake.open(), Output(as_json=True)) == 1
    assert report.error["todo"] in json.dumps(document(capsys))


@pytest.mark.parametrize("show", [plan.show, status.show])
def test_plan_and_status_name_the_other_lake_that_deletes_here(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], show: Callable[[Lakeray, Output], int]
) -> None:
    lake.world.put(KEY, row(1))
    lake.world.store.put(f"{STREAM}/{CLAIM}", claim_of(Owner(lake="another", catalog="sqlite:/elsewhere")))
    assert show(lake.open(), Output(as_json=False)) == 1
    assert "lake another (catalog sqlite:/elsewhere)" in capsys.readouterr().out
    lake.configure(retention=replace(lake.settings.retention, raw=RawPolicy.KEEP))
    assert show(lake.open(), Output(as_json=True)) == 0


def test_an_object_that_changed_is_told_by_status_plan_quarantine_and_why_until_it_is_retried(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.world.put(KEY, row(1))
    fed(lake).world.put(KEY, row(1, "again"))
    fed(lake)
    assert status.show(lake.open(), Output(as_json=True)) == 0
    (shown,) = document(capsys)["streams"]  # type: ignore[misc]
    assert (shown["changed"], shown["quarantined"], shown["pending_files"]) == (1, 0, 0)
    assert plan.show(lake.open(), Output(as_json=True)) == 0
    (shown,) = document(capsys)["streams"]  # type: ignore[misc]
    assert (shown["changed"], shown["quarantined"]) == ([KEY], [])
    assert why.show(lake.open(), KEY, Output(as_json=True)) == 0
    shown = document(capsys)
    assert "quarantine retry" in str(shown["verdict"])
    assert (shown["quarantine"]["reason"], shown["quarantine"]["status"]) == ("changed", "waits")  # type: ignore[index]
    world = lake.world
    world.reopen()
    world.lake.set_quarantine([KEY], status="retry")
    fed(lake)
    assert why.show(lake.open(), KEY, Output(as_json=True)) == 0
    assert "and merged" in str(document(capsys)["verdict"])


def test_why_finds_the_stream_of_a_file_by_the_place_that_its_config_names(capsys: pytest.CaptureFixture[str]) -> None:
    lake = MemoryApplication(streams={STREAM.slug: {**ORDERS, "path": "RAW/${YEAR}_${MONTH}_${DAY}_${EPOCH}_"}})
    lake.world.put("RAW/2026_03_30_1767916800000_0.parquet", row(1))
    fed(lake).world.put("RAW/2026_03_01_1767916800000_0.parquet", row(2))
    assert why.show(lake.open(), "RAW/2026_03_01_1767916800000_0.parquet", Output(as_json=True)) == 0
    assert "too late" in str(document(capsys)["verdict"])


def test_a_feed_shows_what_is_too_late_changed_and_vanished(lake: MemoryApplication) -> None:
    for part in range(3):
        lake.world.put(key_for(DAY, f"part_{part}.parquet"), row(part))
    fed(lake).world.put(key_for(date(2025, 3, 1)), row(7))
    lake.world.put(KEY, row(1, "again"))
    lake.world.store.delete(key_for(DAY, "part_1.parquet"))
    report = feed_all(lake.open(), stop=never)
    (shown,) = feed_json(report)["streams"]
    assert (shown["too_late"], shown["changed"], shown["vanished"]) == (1, 1, 1)
    table = feed_table(report)
    assert (
        dict(zip(table.columns, table.rows[0], strict=True)).items()
        >= {
            "too late": "1",
            "changed": "1",
            "vanished": "1",
        }.items()
    )
    too_late, changed, vanished = feed_notes(report)
    assert "replay" in too_late and "quarantine retry" in changed and "lakeray plan" in vanished


def test_why_tells_one_files_life(lake: MemoryApplication, capsys: pytest.CaptureFixture[str]) -> None:
    lake.world.put(KEY, row(1))
    assert why.show(lake.open(), KEY, Output(as_json=True)) == 0
    assert "pending" in str(document(capsys)["verdict"])
    fed(lake)
    assert why.show(lake.open(), KEY, Output(as_json=True)) == 0
    shown = document(capsys)
    assert "and merged" in str(shown["verdict"]) and len(shown["taken_in"]) == 1  # type: ignore[arg-type]


def test_doctor_compares_storage_ledger_and_catalog(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    lake.machine.holder, lake.machine.skews = "ada@host, process 1", {"storage": 1.25}
    assert doctor.show(lake.open(), Output(as_json=True)) == 0
    facts = document(capsys)["facts"]
    assert facts["lease"] == "ada@host, process 1"  # type: ignore[index]
    assert facts["clock, ahead of that of storage"] == "+1.2 s"  # type: ignore[index]
    lake.world.store.delete(KEY)
    assert doctor.show(lake.open(), Output(as_json=True)) == 1
    assert [item["kind"] for item in document(capsys)["findings"]] == ["registered_but_gone"]  # type: ignore[attr-defined]


def test_doctor_repairs_what_it_is_told_to(lake: MemoryApplication, capsys: pytest.CaptureFixture[str]) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    lake.world.store.delete(KEY)
    lake.configure(repair="registered_but_gone")
    assert doctor.show(lake.open(), Output(as_json=True)) == 0
    assert document(capsys)["mended"] == [{"kind": "registered_but_gone", "stream": str(STREAM), "path": KEY}]
    lake.configure(repair=None)
    assert doctor.show(lake.open(), Output(as_json=True)) == 0
