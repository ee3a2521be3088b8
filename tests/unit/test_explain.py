"""Plans, reports and states in words and as JSON: the interface's fields, always serialisable."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.cli import overview_words, words
from lakeray.steps.clean import Leaving
from lakeray.steps.overview import Overview, StreamOverview, records_of
from lakeray.values.model import (
    Batch,
    Changed,
    Cursor,
    FeedReport,
    LastBatch,
    LedgerEntry,
    Oversize,
    Plan,
    QuarantineEntry,
    SourceFile,
    StreamReport,
    StreamStatus,
    TableHealth,
)
from tests.support.fakes.records import STREAM

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
FILE = SourceFile(key="shop/orders/a.parquet", etag="e", size_bytes=10, last_modified=AT)
ENTRY = LedgerEntry(
    key=FILE.key,
    etag="e",
    size_bytes=10,
    rows=3,
    day=date(2026, 3, 1),
    batch_id="b",
    commit_id="c",
    snapshot=7,
    registered_path="/raw/a.parquet",
    taken_at=AT,
)
HELD = QuarantineEntry(
    key=FILE.key, etag="e", size_bytes=10, reason="empty", detail="0 bytes", status="rejected", seen_at=AT
)
BATCH = Batch(id="b", stream=STREAM, files=(FILE,), size_bytes=10, projected_bytes=100)
PLAN = Plan(
    stream=STREAM,
    batches=(BATCH,),
    oversize=(Oversize(file=FILE, projected_bytes=100, allowed_bytes=50),),
    skipped=(FILE,),
    too_late=(FILE,),
    changed=(Changed(file=FILE, registered_etag="x", registered_size_bytes=1),),
    vanished=("gone",),
    listed_files=4,
)
LAST = LastBatch(batch_id="b", commit_id="c", snapshot=7, files=1, rows=3, size_bytes=10, committed_at=AT)


FORESEEN = words.Foreseen(plan=PLAN, leaving=Leaving(files=1200, deleted=120))


def why(**changes: object) -> str:
    given_ = {"listed": FILE, "entries": [], "rejected": None, "too_late": False, "transformed_snapshot": 0}
    return words.why_verdict(**(given_ | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "pending: the next feed takes it in"),
        ({"too_late": True}, "too late: its day is older than the horizon; `replay` takes it in"),
        ({"listed": None}, "unknown: not in storage, never taken in"),
        ({"entries": [ENTRY]}, "taken in as snapshot 7 but not merged yet"),
        ({"entries": [ENTRY], "transformed_snapshot": 7}, "taken in as snapshot 7 and merged"),
        (
            {"entries": [ENTRY], "transformed_snapshot": 7, "listed": replace(FILE, etag="other")},
            "taken in as snapshot 7 and merged; the object has changed since",
        ),
        (
            {"entries": [ENTRY], "transformed_snapshot": 7, "listed": None},
            "taken in as snapshot 7 and merged; the object has vanished since",
        ),
        ({"rejected": HELD}, "rejected: empty: 0 bytes"),
        (
            {"rejected": HELD, "listed": replace(FILE, etag="other")},
            "rejected: empty: 0 bytes; it changed since and is taken in by the next feed",
        ),
        (
            {"entries": [replace(ENTRY, removed_at=AT + timedelta(days=8), removed_because="retention")]},
            "taken in 2026-03-01 12:00 UTC, left the landing table 2026-03-09 12:00 UTC (retention); "
            "the object is still there",
        ),
        (
            {"entries": [replace(ENTRY, removed_at=AT + timedelta(days=8), removed_because="kept")]},
            "taken in 2026-03-01 12:00 UTC, left the landing table 2026-03-09 12:00 UTC (kept); the object is kept",
        ),
        (
            {"entries": [ENTRY], "transformed_snapshot": 7, "stays": True},
            "taken in as snapshot 7 and merged; its object is never deleted",
        ),
    ],
)
def test_why_says_where_a_file_is_in_its_life(changes: dict[str, object], verdict: str) -> None:
    assert why(**changes) == verdict


def test_a_file_that_was_removed_and_its_object_too_is_gone() -> None:
    removed = replace(ENTRY, removed_at=AT, removed_because="retention")
    assert why(entries=[removed], listed=None).endswith("the object is gone")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1500, "1.5 kB"),
        (99_449, "99.4 kB"),
        (99_949, "100 kB"),
        (123_456, "123 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (2**31, "2.1 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_bytes_are_short(count: int, text: str) -> None:
    assert words.human_bytes(count) == text


@given(st.integers(0, 10**14))
def test_bytes_never_need_more_than_three_digits_and_are_near(count: int) -> None:
    number, unit = words.human_bytes(count).split()
    assert len(number.replace(".", "")) <= 3
    assert abs(float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit] - count) <= count * 0.06


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (0.34, "0.3 s"), (59, "59 s"), (240, "4.0 min"), (5000, "83 min"), (9000, "2.5 h"), (3e5, "3 d")],
)
def test_times_are_short(seconds: float, text: str) -> None:
    assert words.human_seconds(seconds) == text


def health(rows: int) -> TableHealth:
    return TableHealth(rows=rows, data_files=2, delete_files=1, dead_rows=4)


def state(**changes: object) -> StreamOverview:
    given_: dict[str, object] = {
        "stream": STREAM,
        "cursor": Cursor(stream=STREAM, path=FILE.key, transformed_snapshot=7),
        "plan": PLAN,
        "registered_files": 5,
        "registered_snapshot": 7,
        "quarantined": 1,
        "last_batch": LAST,
        "landing": health(3),
        "processed": None,
        "kept_files": 2,
        "now": AT + timedelta(hours=1),
    }
    return StreamOverview(**(given_ | changes))  # type: ignore[arg-type]


def of(*streams: StreamOverview, **enriched: int | None) -> Overview:
    return Overview(lake="l", catalog="c", storage="s3://x", env="prod", streams=streams, enriched=enriched)


def test_the_lag_is_of_the_oldest_that_waits() -> None:
    empty = Plan(stream=STREAM)
    assert state().lag_seconds == 3600
    assert state(plan=empty).lag_seconds == 0
    assert state(plan=None).lag_seconds is None
    assert state(plan=empty, registered_snapshot=9).lag_seconds == 3600
    assert state(now=AT - timedelta(hours=1)).lag_seconds == 0


def test_status_has_the_fields_of_the_interface() -> None:
    document = json.loads(json.dumps(overview_words.status_json(of(state(), fct_sales=4))))
    assert document["enriched"] == {"fct_sales": 4}
    (stream,) = document["streams"]
    assert set(stream) >= {
        "source",
        "stream",
        "cursor_path",
        "pending_files",
        "pending_bytes",
        "registered_files",
        "registered_snapshot",
        "transformed_snapshot",
        "lag_seconds",
        "quarantined",
        "too_late",
        "last_batch",
    }
    assert (stream["pending_files"], stream["too_late"], stream["quarantined"]) == (1, 1, 1)


def test_what_is_unknown_is_null_and_never_zero() -> None:
    document = overview_words.status_json(of(state(plan=None, landing=None, last_batch=None)))
    (stream,) = document["streams"]
    assert [stream[name] for name in ("pending_files", "pending_bytes", "too_late", "lag_seconds", "last_batch")] == [
        None
    ] * 5
    row = overview_words.status_tables(of(state(plan=None)))[0].rows[0]
    assert row[2] == row[8] == row[12] == row[13] == row[14] == "?"


def test_who_registered_the_last_batch_is_told() -> None:
    told = state(last_batch=replace(LAST, registered_by="catalog writer"))
    assert overview_words.status_json(of(told))["streams"][0]["last_batch"]["registered_by"] == "catalog writer"
    assert overview_words.status_tables(of(told))[0].rows[0][-1] == "catalog writer"


def test_a_stream_tells_how_fresh_and_how_sound_it_is_and_how_its_last_run_went() -> None:
    failed = {"kind": "catalog", "about": "the catalog", "expected": "", "found": "nothing", "todo": ""}
    run = records_of([StreamReport(stream=STREAM, status=StreamStatus.FAILED, seconds=2.0, error=failed)], at=AT)[0]
    told = state(processed=health(5), last_run=run, plan=replace(PLAN, newest_at=AT), expect_every=timedelta(days=1))
    (stream,) = overview_words.status_json(of(told))["streams"]
    assert stream["table_health"] == {"data_files": 2, "delete_files": 1, "dead_rows": 4}
    assert stream["last_run"] == {"at": AT.isoformat(), "outcome": "failed", "error": failed}
    assert (stream["newest_file_at"], stream["expected_within_seconds"]) == (AT.isoformat(), 86400)
    assert stream["state"] == "failed"
    row = overview_words.status_tables(of(told))[0].rows[0]
    assert row[9:11] == ("60 min ago", "failed 60 min ago")
    document = overview_words.status_json(of(told))
    assert [document[name] for name in ("lake", "catalog", "storage", "env")] == ["l", "c", "s3://x", "prod"]
    assert "storage s3://x" in overview_words.place_line(of(told))
    (shown,) = overview_words.runs_table([run]).rows
    assert (shown[2], shown[-1]) == ("failed", "the catalog: nothing")
    assert overview_words.runs_json([run])["runs"][0]["error"] == failed


def test_a_plan_tells_its_batches_and_what_needs_attention() -> None:
    document = json.loads(json.dumps(words.plan_json([FORESEEN], seconds=12.5)))
    assert document["streams"][0]["batches"] == [{"id": "b", "files": 1, "bytes": 10, "projected_bytes": 100}]
    assert document["streams"][0]["oversize"][0]["projected_bytes"] == 100
    assert (document["streams"][0]["leaves_landing"], document["streams"][0]["deletes_objects"]) == (1200, 120)
    tables = words.plan_tables([FORESEEN])
    assert tables[0].rows[0][-2:] == ("1,200", "120")
    assert [what.split(",")[0] for _, what, _ in tables[1].rows] == [
        "too late",
        "quarantined",
        "changed since it was taken in",
        "vanished",
        "oversize",
    ]
    assert len(words.plan_tables([words.Foreseen(plan=Plan(stream=STREAM), leaving=Leaving())])) == 1


def test_a_report_tells_each_stream_and_its_error() -> None:
    failed = StreamReport(stream=STREAM, status=StreamStatus.FAILED, error={"kind": "storage", "about": "x"})
    report = FeedReport(streams=(StreamReport(stream=STREAM, status=StreamStatus.OK, files=3), failed))
    document = json.loads(json.dumps(words.feed_json(report)))
    assert [item["status"] for item in document["streams"]] == ["ok", "failed"]
    assert document["streams"][1]["error"]["kind"] == "storage"
    assert report.failed and not FeedReport().failed
    assert all(len(row) == len(words.feed_table(report).columns) for row in words.feed_table(report).rows)


def test_why_and_quarantine_are_json() -> None:
    document = words.why_json(FILE.key, listed=FILE, entries=[ENTRY], rejected=HELD, verdict="so")
    read = json.loads(json.dumps(document))
    assert (read["taken_in"][0]["live"], read["quarantine"]["reason"], read["listed"]["bytes"]) == (True, "empty", 10)
    assert words.quarantine_table([HELD]).rows == ((FILE.key, "empty", "0 bytes", "rejected"),)
