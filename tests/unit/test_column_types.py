"""Types as DuckDB writes them: what is printed reads back, and what cannot be read says where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.values.column_types import (
    ColumnType,
    ListOf,
    MapOf,
    Scalar,
    Struct,
    parse_type,
    quoted,
    same_type,
    unlandable,
)
from lakeray.values.names import folded
from lakeray.values.type_growth import grows

scalars = st.sampled_from(
    ["BIGINT", "INTEGER", "VARCHAR", "DOUBLE", "TIMESTAMP WITH TIME ZONE", "TIME", "DECIMAL(18,3)", "BLOB", "JSON"]
).map(Scalar)
field_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=8)


def of_parts(inner: st.SearchStrategy[ColumnType]) -> st.SearchStrategy[ColumnType]:
    fields = st.lists(st.tuples(field_names, inner), min_size=1, max_size=4, unique_by=lambda field: folded(field[0]))
    return st.one_of(inner.map(ListOf), st.builds(MapOf, scalars, inner), fields.map(tuple).map(Struct))


types: st.SearchStrategy[ColumnType] = st.recursive(scalars, of_parts, max_leaves=8)


@given(types)
def test_what_is_printed_reads_back_as_itself(kind: ColumnType) -> None:
    assert parse_type(str(kind)) == kind
    assert same_type(parse_type(str(kind)), kind)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("string", "VARCHAR"),
        ("int", "INTEGER"),
        ("bigint[][]", "BIGINT[][]"),
        ("timestamptz", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp  with time zone", "TIMESTAMP WITH TIME ZONE"),
        ("Decimal( 10 , 2 )", "DECIMAL(10,2)"),
        ("numeric(10,2)", "DECIMAL(10,2)"),
        ('struct(a int, "b-c" text[])', 'STRUCT("a" INTEGER, "b-c" VARCHAR[])'),
        ('STRUCT("we""ird" BIGINT)[]', 'STRUCT("we""ird" BIGINT)[]'),
        ("map(varchar, struct(x int))", 'MAP(VARCHAR, STRUCT("x" INTEGER))'),
        ("  BIGINT  ", "BIGINT"),
    ],
)
def test_spellings_have_one_form(text: str, printed: str) -> None:
    assert str(parse_type(text)) == printed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "the end"),
        ("BIGINT BIGINT", "BIGINT"),
        ("STRUCT(", "field's name"),
        ("STRUCT(a)", "expected a type"),
        ("STRUCT(a BIGINT", "the end"),
        ("MAP(BIGINT)", "','"),
        ("DECIMAL(x,2)", "a number"),
        ("BIGINT;", "position 6"),
        ("BIGINT[", "position 6"),
        ('"BIGINT"', "expected a type"),
        ("5", "expected a type"),
    ],
)
def test_what_is_no_type_says_where(text: str, named: str) -> None:
    with pytest.raises(ValueError) as wrong:
        parse_type(text)
    assert named in str(wrong.value)


@given(st.text(max_size=30))
def test_any_text_is_a_type_or_a_value_error(text: str) -> None:
    try:
        kind = parse_type(text)
    except ValueError:
        return
    assert parse_type(str(kind)) == kind


def test_struct_fields_have_neither_order_nor_case() -> None:
    assert same_type(parse_type("STRUCT(a BIGINT, B TEXT)[]"), parse_type("STRUCT(b TEXT, A BIGINT)[]"))
    assert not same_type(parse_type("STRUCT(a BIGINT)"), parse_type("STRUCT(a BIGINT, b TEXT)"))
    assert not same_type(parse_type("MAP(TEXT, BIGINT)"), parse_type("MAP(TEXT, INTEGER)"))
    assert not same_type(parse_type("BIGINT"), parse_type("BIGINT[]"))


@given(types)
def test_a_type_grows_into_itself(kind: ColumnType) -> None:
    assert grows(kind, kind)


def test_a_lost_nested_field_is_seen_at_any_depth() -> None:
    old = parse_type("STRUCT(a STRUCT(b BIGINT, c BIGINT)[])")
    assert grows(old, parse_type("STRUCT(A STRUCT(c BIGINT, B BIGINT, d BIGINT)[], x BIGINT)"))
    assert not grows(old, parse_type("STRUCT(a STRUCT(b BIGINT)[])"))
    assert not grows(old, parse_type("STRUCT(a BIGINT)"))
    assert not grows(parse_type("MAP(TEXT, STRUCT(a BIGINT))"), parse_type("MAP(TEXT, STRUCT(b BIGINT))"))


@given(st.text(max_size=10))
def test_a_quoted_identifier_holds_no_lone_quote(name: str) -> None:
    text = quoted(name)
    assert text[0] == text[-1] == '"' and text[1:-1].replace('""', "") == name.replace('"', "")


@given(types)
def test_every_type_of_known_scalars_can_be_landed(kind: ColumnType) -> None:
    assert unlandable(kind) is None


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("BIT", "BIT"),
        ("STRUCT(a BIGINT, b BIT[])", "BIT"),
        ("MAP(VARCHAR, NULL)", "NULL"),
        ("MAP(BIT, VARCHAR)", "BIT"),
        ("STRUCT(a BIGINT, A DATE)[]", 'STRUCT("a" BIGINT, "A" DATE): two fields of one name'),
        ("DECIMAL(39,2)", "DECIMAL(39,2)"),
        ("DECIMAL(0,0)", "DECIMAL(0,0)"),
        ("DECIMAL(4,5)", "DECIMAL(4,5)"),
    ],
)
def test_a_type_that_no_table_can_have_is_told_by_its_part(text: str, part: str) -> None:
    assert unlandable(parse_type(text)) == part


@pytest.mark.parametrize("text", ["DECIMAL(38,38)", "DECIMAL(1,0)", "DECIMAL"])
def test_a_decimal_at_its_bounds_can_be_landed(text: str) -> None:
    assert unlandable(parse_type(text)) is None
