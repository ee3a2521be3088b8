"""The bookkeeping of an embedded lake is the same where the catalog keeps it as through DuckLake, whatever changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.reading.inlined_books import InlinedBooks
from lakeray.steps.overview import records_of
from lakeray.values.model import Rejected, RejectReason, Removal, StreamReport, StreamStatus
from tests.contract.lakes import OnDisk
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import CONTRACT, STREAM, row

A, B, C = (key_for(date(2026, 3, day)) for day in (1, 2, 10))
NAMED = {"source": STREAM.source, "stream": STREAM.stream}
PLAIN = [STREAM.source, STREAM.stream]
QUESTIONS: list[tuple[str, Any]] = [
    *((name, []) for name in ("all_contract_notes", "all_cursors", "all_peaks", "all_waiting", "arrivals")),
    *((name, []) for name in ("enriched_marks", "keep_from", "row_warnings", "streams_marks")),
    *((name, PLAIN) for name in ("cursor", "last_batch", "merged_by", "peaks", "totals")),
    ("all_known", {"sources": [PLAIN[0]], "streams": [PLAIN[1]], "days": [date.min], "oldest": date.min}),
    ("cleanable", [*PLAIN, date(2026, 3, 5), 10_000]),
    ("existing_among", {**NAMED, "keys": [A, B]}),
    ("history", [A]),
    ("kept_files", {**NAMED, "reason": str(Removal.KEPT)}),
    ("known", {**NAMED, "since": None}),
    ("known_among", {**NAMED, "keys": [A, C]}),
    ("left_out", NAMED),
    ("pending_transform", [*PLAIN, 0]),
    ("quarantined", {"source": None, "stream": None}),
    ("registered", [*PLAIN, date(2026, 3, 1), date(2026, 3, 31)]),
    ("runs", {"each": 1}),
]
EMPTY = {"all_peaks", "enriched_marks", "existing_among", "left_out", "peaks", "row_warnings"}
"""What this lake has nothing of: tables without rows, the dearest to DuckLake."""


@pytest.fixture
def lake(tmp_path: Path, extension_directory: Path) -> Iterator[OnDisk]:
    """With rows in most tables of the bookkeeping, and with none in some."""
    opened = OnDisk(tmp_path / "it's a lake", extension_directory)
    opened.committer.ensure_landing(STREAM, CONTRACT)
    for number, key in enumerate((A, B, C)):
        opened.put(key, row(number, "it's – ü"))
        opened.take_in(key)
    opened.merge()
    gone = opened.reader.registered(STREAM, first=date(2026, 3, 1), last=date(2026, 3, 1))
    opened.committer.remove(STREAM, gone, reason=Removal.KEPT)
    file = opened.store.head(B)
    assert file is not None
    opened.committer.quarantine(STREAM, [Rejected(file=file, reason=RejectReason.EMPTY, detail='a "b"\n')])
    reports = [StreamReport(stream=STREAM, status=status) for status in (StreamStatus.OK, StreamStatus.INTERRUPTED)]
    for number, report in enumerate(reports):
        at = datetime(2026, 3, 11, 6, number, 1, 5, tzinfo=UTC)
        opened.committer.note_runs(records_of([report], at=at))
    yield opened
    opened.close()


@pytest.fixture
def connection(lake: OnDisk) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(lake.backend, read_only=True) as opened:
        yield opened


def test_each_question_has_the_same_answer_both_ways(lake: OnDisk, connection: duckdb.DuckDBPyConnection) -> None:
    books, empty = InlinedBooks(), set()
    for name, values in QUESTIONS:
        told = connection.execute(sql.load(f"ducklake/{name}"), values).fetchall()
        direct = books.rows(connection, sql.load(f"ducklake/{name}"), values)
        assert direct is not None and sorted(map(repr, direct)) == sorted(map(repr, told)), name
        empty |= set() if told else {name}
    assert empty == EMPTY
    assert books.rows(connection, "SELECT 1", []) is None
    assert books.rows(connection, "FROM lakehouse.meta.no_such_table", []) is None


def test_what_is_committed_meanwhile_is_seen(lake: OnDisk, connection: duckdb.DuckDBPyConnection) -> None:
    books, totals = InlinedBooks(), sql.load("ducklake/totals")
    before = books.rows(connection, totals, PLAIN)
    other = key_for(date(2026, 3, 12))
    lake.put(other, row(9))
    landed = lake.take_in(other)
    after = books.rows(connection, totals, PLAIN)
    assert before is not None and after == [(before[0][0] + 1, landed.snapshot)]


def test_rows_that_went_into_files_and_tables_that_were_altered_are_ducklakes(
    lake: OnDisk, connection: duckdb.DuckDBPyConnection
) -> None:
    books = InlinedBooks()
    kept, held = sql.load("ducklake/kept_files"), sql.load("ducklake/quarantined")
    asked: dict[str, Any] = {**NAMED, "reason": str(Removal.KEPT)}
    assert books.rows(connection, kept, asked) == [(1,)]
    with connect(lake.backend, read_only=False) as other:  # what a committer's guard would have put back
        other.execute("CALL lakehouse.set_option('auto_compact', true, schema => 'meta')")
    with connect(lake.backend, read_only=False) as other:
        other.execute("CALL ducklake_flush_inlined_data('lakehouse', schema_name => 'meta', table_name => 'removals')")
    assert books.rows(connection, kept, asked) is None
    assert lake.reader.kept_files(STREAM) == 1
    assert books.rows(connection, held, {"source": None, "stream": None})
    with connect(lake.backend, read_only=False) as other:
        other.execute("ALTER TABLE lakehouse.meta.quarantine ADD COLUMN more BIGINT")
    assert books.rows(connection, held, {"source": None, "stream": None}) is None
    assert [entry.key for entry in lake.reader.quarantined(None)] == [B]


def test_tables_are_counted_by_their_files(lake: OnDisk) -> None:
    tables = lake.reader.tables()
    landing, processed = tables[("staging", STREAM.landing_table)], tables[("main", STREAM.processed_table)]
    assert (landing.rows, landing.data_files) == (len(lake.landing()), 2)
    assert processed.rows == len(lake.processed()) == 3
    lake.query(f"DELETE FROM lakehouse.main.{STREAM.processed_table} WHERE pk = 1")
    lake.query(f"CREATE VIEW lakehouse.main.some AS SELECT * FROM lakehouse.main.{STREAM.processed_table}")
    tables = lake.reader.tables()
    assert tables[("main", "some")].rows == tables[("main", STREAM.processed_table)].rows == 2
    assert ("meta", "ledger") not in tables


def test_runs_and_arrivals_come_back_as_they_were(lake: OnDisk) -> None:
    newest, first = lake.reader.runs(each=9)
    assert (newest.outcome, first.outcome) == (StreamStatus.INTERRUPTED, StreamStatus.OK)
    assert newest.at - first.at == timedelta(minutes=1)
    failed = StreamReport(
        stream=STREAM, status=StreamStatus.FAILED, files=2, seconds=1.5, error={"kind": "k", "about": 'it\'s "x"'}
    )
    (record,) = records_of([failed], at=newest.at + timedelta(hours=1))
    lake.committer.note_runs([record])
    assert list(lake.reader.runs(each=1)) == [record]
    lake.committer.note_runs([])
    listed = {file.last_modified.replace(second=0, microsecond=0) for file in lake.store.list_files("")}
    assert set(lake.reader.arrivals()[STREAM]) == listed
