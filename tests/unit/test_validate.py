"""A footer against the contract: what can be registered, what converts, and what is rejected and why (P6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given

from lakeray.steps.validate import EXTRACTED_AT, convertible, registrable, unmapped_fields, verdict
from lakeray.values.column_types import ColumnType, parse_type
from lakeray.values.model import (
    Accepted,
    Cast,
    Column,
    Contract,
    Footer,
    OnMissingColumn,
    OnNewColumn,
    OnTypeChange,
    Rejected,
    RejectReason,
    SourceFile,
)
from tests.unit.test_column_types import types

FILE = SourceFile(key="a/b/x.parquet", etag="e", size_bytes=1, last_modified=datetime(2026, 1, 1, tzinfo=UTC))
TIMES = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
UTC_TIME = "TIMESTAMP WITH TIME ZONE"


def footer(**columns: str) -> Footer:
    made = tuple(Column(name=name, type=parse_type(kind)) for name, kind in columns.items())
    return Footer(rows=1, row_groups=1, columns=made, compressed_bytes=1, uncompressed_bytes=1)


def contract(
    key: str = "id", new=OnNewColumn.ADD, change=OnTypeChange.QUARANTINE, missing=OnMissingColumn.NULL, **cols
):
    return Contract(
        columns=tuple(Column(name=name, type=parse_type(kind)) for name, kind in cols.items()),
        primary_key=(key,),
        on_new_column=new,
        on_type_change=change,
        on_missing_column=missing,
    )


def accepted(given_: Footer, terms: Contract) -> Accepted:
    found = verdict(FILE, given_, terms)
    assert isinstance(found, Accepted), found
    return found


def rejected(given_: Footer, terms: Contract) -> Rejected:
    found = verdict(FILE, given_, terms)
    assert isinstance(found, Rejected), found
    return found


# ---- types ---------------------------------------------------------------------------------------------------------


@given(types)
def test_a_type_can_be_registered_as_itself(kind: ColumnType) -> None:
    assert registrable(kind, kind)
    assert unmapped_fields(kind, kind, path="c") == ()


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
        ("DOUBLE", "FLOAT", False),
        ("BIGINT", "DOUBLE", False),
        ("BIGINT", "VARCHAR", False),
        ("VARCHAR", "JSON", False),
        ("DATE", UTC_TIME, False),
        ("TIMESTAMP", UTC_TIME, False),
        ("DECIMAL(10,2)", "DECIMAL(12,2)", False),
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
    ("found", "wanted", "column", "can"),
    [
        *[(kind, UTC_TIME, "updated_at", True) for kind in TIMES],
        ("BIGINT", UTC_TIME, EXTRACTED_AT, True),
        ("BIGINT", UTC_TIME, "updated_at", False),
        ("NULL", "STRUCT(a BIGINT)", "c", True),
        ("NULL", "VARCHAR", "c", True),
        ("BIGINT", "DOUBLE", "c", True),
        ("UBIGINT", "DOUBLE", "c", False),
        ("VARCHAR", "BIGINT", "c", False),
        ("DATE", UTC_TIME, "c", False),
        ("STRUCT(a BIGINT)", "STRUCT(a TEXT)", "c", False),
        ("TIMESTAMP[]", f"{UTC_TIME}[]", "c", True),
        ("FLOAT", "DOUBLE", "c", True),
        ("TIME WITH TIME ZONE", "TIME", "c", True),
        ("TIME", "TIME WITH TIME ZONE", "c", True),
        ("BIGINT[]", f"{UTC_TIME}[]", EXTRACTED_AT, False),
        ("STRUCT(t TIME WITH TIME ZONE, a BIGINT)", "STRUCT(a BIGINT, t TIME)", "c", True),
        ("STRUCT(t TIME WITH TIME ZONE)", "STRUCT(a BIGINT)", "c", False),
        ("MAP(VARCHAR, FLOAT)", "MAP(VARCHAR, DOUBLE)", "c", True),
        ("MAP(FLOAT, FLOAT)", "MAP(DOUBLE, DOUBLE)", "c", False),
        ("BIGINT[]", "BIGINT", "c", False),
    ],
)
def test_what_converts_without_loss_is_known(found: str, wanted: str, column: str, can: bool) -> None:
    assert convertible(parse_type(found), parse_type(wanted), column=column) is can


def test_nested_fields_without_a_place_are_named_by_path() -> None:
    found = parse_type("STRUCT(a BIGINT, n STRUCT(b BIGINT, x TEXT)[], y TEXT)")
    wanted = parse_type("STRUCT(A BIGINT, n STRUCT(B BIGINT)[])")
    assert unmapped_fields(found, wanted, path="c") == ("c.n[].x", "c.y")


# ---- verdicts ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_as_agreed_is_accepted_as_it_is() -> None:
    found = accepted(footer(id="BIGINT", name="VARCHAR"), contract(id="BIGINT", name="VARCHAR"))
    assert (found.new_columns, found.casts, found.ignored, found.registered_path) == ((), (), (), None)


def test_names_have_no_case() -> None:
    found = accepted(footer(ID="BIGINT", Name="VARCHAR"), contract(id="BIGINT", name="VARCHAR"))
    assert (found.new_columns, found.casts) == ((), ())


def test_names_that_duckdb_tells_apart_are_columns_of_their_own() -> None:
    wanted = {"id": "BIGINT", "é": "TEXT", "s": "TEXT"}
    more = {"É": "TEXT", "ſ": "TEXT"}
    found = verdict(FILE, footer(**(wanted | more)), contract(**wanted))
    assert isinstance(found, Accepted) and [column.name for column in found.new_columns] == ["É", "ſ"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("STRUCT(a BIGINT, A BIGINT)", "x.A"),
        ("STRUCT(b STRUCT(a BIGINT, A BIGINT))[]", "x[].b.A"),
        ("MAP(VARCHAR, STRUCT(a BIGINT, A BIGINT))", "x (value).A"),
        ("MAP(STRUCT(a BIGINT, A BIGINT), VARCHAR)", "x (key).A"),
    ],
)
def test_fields_of_one_name_are_rejected_by_their_path(kind: str, path: str) -> None:
    found = rejected(footer(id="BIGINT", x=kind), contract(id="BIGINT"))
    assert found.reason is RejectReason.DUPLICATE_COLUMN and f"found {path} more than once" in found.detail
    same = kind.replace("A BIGINT", "Ä BIGINT").replace("a BIGINT", '"ä" BIGINT').replace("Ä", '"Ä"')
    assert isinstance(verdict(FILE, footer(id="BIGINT", x=same), contract(id="BIGINT")), Accepted)


def test_names_that_differ_only_in_case_are_rejected() -> None:
    found = rejected(footer(id="BIGINT", a="TEXT", A="TEXT"), contract(id="BIGINT"))
    assert found.reason is RejectReason.DUPLICATE_COLUMN and "found A more than once" in found.detail


def test_a_file_without_its_key_is_rejected_whatever_the_policy() -> None:
    found = rejected(footer(name="VARCHAR"), contract(id="BIGINT", name="VARCHAR"))
    assert found.reason is RejectReason.MISSING_KEY_COLUMN
    assert "expected the key column id" in found.detail and "found name" in found.detail


def test_another_missing_column_is_null_or_rejected() -> None:
    terms = {"id": "BIGINT", "name": "VARCHAR"}
    assert accepted(footer(id="BIGINT"), contract(**terms)).casts == ()
    found = rejected(footer(id="BIGINT"), contract(missing=OnMissingColumn.QUARANTINE, **terms))
    assert found.reason is RejectReason.MISSING_COLUMN and "name" in found.detail


def test_a_changed_type_is_rejected_with_both_types() -> None:
    found = rejected(footer(id="BIGINT", n="VARCHAR"), contract(id="BIGINT", n="BIGINT"))
    assert (found.reason, found.fatal) == (RejectReason.TYPE_CHANGED, False)
    assert found.detail == "column n: expected BIGINT, found VARCHAR"


def test_a_changed_type_fails_the_stream_when_the_policy_says_so() -> None:
    terms = contract(change=OnTypeChange.FAIL, id="BIGINT", n="BIGINT")
    assert rejected(footer(id="BIGINT", n="VARCHAR"), terms).fatal
    assert not rejected(footer(n="BIGINT"), terms).fatal


def test_a_key_of_another_type_is_rejected() -> None:
    assert rejected(footer(id="VARCHAR"), contract(id="BIGINT")).reason is RejectReason.TYPE_CHANGED


def test_a_convertible_column_is_a_cast() -> None:
    found = accepted(footer(id="BIGINT", at="TIMESTAMP_NS"), contract(id="BIGINT", at=UTC_TIME))
    assert found.casts == (Cast(column="at", found=parse_type("TIMESTAMP_NS"), wanted=parse_type(UTC_TIME)),)


def test_a_new_column_is_added_ignored_or_rejected() -> None:
    with_more = footer(id="BIGINT", more="VARCHAR")
    added = accepted(with_more, contract(id="BIGINT"))
    assert added.new_columns == (Column(name="more", type=parse_type("VARCHAR")),) and added.ignored == ()
    ignored = accepted(with_more, contract(new=OnNewColumn.IGNORE, id="BIGINT"))
    assert ignored.new_columns == () and ignored.ignored == ("more",)
    refused = rejected(with_more, contract(new=OnNewColumn.QUARANTINE, id="BIGINT"))
    assert refused.reason is RejectReason.NEW_COLUMN and "more" in refused.detail


@pytest.mark.parametrize("kind", ["NULL", "NULL[]", "STRUCT(a NULL)", "MAP(TEXT, NULL)"])
def test_a_new_column_without_a_type_is_no_new_column(kind: str) -> None:
    assert accepted(footer(id="BIGINT", more=kind), contract(new=OnNewColumn.QUARANTINE, id="BIGINT")).ignored == ()
    assert accepted(footer(id="BIGINT", more=kind), contract(id="BIGINT")).new_columns == ()


def test_a_new_nested_field_is_told_and_rejected_only_by_policy() -> None:
    more = footer(id="BIGINT", s="STRUCT(a BIGINT, b BIGINT)")
    assert accepted(more, contract(id="BIGINT", s="STRUCT(a BIGINT)")).ignored == ("s.b",)
    refused = rejected(more, contract(new=OnNewColumn.QUARANTINE, id="BIGINT", s="STRUCT(a BIGINT)"))
    assert "s.b" in refused.detail


def test_many_columns_are_told_in_one_short_sentence() -> None:
    many = {f"c{number}": "BIGINT" for number in range(20)}
    found = rejected(footer(**many), contract(id="BIGINT"))
    assert "and 12 more" in found.detail
    assert "no columns" in rejected(footer(), contract(id="BIGINT")).detail


def test_a_column_without_a_type_of_its_own_is_no_new_column_however_deep() -> None:
    for kind in ("NULL", "NULL[]", "MAP(NULL, BIGINT)", "MAP(VARCHAR, NULL)", "STRUCT(a BIGINT, b NULL)"):
        assert accepted(footer(id="BIGINT", more=kind), contract(id="BIGINT")).new_columns == (), kind
    for kind in ("MAP(VARCHAR, BIGINT)", "STRUCT(a BIGINT)[]"):
        assert accepted(footer(id="BIGINT", more=kind), contract(id="BIGINT")).new_columns != (), kind


def test_a_plain_value_converts_to_no_nested_type() -> None:
    assert not convertible(parse_type("BIGINT"), parse_type("BIGINT[]"), column="c")
    found = rejected(footer(id="BIGINT", c="BIGINT"), contract(id="BIGINT", c="BIGINT[]"))
    assert (found.reason, found.fatal) == (RejectReason.TYPE_CHANGED, False)


def test_a_file_with_every_column_is_taken_where_a_missing_one_would_reject_it() -> None:
    strict = contract(missing=OnMissingColumn.QUARANTINE, id="BIGINT", a="DATE")
    assert accepted(footer(ID="BIGINT", A="DATE"), strict).ignored == ()
    assert rejected(footer(id="BIGINT"), strict).reason is RejectReason.MISSING_COLUMN


@pytest.mark.parametrize("policy", OnNewColumn)
def test_airbytes_names_of_before_1_0_have_a_place_under_any_policy(policy: OnNewColumn) -> None:
    old = footer(_airbyte_ab_id="VARCHAR", _airbyte_emitted_at="BIGINT", id="BIGINT")
    terms = contract(new=policy, missing=OnMissingColumn.QUARANTINE, _airbyte_raw_id="VARCHAR", id="BIGINT")
    terms = replace(terms, columns=(*terms.columns, Column(name=EXTRACTED_AT, type=parse_type(UTC_TIME))))
    found = accepted(old, terms)
    assert [(column.name, str(column.type)) for column in found.new_columns] == [
        ("_airbyte_ab_id", "VARCHAR"),
        ("_airbyte_emitted_at", UTC_TIME),
    ]
    assert [cast.column for cast in found.casts] == ["_airbyte_emitted_at"] and found.ignored == ()
    again = accepted(old, replace(terms, columns=terms.columns + found.new_columns))
    assert again.new_columns == () and again.casts == found.casts


@pytest.mark.parametrize("policy", OnNewColumn)
def test_a_name_of_lakerays_own_is_refused_where_it_would_be_added(policy: OnNewColumn) -> None:
    file, terms = footer(id="BIGINT", _Lakeray_origin="VARCHAR"), contract(new=policy, id="BIGINT")
    if policy is OnNewColumn.IGNORE:
        assert accepted(file, terms).ignored == ("_Lakeray_origin",)
    else:
        found = rejected(file, terms)
        assert found.reason is RejectReason.RESERVED_COLUMN and "_Lakeray_origin" in found.detail
