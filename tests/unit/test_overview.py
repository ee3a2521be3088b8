"""How far, how fresh and how sound streams are: one word each, and what it follows from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.run import feed_all, overview
from lakeray.steps.overview import (
    LEAST_GAPS,
    Newest,
    State,
    StreamOverview,
    expected_within,
    not_told,
    records_of,
)
from lakeray.values.errors import CatalogError
from lakeray.values.model import Batch, Cursor, Plan, SourceFile, StreamReport, StreamStatus, TableHealth
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, row

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = date(2026, 3, 30)
KEY = key_for(DAY)
ERROR = {"kind": "storage", "about": "the storage", "expected": "", "found": "", "todo": ""}


def file(at: datetime = AT) -> SourceFile:
    return SourceFile(key="shop/orders/a.parquet", etag="e", size_bytes=10, last_modified=at)


def plan_of(*files: SourceFile, **more: object) -> Plan:
    batch = Batch(id="b", stream=STREAM, files=files, size_bytes=10, projected_bytes=10)
    return Plan(stream=STREAM, batches=(batch,) if files else (), **more)  # type: ignore[arg-type]


def state(**changes: object) -> StreamOverview:
    given_: dict[str, object] = {
        "stream": STREAM,
        "cursor": Cursor(stream=STREAM, path="p", transformed_snapshot=7),
        "plan": plan_of(newest_at=AT),
        "registered_files": 5,
        "registered_snapshot": 7,
        "quarantined": 0,
        "last_batch": None,
        "landing": None,
        "processed": None,
        "kept_files": 0,
        "now": AT + HOUR,
    }
    return StreamOverview(**(given_ | changes))  # type: ignore[arg-type]


def report(status: StreamStatus, **more: object) -> StreamReport:
    return StreamReport(stream=STREAM, status=status, **more)  # type: ignore[arg-type]


(FAILED,) = records_of([report(StreamStatus.FAILED, error=ERROR)], at=AT)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, State.OK),
        ({"plan": plan_of(file())}, State.BEHIND),
        ({"registered_snapshot": 8}, State.BEHIND),
        ({"quarantined": 1, "registered_snapshot": 8}, State.ATTENTION),
        ({"plan": plan_of(too_late=(file(),))}, State.ATTENTION),
        ({"plan": plan_of(vanished=("k",))}, State.ATTENTION),
        ({"expect_every": HOUR / 2, "quarantined": 1}, State.STALE),
        ({"expect_every": HOUR}, State.OK),
        ({"is_waiting": True}, State.WAITING),
        ({"error": "no bucket", "plan": None, "is_waiting": True}, State.FAILED),
        ({"last_run": FAILED, "plan": plan_of(file())}, State.FAILED),
        ({"last_run": FAILED}, State.OK),
        ({"last_run": replace(FAILED, outcome=StreamStatus.OK), "registered_snapshot": 8}, State.BEHIND),
    ],
)
def test_the_state_is_the_first_word_that_is_so(changes: dict[str, object], wanted: State) -> None:
    assert state(**changes).state is wanted


def test_the_newest_file_is_the_newest_listed_or_taken_in() -> None:
    assert state(plan=None).newest_file_at is None
    assert state(arrivals=[AT - HOUR, AT + HOUR]).newest_file_at == AT + HOUR
    assert state(arrivals=[AT - HOUR]).newest_file_at == AT
    newest = Newest()
    files = [file(AT), file(AT + HOUR), file(AT)]
    assert list(newest.passing(files)) == files and newest.at == AT + HOUR


def every(gaps: list[timedelta]) -> Iterator[datetime]:
    at = AT
    yield at
    for gap in gaps:
        at += gap
        yield at


def test_what_is_expected_follows_from_the_last_gaps() -> None:
    assert expected_within(every([HOUR] * (LEAST_GAPS - 1))) is None
    assert expected_within(every([HOUR] * LEAST_GAPS)) == 3 * HOUR
    # 30 gaps: the 95th percentile is the 29th of them; what is older is not looked at.
    assert expected_within(every([100 * HOUR] * 5 + [HOUR] * 28 + [5 * HOUR, 9 * HOUR])) == 15 * HOUR
    # Files of one sync come within seconds of each other, and are one arrival.
    burst = [timedelta(seconds=2)] * 40
    assert expected_within(every([*burst, HOUR] * LEAST_GAPS)) == 3 * HOUR
    pending = plan_of(*(file(AT + n * HOUR) for n in range(1, 4)))
    assert state(arrivals=list(every([HOUR] * 9)), plan=pending).expected_within is None
    assert state(arrivals=[AT - n * HOUR for n in range(8)], plan=pending).expected_within == 3 * HOUR


@given(st.lists(st.integers(2, 10_000), min_size=LEAST_GAPS, max_size=60), st.randoms())
def test_what_is_expected_depends_on_no_order(minutes: list[int], random: object) -> None:
    times = list(every([timedelta(minutes=n) for n in minutes]))
    mixed = times.copy()
    random.shuffle(mixed)  # type: ignore[attr-defined]
    within = expected_within(times)
    assert within is not None and within == expected_within(mixed) <= 3 * timedelta(minutes=max(minutes[-30:]))


def test_a_run_is_kept_of_the_streams_that_did_something_and_a_failure_once() -> None:
    reports = [report(status) for status in StreamStatus]
    assert {item.outcome for item in records_of(reports, at=AT)} == {
        StreamStatus.OK, StreamStatus.FAILED, StreamStatus.INTERRUPTED,
    }  # fmt: skip
    assert not_told([FAILED], {}) == [FAILED]
    assert not_told([FAILED], {STREAM: replace(FAILED, at=AT - HOUR)}) == []
    assert not_told([FAILED], {STREAM: replace(FAILED, error={**ERROR, "about": "another"})}) == [FAILED]
    assert not_told([FAILED], {STREAM: replace(FAILED, outcome=StreamStatus.OK, error=None)}) == [FAILED]


@pytest.fixture
def lake() -> MemoryApplication:
    return MemoryApplication()


def fed(lake: MemoryApplication) -> int:
    """How many snapshots a feed made."""
    before = lake.world.catalog.head.snapshot
    feed_all(lake.open(), stop=lambda: False)
    return lake.world.catalog.head.snapshot - before


def test_a_lake_shows_its_streams_its_places_and_its_totals(lake: MemoryApplication) -> None:
    lake.world.catalog.lake_id = None
    before = overview(lake.open(), enriched=["fct"])
    lake.world.reopen()
    assert (before.lake, before.enriched, before.streams[0].state) == (None, {"fct": None}, State.WAITING)
    lake.world.put(KEY, row(1))
    fed(lake)
    lake.world.put(key_for(DAY, "part_1.parquet"), row(2))
    found = overview(lake.open(), enriched=[STREAM.processed_table])
    (stream,) = found.streams
    assert (stream.state, stream.registered_files, stream.plan and stream.plan.files) == (State.BEHIND, 1, 1)
    assert stream.processed == TableHealth(rows=1, data_files=1, delete_files=0, dead_rows=0)
    assert stream.last_run is not None and stream.last_run.outcome is StreamStatus.OK
    assert stream.plan is not None and stream.newest_file_at == stream.plan.newest_at is not None
    assert (found.lake, found.env, found.errors) == (lake.world.catalog.lake_id, lake.settings.env, [])
    assert found.enriched == {STREAM.processed_table: 1}
    assert found.totals["pending_files"] == found.totals["registered_files"] == found.totals["streams"] == 1


def test_a_storage_that_does_not_answer_is_said_and_stops_nothing(lake: MemoryApplication) -> None:
    lake.world.store.fail_after = 0
    found = overview(lake.open(), enriched=[])
    assert (found.streams[0].state, len(found.errors), found.totals["pending_files"]) == (State.FAILED, 1, 0)


def test_a_run_that_finds_nothing_new_writes_nothing(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    assert fed(lake) > 1
    assert fed(lake) == 0
    (record,) = lake.open().reader.runs(each=9)
    assert (record.stream, record.outcome, record.files, record.error) == (STREAM, StreamStatus.OK, 1, None)


def test_a_run_that_fails_at_its_work_is_on_record(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    lake.world.catalog.fail_transform = True
    assert fed(lake) > 0
    lake.world.catalog.fail_transform = False
    (stream,) = overview(lake.open(), enriched=[]).streams
    assert stream.last_run is not None and (stream.state, stream.last_run.outcome) == (State.FAILED, "failed")
    assert stream.last_run.error is not None and stream.last_run.error["kind"] == "transform"
    fed(lake)
    assert [item.outcome for item in lake.open().reader.runs(each=9)] == [StreamStatus.OK, StreamStatus.FAILED]
    assert [item.outcome for item in lake.open().reader.runs(each=1)] == [StreamStatus.OK]
    assert overview(lake.open(), enriched=[]).streams[0].state is State.OK


def test_a_failed_look_is_on_record_once_and_only_when_another_stream_has_work(lake: MemoryApplication) -> None:
    lake.world.put(KEY, row(1))
    fed(lake)
    lake.world.store.delete(KEY)
    assert fed(lake) == 0
    other = {**ORDERS, "stream": "refunds"}
    lake.settings = MemoryApplication(streams={STREAM.slug: dict(ORDERS), "shop__refunds": other}).settings
    for part in range(2):
        lake.world.put(key_for(DAY, f"part_{part}.parquet").replace("orders", "refunds"), row(part))
        assert fed(lake) > 0
    told = [(item.stream.stream, str(item.outcome)) for item in lake.open().reader.runs(each=9)]
    assert sorted(told) == [("orders", "failed"), ("orders", "ok"), ("refunds", "ok"), ("refunds", "ok")]


def test_what_a_run_did_stands_when_it_cannot_be_kept(lake: MemoryApplication, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.fakes.lake import MemoryLake

    def refuse(_lake: MemoryLake, _records: object) -> None:
        raise CatalogError("the record of the run")

    monkeypatch.setattr(MemoryLake, "note_runs", refuse)
    lake.world.put(KEY, row(1))
    report = feed_all(lake.open(), stop=lambda: False)
    assert not report.failed and report.streams[0].files == 1
    assert [event for event in lake.world.sink.events if "not on record" in str(event)]
    assert lake.open().reader.runs(each=1) == []
