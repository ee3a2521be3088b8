"""Casts as SQL: what each gives, and whether it says that something would be lost. DuckDB itself is the judge."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from lakeray.values.casts import cast_sql, castable, loss_sql, lossless
from lakeray.values.column_types import parse_type, quoted

UTC_TIME = "TIMESTAMP WITH TIME ZONE"
UNION = "STRUCT(type TEXT, integer BIGINT, string TEXT)"
NUMBERS = "STRUCT(type TEXT, number DOUBLE, string TEXT)"
KEPT, LOST = False, True


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET TimeZone = 'UTC'")
        yield opened


CASES = [
    ("BIGINT", "DECIMAL(9,2)", "1", "1.00", KEPT),
    ("BIGINT", "DECIMAL(9,2)", "10000000", None, LOST),
    ("BIGINT", "DECIMAL(9,2)", "NULL", None, KEPT),
    ("BIGINT", "INTEGER", "5000000000", None, LOST),
    ("UBIGINT", "BIGINT", "18446744073709551615", None, LOST),
    ("BIGINT", "DOUBLE", "9007199254740993", "9007199254740992.0", LOST),
    ("BIGINT", "DOUBLE", "9223372036854775807", "9.223372036854776e+18", LOST),
    ("DOUBLE", "BIGINT", "1.5", "2", LOST),
    ("DOUBLE", "BIGINT", "'NaN'", None, LOST),
    ("DOUBLE", "BIGINT", "1e300", None, LOST),
    ("DOUBLE", "DECIMAL(9,2)", "0.1", "0.10", KEPT),
    ("DOUBLE", "DECIMAL(9,2)", "0.125", "0.13", LOST),
    ("DECIMAL(9,2)", "DECIMAL(5,1)", "1.5", "1.5", KEPT),
    ("DECIMAL(9,2)", "DECIMAL(5,1)", "1.25", "1.3", LOST),
    ("FLOAT", "DOUBLE", "0.1", "0.10000000149011612", KEPT),
    ("DATE", "TIMESTAMP", "'2026-01-02'", "2026-01-02 00:00:00", KEPT),
    ("DATE", UTC_TIME, "'2026-01-02'", "2026-01-02 00:00:00+00", KEPT),
    ("DATE", "TIMESTAMP_NS", "'9999-01-01'", None, LOST),
    ("TIMESTAMP", "DATE", "'2026-01-02 00:00:00'", "2026-01-02", KEPT),
    ("TIMESTAMP", "DATE", "'2026-01-02 01:00:00'", "2026-01-02", LOST),
    ("TIMESTAMP_NS", UTC_TIME, "'2026-01-02 00:00:00.000001001'", "2026-01-02 00:00:00.000001+00", LOST),
    (UTC_TIME, "TIMESTAMP", "'2026-01-02 00:00:00+05'", "2026-01-01 19:00:00", KEPT),
    (UTC_TIME, "TIMESTAMP_NS", "'9999-01-02 00:00:00+00'", None, LOST),
    ("VARCHAR", "BIGINT", "'007'", "7", KEPT),
    ("VARCHAR", "BIGINT", "'1.5'", "2", LOST),
    ("VARCHAR", "BIGINT", "'x'", None, LOST),
    ("VARCHAR", "DECIMAL(9,2)", "'1.255'", "1.26", LOST),
    ("VARCHAR", UTC_TIME, "'2026-01-02T00:00:00Z'", "2026-01-02 00:00:00+00", KEPT),
    ("VARCHAR", "JSON", "'x'", None, LOST),
    ("BIGINT", "VARCHAR", "5", "5", KEPT),
    ("BOOLEAN", "BIGINT", "true", "1", KEPT),
    ("BIGINT", "BOOLEAN", "2", "true", LOST),
    ("STRUCT(a BIGINT, b TEXT)", "VARCHAR", "{'a': 1, 'b': 'x'}", '{"a":1,"b":"x"}', KEPT),
    ("BIGINT", UNION, "5", "{'type': integer, 'integer': 5, 'string': NULL}", KEPT),
    ("DOUBLE", UNION, "1.5", "{'type': string, 'integer': NULL, 'string': 1.5}", KEPT),
    ("BIGINT", UNION, "NULL", None, KEPT),
    ("BIGINT", NUMBERS, "5", "{'type': number, 'number': 5.0, 'string': NULL}", KEPT),
    ("BIGINT", NUMBERS, "9007199254740993", "{'type': number, 'number': 9007199254740992.0, 'string': NULL}", LOST),
    (UNION, "BIGINT", "{'type': 'integer', 'integer': 5, 'string': NULL}", "5", KEPT),
    (UNION, "BIGINT", "{'type': 'string', 'integer': NULL, 'string': 'x'}", None, LOST),
    (
        "STRUCT(street TEXT)",
        'STRUCT(type TEXT, "object" STRUCT(street TEXT), string TEXT)',
        "{'street': 'x'}",
        "{'type': object, 'object': {'street': x}, 'string': NULL}",
        KEPT,
    ),
    (
        "STRUCT(a INTEGER, n STRUCT(x DATE)[])",
        "STRUCT(A DOUBLE, z TEXT, n STRUCT(x TIMESTAMP)[])",
        "{'a': 1, 'n': [{'x': '2026-01-01'}, NULL]}",
        "{'A': 1.0, 'z': NULL, 'n': [{'x': '2026-01-01 00:00:00'}, NULL]}",
        KEPT,
    ),
    ("STRUCT(a BIGINT)", "STRUCT(a DOUBLE)", "NULL", None, KEPT),
    ('STRUCT("it\'s" BIGINT)', 'STRUCT("it\'s" DOUBLE)', "{'it''s': 1}", "{'it\\'s': 1.0}", KEPT),
    ("BIGINT[]", "DECIMAL(5,2)[]", "[1, NULL]", "[1.00, NULL]", KEPT),
    ("BIGINT[]", "DECIMAL(5,2)[]", "[1, 1000]", "[1.00, NULL]", LOST),
    ("BIGINT[][]", "DECIMAL(5,2)[][]", "[[1], NULL, [1000]]", "[[1.00], NULL, [NULL]]", LOST),
    ("MAP(TEXT, BIGINT)", "MAP(TEXT, DECIMAL(5,2))", "MAP {'a': 1000}", "{a=NULL}", LOST),
    (
        "MAP(TEXT, STRUCT(x BIGINT[]))",
        "MAP(TEXT, STRUCT(x DOUBLE[]))",
        "MAP {'a': {'x': [1]}}",
        "{a={'x': [1.0]}}",
        KEPT,
    ),
]


@pytest.mark.parametrize(("found", "wanted", "value", "gives", "lost"), CASES)
def test_a_cast_gives_the_value_or_says_that_it_is_lost(
    found: str, wanted: str, value: str, gives: str | None, lost: bool, connection: duckdb.DuckDBPyConnection
) -> None:
    old, new = parse_type(found), parse_type(wanted)
    own = quoted('a "column"')
    made, loss = cast_sql(own, old, new), loss_sql(own, old, new)
    rows = connection.execute(
        "SELECT typeof(made), CAST(made AS VARCHAR), coalesce(loss, false) "
        f"FROM (SELECT {made} AS made, {loss} AS loss FROM (SELECT CAST({value} AS {old}) AS {own}))"
    ).fetchall()
    assert parse_type(rows[0][0]) == new
    assert rows[0][1:] == (gives, lost)


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ("VARCHAR", "STRUCT(a BIGINT)"),
        ("BIGINT", "BIGINT[]"),
        ("STRUCT(a BIGINT)", "STRUCT(b BIGINT)"),
        ("DATE", "BIGINT"),
    ],
)
def test_some_types_have_no_cast(found: str, wanted: str) -> None:
    assert not castable(parse_type(found), parse_type(wanted))
    assert not lossless(parse_type(found), parse_type(wanted))


@pytest.mark.parametrize(("found", "wanted"), [("VARCHAR", "BIGINT"), (UNION, "BIGINT"), ("BOOLEAN", "BIGINT")])
def test_some_casts_are_for_rows_that_are_there_alone(found: str, wanted: str) -> None:
    assert castable(parse_type(found), parse_type(wanted))
    assert not lossless(parse_type(found), parse_type(wanted))
