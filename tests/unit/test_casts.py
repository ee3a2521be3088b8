"""Which casts there are, and which may lose something. What they give is tried on DuckDB (tests/integration)."""

from __future__ import annotations

import pytest
from hypothesis import given

from lakeray.values.casts import cast_sql, castable, loss_sql, lossless
from lakeray.values.column_types import ColumnType, parse_type
from tests.unit.test_column_types import types

UTC_TIME = "TIMESTAMP WITH TIME ZONE"
UNION = "STRUCT(type TEXT, integer BIGINT, string TEXT)"
RAW, ROWS, NONE = "of raw files too", "of rows that are there", "no cast"
MAY_LOSE, KEEPS = True, False


@pytest.mark.parametrize(
    ("found", "wanted", "cast", "loses"),
    [
        ("NULL", "STRUCT(a BIGINT)", RAW, KEEPS),
        ("INTEGER", "INTEGER", RAW, KEEPS),
        ("INTEGER", "BIGINT", RAW, KEEPS),
        ("BIGINT", "INTEGER", RAW, MAY_LOSE),
        ("BIGINT", "DECIMAL(9,2)", RAW, MAY_LOSE),
        ("BIGINT", "VARCHAR", RAW, KEEPS),
        ("BIGINT", "JSON", RAW, KEEPS),
        ("BLOB", "VARCHAR", ROWS, KEEPS),
        ("VARCHAR", "BIGINT", ROWS, MAY_LOSE),
        ("VARCHAR", "DATE", ROWS, MAY_LOSE),
        ("BOOLEAN", "BIGINT", ROWS, MAY_LOSE),
        ("DATE", "BIGINT", NONE, KEEPS),
        ("DATE", "TIMESTAMP", RAW, MAY_LOSE),
        ("DATE", UTC_TIME, RAW, MAY_LOSE),
        ("TIMESTAMP", UTC_TIME, RAW, MAY_LOSE),
        (UTC_TIME, "TIMESTAMP", RAW, MAY_LOSE),
        (UTC_TIME, "DATE", RAW, MAY_LOSE),
        ("TIMESTAMP", "TIMESTAMP_NS", RAW, MAY_LOSE),
        ("BIGINT", UNION, RAW, KEEPS),
        ("DOUBLE", UNION, RAW, KEEPS),
        ("BIGINT", "STRUCT(type TEXT, number DOUBLE)", RAW, MAY_LOSE),
        ("DATE", "STRUCT(type TEXT, number DOUBLE)", NONE, KEEPS),
        ("BIGINT", "STRUCT(a BIGINT)", NONE, KEEPS),
        (UNION, "BIGINT", ROWS, MAY_LOSE),
        ("STRUCT(type TEXT, day DATE)", "BIGINT", NONE, MAY_LOSE),
        (UNION, "VARCHAR", RAW, KEEPS),
        ("STRUCT(street TEXT)", "STRUCT(type TEXT, object STRUCT(street TEXT))", ROWS, KEEPS),
        ("STRUCT(a BIGINT)", "STRUCT(b BIGINT)", NONE, KEEPS),
        ("STRUCT(a BIGINT)", "STRUCT(a DOUBLE, b TEXT)", RAW, MAY_LOSE),
        ("STRUCT(a BIGINT)", "STRUCT(a BIGINT[])", NONE, KEEPS),
        ("BIGINT[]", "BIGINT[]", RAW, KEEPS),
        ("BIGINT[]", "INTEGER[]", RAW, MAY_LOSE),
        ("BIGINT[]", "BIGINT[][]", NONE, KEEPS),
        ("BIGINT[]", "VARCHAR", RAW, KEEPS),
        ("BIGINT", "BIGINT[]", NONE, KEEPS),
        ("BIGINT[]", "BIGINT", NONE, KEEPS),
        ("MAP(TEXT, BIGINT)", "MAP(TEXT, BIGINT)", RAW, KEEPS),
        ("MAP(TEXT, BIGINT)", "MAP(TEXT, INTEGER)", RAW, MAY_LOSE),
        ("MAP(TEXT, BIGINT)", "MAP(TEXT, BIGINT[])", NONE, KEEPS),
        ("MAP(BIGINT, TEXT)", "MAP(INTEGER, TEXT)", NONE, KEEPS),
    ],
)
def test_what_casts_and_what_may_be_lost(found: str, wanted: str, cast: str, loses: bool) -> None:
    old, new = parse_type(found), parse_type(wanted)
    assert (castable(old, new), lossless(old, new)) == (cast != NONE, cast == RAW)
    assert (loss_sql("v", old, new) != "false") is loses


@given(types, types)
def test_a_file_is_converted_only_where_there_is_a_cast(found: ColumnType, wanted: ColumnType) -> None:
    assert castable(found, wanted) or not lossless(found, wanted)


@given(types)
def test_a_type_is_cast_to_itself_without_loss(kind: ColumnType) -> None:
    assert castable(kind, kind) and loss_sql("v", kind, kind) == "false"


def test_names_and_levels_are_kept_apart() -> None:
    old, new = parse_type('STRUCT("it\'s" BIGINT[][])'), parse_type('STRUCT("it\'s" INTEGER[][])')
    assert cast_sql('"v"', old, new) == (
        'CASE WHEN "v" IS NULL THEN NULL ELSE struct_pack("it\'s" := list_transform(struct_extract("v", \'it\'\'s\'), '
        "lambda x0: list_transform(x0, lambda x1: TRY_CAST(x1 AS INTEGER)))) END"
    )
