"""A footer against the contract: what can be registered, what converts, and what is rejected and why (P6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lakeray.steps.validate import EXTRACTED_AT, convertible, effective, verdict
from lakeray.values.column_types import parse_type
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
from lakeray.values.type_growth import has_place, merged

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


@pytest.mark.parametrize(
    ("found", "wanted", "column", "can"),
    [
        *[(kind, UTC_TIME, "updated_at", True) for kind in TIMES],
        ("BIGINT", UTC_TIME, EXTRACTED_AT, True),
        ("BIGINT", UTC_TIME, "updated_at", False),
        ("NULL", "STRUCT(a BIGINT)", "c", True),
        ("NULL", "VARCHAR", "c", True),
        ("BIGINT", "DOUBLE", "c", True),
        ("UBIGINT", "DOUBLE", "c", True),
        ("FLOAT", "DOUBLE", "c", True),
        ("BIGINT", "INTEGER", "c", True),
        ("DOUBLE", "BIGINT", "c", True),
        ("DECIMAL(5,2)", "DECIMAL(9,4)", "c", True),
        ("BIGINT", "DECIMAL(9,2)", "c", True),
        ("BIGINT", "VARCHAR", "c", True),
        ("VARCHAR", "BIGINT", "c", False),
        ("VARCHAR", UTC_TIME, "c", False),
        ("BOOLEAN", "BIGINT", "c", False),
        ("BLOB", "VARCHAR", "c", False),
        ("DATE", UTC_TIME, "c", True),
        ("DATE", "TIMESTAMP", "c", True),
        ("TIMESTAMP", "DATE", "c", True),
        ("BIGINT", "TIMESTAMP", "c", False),
        ("STRUCT(a BIGINT)", "STRUCT(a TEXT)", "c", True),
        ("STRUCT(a BIGINT)", "STRUCT(b BIGINT)", "c", False),
        ("STRUCT(a BIGINT)", "VARCHAR", "c", True),
        ("TIMESTAMP[]", f"{UTC_TIME}[]", "c", True),
        ("BIGINT", "BIGINT[]", "c", False),
        ("MAP(TEXT, BIGINT)", "MAP(TEXT, DOUBLE)", "c", True),
        ("MAP(BIGINT, TEXT)", "MAP(TEXT, TEXT)", "c", False),
        ("BIGINT", "STRUCT(type TEXT, integer BIGINT, string TEXT)", "c", True),
        ("BOOLEAN", "STRUCT(type TEXT, integer BIGINT, string TEXT)", "c", True),
        ("BOOLEAN", "STRUCT(type TEXT, integer BIGINT)", "c", False),
        ("BIGINT", "STRUCT(a BIGINT)", "c", False),
        ("STRUCT(type TEXT, integer BIGINT, string TEXT)", "BIGINT", "c", False),
        ("TIME WITH TIME ZONE", "TIME", "c", True),
        ("TIME", "TIME WITH TIME ZONE", "c", True),
        ("BIGINT[]", f"{UTC_TIME}[]", EXTRACTED_AT, False),
        ("STRUCT(t TIME WITH TIME ZONE, a BIGINT)", "STRUCT(a BIGINT, t TIME)", "c", True),
        ("STRUCT(t TIME WITH TIME ZONE)", "STRUCT(a BIGINT)", "c", False),
        ("MAP(FLOAT, FLOAT)", "MAP(DOUBLE, DOUBLE)", "c", False),
        ("BIGINT[]", "BIGINT", "c", False),
    ],
)
def test_what_converts_without_loss_is_known(found: str, wanted: str, column: str, can: bool) -> None:
    assert convertible(parse_type(found), parse_type(wanted), column=column) is can


# ---- verdicts ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_as_agreed_is_accepted_as_it_is() -> None:
    found = accepted(footer(id="BIGINT", name="VARCHAR"), contract(id="BIGINT", name="VARCHAR"))
    assert (found.needs, found.casts, found.left_out, found.registered_path) == ((), (), (), None)


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


@pytest.mark.parametrize("new", [OnNewColumn.ADD, OnNewColumn.IGNORE])
def test_what_ducklake_takes_for_another_type_is_registered_as_a_copy(new: OnNewColumn) -> None:
    given = footer(id="BIGINT", at="TIME", more="TIME[]")
    given = replace(given, columns=tuple(replace(column, copied=column.name != "id") for column in given.columns))
    found = accepted(given, contract(new=new, id="BIGINT", at="TIME"))
    added = (Column(name="more", type=parse_type("TIME[]")),)
    assert found.new_columns == (added if new is OnNewColumn.ADD else ())
    copied = [("at", "TIME"), ("more", "TIME[]")][: 1 + len(found.new_columns)]
    assert [(cast.column, str(cast.wanted)) for cast in found.casts] == copied
    assert all(cast.found == cast.wanted for cast in found.casts)


def test_a_new_column_is_added_ignored_or_rejected() -> None:
    with_more = footer(id="BIGINT", more="VARCHAR")
    added = accepted(with_more, contract(id="BIGINT"))
    assert added.new_columns == (Column(name="more", type=parse_type("VARCHAR")),) and added.left_out == ()
    ignored = accepted(with_more, contract(new=OnNewColumn.IGNORE, id="BIGINT"))
    assert ignored.new_columns == () and ignored.left_out == (("more",),)
    refused = rejected(with_more, contract(new=OnNewColumn.QUARANTINE, id="BIGINT"))
    assert refused.reason is RejectReason.NEW_COLUMN and "more" in refused.detail


@pytest.mark.parametrize("kind", ["NULL", "NULL[]", "STRUCT(a NULL)", "MAP(TEXT, NULL)"])
def test_a_new_column_without_a_type_is_no_new_column(kind: str) -> None:
    assert accepted(footer(id="BIGINT", more=kind), contract(new=OnNewColumn.QUARANTINE, id="BIGINT")).left_out == ()
    assert accepted(footer(id="BIGINT", more=kind), contract(new=OnNewColumn.IGNORE, id="BIGINT")).left_out == ()
    assert accepted(footer(id="BIGINT", more=kind), contract(id="BIGINT")).new_columns == ()


NESTED = [
    ("STRUCT(a BIGINT)", "STRUCT(a BIGINT, b BIGINT)", ["b"], "s.b"),
    ("STRUCT(a BIGINT)", "STRUCT(b BIGINT)", ["b"], "s.b"),
    ("STRUCT(a BIGINT)", "STRUCT(A BIGINT, B TEXT)", ["B"], "s.B"),
    ("STRUCT(a BIGINT)[]", "STRUCT(a BIGINT, b TEXT)[]", ["element", "b"], "s[].b"),
    ("STRUCT(a BIGINT)[][]", "STRUCT(a BIGINT, b TEXT)[][]", ["element", "element", "b"], "s[][].b"),
    ("MAP(TEXT, STRUCT(a BIGINT))", "MAP(TEXT, STRUCT(a BIGINT, b TEXT))", ["value", "b"], "s.value.b"),
    (
        "STRUCT(a STRUCT(n STRUCT(x TEXT)[]))",
        "STRUCT(a STRUCT(n STRUCT(x TEXT, y TEXT)[]))",
        ["a", "n", "element", "y"],
        "s.a.n[].y",
    ),
]


@pytest.mark.parametrize(("have", "found", "path", "shown"), NESTED)
def test_a_new_nested_field_is_added_left_out_or_rejected(have: str, found: str, path: list[str], shown: str) -> None:
    more = footer(id="BIGINT", s=found)
    added = accepted(more, contract(id="BIGINT", s=have))
    (grown,) = added.grown
    assert (added.new_columns, added.casts, added.left_out) == ((), (), ())
    assert has_place(grown.type, tuple(path)) and merged(grown.type, parse_type(have)) == grown.type
    left = accepted(more, contract(new=OnNewColumn.IGNORE, id="BIGINT", s=have)) if "a" in found.lower() else None
    assert left is None or (left.needs, left.left_out) == ((), (("s", *path),))
    refused = (
        rejected(more, contract(new=OnNewColumn.QUARANTINE, id="BIGINT", s=have)) if "a" in found.lower() else None
    )
    assert refused is None or (refused.reason, shown in refused.detail) == (RejectReason.NEW_COLUMN, True)


def test_a_struct_that_shares_no_field_is_another_type_unless_fields_are_added() -> None:
    other = footer(id="BIGINT", s="STRUCT(z TEXT)")
    assert accepted(other, contract(id="BIGINT", s="STRUCT(a BIGINT)")).grown[0].type == parse_type(
        "STRUCT(a BIGINT, z TEXT)"
    )
    refused = rejected(other, contract(new=OnNewColumn.IGNORE, id="BIGINT", s="STRUCT(a BIGINT)"))
    assert refused.reason is RejectReason.TYPE_CHANGED


def test_a_nested_field_without_a_value_is_no_new_field() -> None:
    found = accepted(
        footer(id="BIGINT", s="STRUCT(a BIGINT, b NULL, c STRUCT(d NULL)[])"),
        contract(id="BIGINT", s="STRUCT(a BIGINT)"),
    )
    assert found.needs == ()


def test_what_only_files_brought_grows_and_what_the_config_says_does_not() -> None:
    landing = {"id": "BIGINT", "n": "INTEGER", "s": "STRUCT(a INTEGER, b INTEGER)", "more": "INTEGER"}
    terms = effective(contract(id="BIGINT", n="INTEGER", s="STRUCT(a INTEGER)"), landing)
    assert [column.name for column in terms.columns] == ["id", "n", "s", "more"]
    found = accepted(footer(id="BIGINT", n="BIGINT", s="STRUCT(a BIGINT, b BIGINT)", more="BIGINT"), terms)
    assert {need.name: need.type for need in found.grown} == {
        "s": parse_type("STRUCT(a INTEGER, b BIGINT)"),
        "more": parse_type("BIGINT"),
    }
    assert {cast.column: cast.wanted for cast in found.casts} == {
        "n": parse_type("INTEGER"),
        "s": parse_type("STRUCT(a INTEGER, b BIGINT)"),
    }


@pytest.mark.parametrize(
    ("have", "found"), [("INTEGER", "DOUBLE"), ("DATE", "TIMESTAMP"), ("DECIMAL(9,2)", "DECIMAL(9,4)")]
)
def test_a_column_does_not_become_what_its_files_cannot_be_read_as(have: str, found: str) -> None:
    terms = effective(contract(id="BIGINT"), {"id": "BIGINT", "more": have})
    verdict_ = accepted(footer(id="BIGINT", more=found), terms)
    assert verdict_.grown == ()
    assert verdict_.casts == (Cast(column="more", found=parse_type(found), wanted=parse_type(have)),)


def test_the_config_s_spelling_and_order_stand_and_landing_s_further_fields_stay() -> None:
    terms = effective(
        contract(ID="BIGINT", s="STRUCT(a BIGINT, c TEXT)"), {"id": "BIGINT", "S": "STRUCT(b TEXT, A BIGINT)"}
    )
    assert [(column.name, str(column.type)) for column in terms.columns] == [
        ("ID", "BIGINT"),
        ("s", 'STRUCT("b" VARCHAR, "A" BIGINT, "c" VARCHAR)'),
    ]
    assert terms.declared == contract(ID="BIGINT", s="STRUCT(a BIGINT, c TEXT)").columns


def test_many_columns_are_told_in_one_short_sentence() -> None:
    many = {f"c{number}": "BIGINT" for number in range(20)}
    found = rejected(footer(**many), contract(id="BIGINT"))
    assert "and 12 more" in found.detail
    assert "no columns" in rejected(footer(), contract(id="BIGINT")).detail


def test_a_column_without_a_type_of_its_own_is_no_new_column_however_deep() -> None:
    for kind in ("NULL", "NULL[]", "MAP(NULL, BIGINT)", "MAP(VARCHAR, NULL)", "STRUCT(b NULL)"):
        assert accepted(footer(id="BIGINT", more=kind), contract(id="BIGINT")).new_columns == (), kind
    for kind, added in {
        "MAP(VARCHAR, BIGINT)": "MAP(VARCHAR, BIGINT)",
        "STRUCT(a BIGINT, b NULL)[]": "STRUCT(a BIGINT)[]",
    }.items():
        (column,) = accepted(footer(id="BIGINT", more=kind), contract(id="BIGINT")).new_columns
        assert column.type == parse_type(added)


def test_a_plain_value_converts_to_no_nested_type() -> None:
    assert not convertible(parse_type("BIGINT"), parse_type("BIGINT[]"), column="c")
    found = rejected(footer(id="BIGINT", c="BIGINT"), contract(id="BIGINT", c="BIGINT[]"))
    assert (found.reason, found.fatal) == (RejectReason.TYPE_CHANGED, False)


def test_a_file_with_every_column_is_taken_where_a_missing_one_would_reject_it() -> None:
    strict = contract(missing=OnMissingColumn.QUARANTINE, id="BIGINT", a="DATE")
    assert accepted(footer(ID="BIGINT", A="DATE"), strict).left_out == ()
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
    assert [cast.column for cast in found.casts] == ["_airbyte_emitted_at"] and found.left_out == ()
    again = accepted(old, replace(terms, columns=terms.columns + found.new_columns))
    assert again.new_columns == () and again.casts == found.casts


@pytest.mark.parametrize("policy", OnNewColumn)
def test_a_name_of_lakerays_own_is_refused_where_it_would_be_added(policy: OnNewColumn) -> None:
    file, terms = footer(id="BIGINT", _Lakeray_origin="VARCHAR"), contract(new=policy, id="BIGINT")
    if policy is OnNewColumn.IGNORE:
        assert accepted(file, terms).left_out == (("_Lakeray_origin",),)
    else:
        found = rejected(file, terms)
        assert found.reason is RejectReason.RESERVED_COLUMN and "_Lakeray_origin" in found.detail
