"""The bookkeeping that Postgres answers itself is the one that DuckLake shows, query by query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from typing import Any
from unittest.mock import patch

import obstore
import psycopg
import pytest

from lakeray import wiring
from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.postgres.catalog import INDEXES
from lakeray.adapters.ducklake.backends.postgres.queries import QUERIES
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.values.model import Removal, StreamName
from tests.realstack.stack import SAMPLE, WRITER, RealLake, Stack

_LOADED = sql.load
ALL = date(1, 1, 1)
NEVER, EVER = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
NOTHING_ASKED = (
    "all_contract_notes",
    "all_cursors",
    "all_landing_names",
    "all_waiting",
    "anything_scheduled",
    "arrivals",
    "enriched_marks",
    "keep_from",
    "lake_id",
    "scheduled_and_live",
    "streams_marks",
    "tables",
)
TABLES = (("staging", "stg_klaviyo__lists"), ("main", "int_klaviyo__lists"), ("meta", "ledger"))
LISTS = ["klaviyo", "lists"]


@pytest.fixture(scope="module")
def lake(stack: Stack) -> RealLake:
    """A lake with live, cleaned and rejected files."""
    lake = stack.lake()
    key = "klaviyo/lists/year=2026/month=01/day=12/part_99.parquet"
    obstore.put(lake._store(), f"raw-{lake.number}/{key}", b"no parquet, but long enough")
    lake.fed()
    assert lake.run("sample", "sample.days=13", *SAMPLE[1:]).code == 0
    assert lake.run("feed", f"lake.writer={WRITER}").code == 0  # older snapshots show the rows that left landing now
    with lake.connection(read_only=False) as connection:
        values = ["klaviyo", "lists", key, "etag", '[["it\'s {é}"]]', None]
        connection.execute("INSERT INTO lakehouse.meta.left_out VALUES (?, ?, ?, ?, ?, ?)", values)
    return lake


@pytest.fixture
def reader(lake: RealLake) -> Iterator[DuckLakeReader]:
    found = DuckLakeReader(_backend(lake))
    yield found
    found.close()


def _backend(lake: RealLake) -> Backend:
    return wiring.backend(settings_of(parse(["feed", *lake.settings])))


def _questions(reader: DuckLakeReader) -> list[tuple[str, Any]]:
    key = next(iter(reader.known(StreamName(*LISTS), since=None)))
    first = sorted(reader.known(StreamName(*LISTS), since=None))[:3]
    paths = [entry.registered_path for entry in reader.history(key)]
    found: list[tuple[str, Any]] = [
        *((name, []) for name in NOTHING_ASKED),
        *((name, LISTS) for name in ("cursor", "last_batch", "totals")),
        *(("pending_transform", [*LISTS, mark]) for mark in (0, 10_000)),
        *(("cleanable", [*LISTS, day, 10_000]) for day in (date(2026, 1, 4), date(2027, 1, 1))),
        ("cleanable", [*LISTS, date(2027, 1, 1), 0]),
        *(("kept_files", {"source": "klaviyo", "stream": "lists", "reason": str(why)}) for why in Removal),
        ("registered", [*LISTS, date(2026, 1, 6), date(2026, 1, 8)]),
        *(("history", [name]) for name in (key, "klaviyo/lists/none.parquet")),
        *(("known", {"source": "klaviyo", "stream": "lists", "since": since}) for since in (None, date(2026, 1, 9))),
        ("known_among", {"source": "klaviyo", "stream": "lists", "keys": [*first, "klaviyo/lists/none.parquet"]}),
        ("left_out", {"source": "klaviyo", "stream": "lists"}),
        *(("quarantined", {"source": source, "stream": stream}) for source, stream in ((None, None), LISTS)),
        *(("expirable_from_to", {"older_than": at, "keep_from": 2**62}) for at in (NEVER, EVER)),
        ("expirable_from_to", {"older_than": EVER, "keep_from": 12}),
        *(("expirable", {"older_than": at, "keep_from": mark}) for at in (NEVER, EVER) for mark in (12, 2**62)),
        ("scheduled_raw", [[*paths, "s3://landing/none"]]),
        *(("shown_no_more", {"kept_from": snapshot}) for snapshot in (0, 12, 10_000)),
        *(("shown_only_before", [snapshot]) for snapshot in (0, 10_000)),
        *(("all_known", _wanted(since)) for since in (ALL, date(2026, 1, 9))),
    ]
    assert {name for name, _ in found} == QUERIES
    return found


def _wanted(since: date) -> dict[str, Any]:
    days = [since, date(2026, 1, 11)]
    return {"sources": ["klaviyo", "klaviyo"], "streams": ["lists", "metrics"], "days": days, "oldest": min(days)}


def test_every_question_has_the_same_answer_both_ways(lake: RealLake, reader: DuckLakeReader) -> None:
    books = _backend(lake).queries()
    answered = set()
    for name, values in _questions(reader):
        by_ducklake = reader._fetch(sql.load(f"ducklake/{name}"), values)
        by_postgres = books.rows(name, values)
        assert by_postgres is not None
        assert sorted(map(_plain, by_postgres)) == sorted(map(_plain, by_ducklake)), (name, values)
        answered |= {name} if by_postgres else set()
    books.close()
    # An empty answer proves little; the second of these means damage.
    assert answered == QUERIES - {"anything_scheduled", "scheduled_and_live"}


def _plain(row: tuple[Any, ...]) -> str:
    return repr(tuple(value.timestamp() if isinstance(value, datetime) else value for value in row))


def test_rows_are_counted_by_the_files_as_ducklake_counts_them(reader: DuckLakeReader) -> None:
    for schema, table in TABLES[:2]:
        (counted,) = reader._fetch(f'SELECT count(*) FROM lakehouse."{schema}"."{table}"', [])
        assert reader.tables()[(schema, table)].rows == counted[0] > 0


def test_keys_are_looked_up_by_the_index_of_keys_whatever_the_planner_knows(lake: RealLake, stack: Stack) -> None:
    books = _backend(lake).queries()
    asked = {"source": "klaviyo", "stream": "lists", "keys": ["klaviyo/lists/none.parquet"]}
    assert books.rows("known_among", asked) == []
    assert books._connection is not None
    books._connection.execute("SET enable_seqscan = off")  # so few rows are read whole
    with patch.object(sql, "load", lambda name: ("EXPLAIN " if "known_among" in name else "") + _LOADED(name)):
        plan = "\n".join(line for (line,) in books._asked("known_among", asked) or [])
    books.close()
    assert "lakeray_ledger_key" in plan and "lakeray_removals_of_key" in plan
    assert "lakeray_ledger_snapshot" not in plan and "lakeray_ledger_day" not in plan


def test_what_status_and_an_idle_clean_up_ask_needs_no_duckdb(lake: RealLake, reader: DuckLakeReader) -> None:
    name = StreamName(*LISTS)
    assert reader.tables()[("staging", name.landing_table)].rows
    assert reader.known_among(name, sorted(reader.known(name, since=None))[:2])
    assert reader._connection is None


def test_a_lake_whose_bookkeeping_is_kept_otherwise_is_read_through_ducklake(lake: RealLake, stack: Stack) -> None:
    place = f'"{lake.schema}".ducklake_inlined_data_tables'
    (table_id,) = stack.sql(f'SELECT table_id FROM "{lake.schema}".ducklake_table WHERE table_name = %s', "ledger")[0]
    change = f"INSERT INTO {place} VALUES ({table_id}, 'another', 99)"
    with _changed(stack, change, f"DELETE FROM {place} WHERE table_name = 'another'"):
        with closing(_backend(lake).queries()) as books:
            assert books.rows("totals", LISTS) is None
    with closing(_backend(lake).queries()) as books:
        assert books.rows("totals", LISTS) is not None


def test_a_connection_that_was_lost_is_opened_again(lake: RealLake, stack: Stack) -> None:
    with closing(_backend(lake).queries()) as books:
        before = books.rows("totals", LISTS)
        assert books._connection is not None
        stack.sql("SELECT pg_terminate_backend(%s)", books._connection.info.backend_pid)
        assert books.rows("totals", LISTS) == before


def test_the_committer_makes_every_index(lake: RealLake, stack: Stack) -> None:
    found = stack.sql("SELECT indexname FROM pg_indexes WHERE schemaname = %s", lake.schema)
    assert INDEXES.keys() <= {name for (name,) in found}


@contextmanager
def _changed(stack: Stack, change: str, back: str) -> Iterator[None]:
    """A change of the catalog that is taken back."""
    with psycopg.connect(
        host="127.0.0.1",
        port=stack.state.postgres_port,
        dbname="ducklake",
        user="ducklake",
        password=stack.state.postgres_password,
        autocommit=True,
    ) as connection:
        connection.execute(change)
        try:
            yield
        finally:
            connection.execute(back)
