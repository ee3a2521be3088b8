"""How types relate: what can be registered under what, what holds both, how a column may grow."""

from __future__ import annotations

import pytest
from hypothesis import given

from lakeray.values.column_types import ColumnType, parse_type, same_type
from lakeray.values.type_growth import (
    additions,
    covers,
    grows,
    has_place,
    joined,
    merged,
    registrable,
    shown,
    without_nulls,
)
from tests.unit.test_column_types import types

UTC_TIME = "TIMESTAMP WITH TIME ZONE"


@given(types)
def test_a_type_is_all_that_it_is(kind: ColumnType) -> None:
    assert registrable(kind, kind) and grows(kind, kind) and covers(kind, kind)
    assert merged(kind, kind) == kind and joined(kind, kind) == kind
    assert list(additions(kind, kind, path=("c",))) == []


@given(types, types)
def test_what_holds_both_is_one_whichever_comes_first(left: ColumnType, right: ColumnType) -> None:
    one, other = joined(left, right), joined(right, left)
    if one is None or other is None:
        assert one is other
        return
    assert same_type(one, other)
    assert joined(one, left) == one and joined(one, right) == one


@pytest.mark.parametrize(
    ("found", "wanted", "can"),
    [
        ("INTEGER", "BIGINT", True),
        ("UINTEGER", "BIGINT", True),
        ("UBIGINT", "BIGINT", False),
        ("BIGINT", "INTEGER", False),
        ("UINTEGER", "INTEGER", False),
        ("TINYINT", "SMALLINT", True),
        ("SMALLINT", "UBIGINT", False),
        ("FLOAT", "DOUBLE", False),
        ("INTEGER", "DOUBLE", False),
        ("DOUBLE", "FLOAT", False),
        ("BIGINT", "DOUBLE", False),
        ("BIGINT", "VARCHAR", False),
        ("VARCHAR", "JSON", False),
        ("DATE", UTC_TIME, False),
        ("TIMESTAMP", UTC_TIME, False),
        ("DECIMAL(10,2)", "DECIMAL(12,2)", True),
        ("DECIMAL(12,2)", "DECIMAL(10,2)", False),
        ("DECIMAL(5,2)", "DECIMAL(9,4)", False),
        ("BIGINT", "DECIMAL(38,0)", False),
        ("DATE", "TIMESTAMP", False),
        ("INTEGER[]", "BIGINT[]", True),
        ("BIGINT[]", "INTEGER[]", False),
        ("BIGINT", "BIGINT[]", False),
        ("MAP(TEXT, INTEGER)", "MAP(TEXT, BIGINT)", True),
        ("MAP(BIGINT, TEXT)", "MAP(INTEGER, TEXT)", False),
        ("STRUCT(a INTEGER)", "STRUCT(A BIGINT, b TEXT)", True),
        ("STRUCT(a INTEGER, more TEXT)", "STRUCT(a BIGINT)", True),
        ("STRUCT(z TEXT)", "STRUCT(a BIGINT)", False),
        ("STRUCT(a TEXT)", "STRUCT(a BIGINT)", False),
        ("STRUCT(a STRUCT(b TINYINT)[])", "STRUCT(a STRUCT(b BIGINT)[])", True),
        ("STRUCT(a BIGINT)", "VARCHAR", False),
    ],
)
def test_what_is_the_same_or_narrower_can_be_registered(found: str, wanted: str, can: bool) -> None:
    assert registrable(parse_type(found), parse_type(wanted)) is can


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("INTEGER", "BIGINT", "BIGINT"),
        ("TINYINT", "UTINYINT", "SMALLINT"),
        ("UINTEGER", "INTEGER", "BIGINT"),
        ("UBIGINT", "BIGINT", "DECIMAL(20,0)"),
        ("UBIGINT", "TINYINT", "DECIMAL(20,0)"),
        ("DECIMAL(5,2)", "DECIMAL(9,2)", "DECIMAL(9,2)"),
        ("DECIMAL(5,2)", "DECIMAL(9,4)", "DECIMAL(9,4)"),
        ("DECIMAL(9,2)", "DECIMAL(9,4)", "DECIMAL(11,4)"),
        ("BIGINT", "DECIMAL(9,2)", "DECIMAL(21,2)"),
        ("DECIMAL(38,0)", "DECIMAL(38,4)", None),
        ("INTEGER", "DOUBLE", "DOUBLE"),
        ("DECIMAL(9,2)", "FLOAT", "DOUBLE"),
        ("FLOAT", "FLOAT", "FLOAT"),
        ("DATE", "TIMESTAMP", "TIMESTAMP"),
        ("DATE", UTC_TIME, UTC_TIME),
        ("TIMESTAMP_NS", UTC_TIME, UTC_TIME),
        ("TIMESTAMP_NS", "TIMESTAMP", "TIMESTAMP"),
        ("NULL", "STRUCT(a BIGINT)", "STRUCT(a BIGINT)"),
        ("VARCHAR", "JSON", "VARCHAR"),
        ("VARCHAR", "BIGINT", None),
        ("BOOLEAN", "BIGINT", None),
        ("STRUCT(a INTEGER)", "STRUCT(b TEXT, A BIGINT)", "STRUCT(a BIGINT, b TEXT)"),
        ("STRUCT(a INTEGER)", "STRUCT(a TEXT)", None),
        ("STRUCT(a INTEGER)[]", "STRUCT(b TEXT)[]", "STRUCT(a INTEGER, b TEXT)[]"),
        ("MAP(TEXT, INTEGER)", "MAP(TEXT, BIGINT)", "MAP(TEXT, BIGINT)"),
        ("BIGINT", "BIGINT[]", None),
    ],
)
def test_two_types_meet_in_the_least_that_holds_both(left: str, right: str, both: str | None) -> None:
    for one, other in ((left, right), (right, left)):
        found = joined(parse_type(one), parse_type(other))
        assert found is None if both is None else found is not None and same_type(found, parse_type(both))


@pytest.mark.parametrize(
    ("old", "new", "can"),
    [
        ("INTEGER", "BIGINT", True),
        ("DECIMAL(5,2)", "DECIMAL(9,2)", True),
        ("DECIMAL(5,2)", "DECIMAL(9,4)", False),
        ("INTEGER", "DOUBLE", False),
        ("FLOAT", "DOUBLE", False),
        ("DATE", "TIMESTAMP", False),
        ("BIGINT", "INTEGER", False),
        ("STRUCT(a INTEGER)", "STRUCT(b TEXT, A BIGINT)", True),
        ("STRUCT(a INTEGER, b TEXT)", "STRUCT(a INTEGER)", False),
        ("STRUCT(a INTEGER)[]", "STRUCT(a DOUBLE)[]", False),
    ],
)
def test_a_column_grows_where_its_files_stay_readable(old: str, new: str, can: bool) -> None:
    assert grows(parse_type(old), parse_type(new)) is can


def test_fields_are_added_each_by_its_path_in_the_table_s_spelling() -> None:
    old = parse_type("STRUCT(a BIGINT, N STRUCT(x TEXT)[][], m MAP(TEXT, STRUCT(v BIGINT)))")
    new = parse_type("STRUCT(n STRUCT(x TEXT, y STRUCT(z TEXT))[][], m MAP(TEXT, STRUCT(w TEXT)), b TEXT)")
    found = {shown(path): str(kind) for path, kind in additions(old, merged(old, new), path=("c",))}
    assert found == {"c.N[][].y": 'STRUCT("z" VARCHAR)', "c.m.value.w": "VARCHAR", "c.b": "VARCHAR"}
    assert grows(old, merged(old, new)) and covers(merged(old, new), new)


def test_a_path_has_a_place_or_none() -> None:
    kind = parse_type("STRUCT(a STRUCT(B TEXT)[], m MAP(TEXT, BIGINT))")
    for path in ((), ("a",), ("A", "element", "b"), ("m", "value"), ("m", "key")):
        assert has_place(kind, path)
    for path in (("b",), ("a", "b"), ("a", "element", "c"), ("m", "element"), ("m", "value", "x")):
        assert not has_place(kind, path)


def test_fields_without_a_type_hold_nothing() -> None:
    kept = without_nulls(parse_type("STRUCT(a BIGINT, b NULL, c STRUCT(d NULL)[], e MAP(TEXT, NULL))"))
    assert kept == parse_type("STRUCT(a BIGINT)")
    for kind in ("NULL", "NULL[]", "STRUCT(a NULL)", "MAP(TEXT, NULL)"):
        assert without_nulls(parse_type(kind)) is None
