"""What a look at files proposes, with its evidence: types, a key, a cursor."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from lakeray.steps.discover import spread
from lakeray.streams.survey import (
    ColumnFacts,
    FileFacts,
    candidates,
    columns_seen,
    pairs_of,
    proposed_cursor,
    proposed_deleted,
    proposed_key,
)
from lakeray.values.column_types import parse_type
from lakeray.values.keys import CLAIM
from lakeray.values.model import Column, SourceFile


def columns(**types: str) -> tuple[Column, ...]:
    return tuple(Column(name=name, type=parse_type(kind)) for name, kind in types.items())


def facts(rows: int = 10, pairs: dict[tuple[str, str], int] | None = None, **known: ColumnFacts) -> FileFacts:
    return FileFacts(rows=rows, columns=known, pairs=pairs or {})


UNIQUE, REPEATS, SPARSE = ColumnFacts(0, 10), ColumnFacts(0, 4), ColumnFacts(3, 7)


@pytest.mark.parametrize(
    ("newest", "older", "wanted", "refused"),
    [
        ("BIGINT", "INTEGER", "BIGINT", 0),
        ("INTEGER", "BIGINT", "BIGINT", 0),
        ("DECIMAL(10,2)", "DOUBLE", "DOUBLE", 0),
        ("BIGINT", "VARCHAR", "VARCHAR", 0),
        ("VARCHAR", "BIGINT", "VARCHAR", 0),
        ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", 0),
        ("STRUCT(a BIGINT)", "VARCHAR", "VARCHAR", 0),
        ("STRUCT(a BIGINT)", "STRUCT(b BIGINT)", 'STRUCT("a" BIGINT, "b" BIGINT)', 0),
        ("BLOB", "BIGINT", "BLOB", 1),
    ],
)
def test_where_files_disagree_the_type_is_one_that_most_can_be_taken_by(
    newest: str, older: str, wanted: str, refused: int
) -> None:
    (found,) = columns_seen([columns(it=newest, _airbyte_raw_id="VARCHAR"), columns(it=older)])
    assert (str(found.wanted), found.refused, len(found.types)) == (wanted, refused, 2)


def test_a_column_without_a_value_is_none_and_one_that_files_lack_says_so() -> None:
    found = columns_seen([columns(id="BIGINT", nothing="NULL"), columns(ID="BIGINT", old="VARCHAR")])
    assert [(item.name, item.missing) for item in found] == [("id", 0), ("old", 1)]


SEEN = columns_seen(
    [
        columns(
            order_id="BIGINT",
            line_number="BIGINT",
            email="VARCHAR",
            price="DOUBLE",
            day="DATE",
            who="STRUCT(a BIGINT)",
            created_at="TIMESTAMP WITH TIME ZONE",
            updated_at="VARCHAR",
        )
    ]
)


def test_only_what_can_be_a_key_or_a_cursor_is_asked() -> None:
    assert [name for name, _ in candidates(SEEN)] == [
        *("order_id", "line_number", "email", "day", "created_at", "updated_at")
    ]
    assert pairs_of(SEEN) == [("order_id", "line_number")]


def test_the_key_is_what_its_name_and_the_rows_say() -> None:
    seen = columns_seen([columns(email="VARCHAR", order_id="BIGINT", id="BIGINT")])
    every = facts(email=UNIQUE, order_id=UNIQUE, id=UNIQUE)
    assert proposed_key("orders", seen, [every, every]).columns == ("id",)
    assert "unique in each of 2 files, 20 rows" in proposed_key("orders", seen, [every, every]).evidence
    assert proposed_key("orders", seen, [facts(email=UNIQUE, order_id=REPEATS, id=SPARSE)]).columns == ("order_id",)
    assert "6 rows repeat" in proposed_key("orders", seen, [facts(email=UNIQUE, order_id=REPEATS, id=SPARSE)]).evidence
    assert proposed_key("lines", seen, [facts(email=SPARSE, order_id=UNIQUE, id=SPARSE)]).columns == ("order_id",)
    assert proposed_key("lines", seen, [facts(email=UNIQUE, order_id=REPEATS, id=SPARSE)]).columns == ("email",)


def test_two_columns_are_the_key_when_none_is_alone() -> None:
    known = {"order_id": REPEATS, "line_number": REPEATS, "email": SPARSE, "day": UNIQUE}
    together = facts(pairs={("order_id", "line_number"): 10}, **known)
    assert proposed_key("lines", SEEN, [together]).columns == ("order_id", "line_number")
    apart = facts(pairs={("order_id", "line_number"): 9}, **known)
    assert proposed_key("lines", SEEN, [apart]).columns == ()
    assert "no column" in proposed_key("lines", SEEN, [apart, facts(rows=0)]).evidence


def test_the_cursor_is_a_time_that_grows_and_text_that_says_times_counts() -> None:
    def file(updated: int | None, *, says_times: bool = True) -> FileFacts:
        return facts(created_at=ColumnFacts(0, 10, 1), updated_at=ColumnFacts(0, 10, updated, says_times))

    found = proposed_cursor(SEEN, [file(1), file(3), file(2)])
    assert found.columns == ("updated_at",) and "does not fall in 1 of 2 steps" in found.evidence
    assert proposed_cursor(SEEN, [file(1, says_times=False)]).columns == ("created_at",)
    sparse = facts(created_at=ColumnFacts(0, 10, 1), updated_at=ColumnFacts(2, 8, 1, True))
    assert proposed_cursor(SEEN, [sparse]).columns == ("created_at",)
    nothing = proposed_cursor(columns_seen([columns(id="BIGINT", at="TIMESTAMP")]), [facts(at=UNIQUE)])
    assert nothing.columns == () and "extraction time" in nothing.evidence


def test_a_field_of_deletions_is_known_by_its_name() -> None:
    assert proposed_deleted(columns_seen([columns(id="BIGINT", Deleted_At="TIMESTAMP")])) == "Deleted_At"
    assert proposed_deleted(SEEN) is None


def test_of_many_files_some_are_looked_at_the_newest_among_them() -> None:
    def file(number: int, key: str = "") -> SourceFile:
        day = date(2026, 1, 1) + timedelta(days=number)
        key = key or f"s/t/year={day.year}/month={day.month}/day={day.day}/x.parquet"
        return SourceFile(key=key, etag="e", size_bytes=1, last_modified=datetime(2026, 1, 1, tzinfo=UTC))

    files = [file(number) for number in range(300)]
    found = spread(reversed(files), most=8)
    assert len(found) == 8 and found[-1] == files[-1] and found == sorted(found, key=files.index)
    assert spread([file(0), file(1, key=f"s/t/{CLAIM}")], most=8) == [file(0)]
