"""Whether what a commit requires holds, and what is said when it does not (P8)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.values.model import ContractIs, CursorIs, LeaseIs, LedgerLacks, Requirement
from lakeray.values.requirements import State, first_unmet, unmet

COLUMNS = {"id": "BIGINT", "name": "VARCHAR", "items": 'STRUCT("price" DECIMAL(10,2), "tags" VARCHAR[])[]'}
STATE = State(token=7, cursor_path="b", columns=COLUMNS, live_keys={"a", "b"})
HOLD: tuple[Requirement, ...] = (
    LeaseIs(token=7),
    CursorIs(path="b"),
    ContractIs(columns=COLUMNS),
    LedgerLacks(keys=("c", "d")),
)


def said(requirement: Requirement, state: State = STATE) -> tuple[str, str] | None:
    refused = unmet(requirement, state)
    if refused is None:
        return None
    assert refused.requirement is requirement
    return refused.expected, refused.found


def test_what_holds_is_not_refused() -> None:
    assert [unmet(requirement, STATE) for requirement in HOLD] == [None] * 4
    assert first_unmet(HOLD, STATE) is None
    assert first_unmet((), STATE) is None
    assert unmet(LedgerLacks(keys=()), STATE) is None
    assert unmet(CursorIs(path=None), replace(STATE, cursor_path=None)) is None


def test_the_first_that_does_not_hold_is_told() -> None:
    lease, cursor = LeaseIs(token=6), CursorIs(path="a")
    found = first_unmet((HOLD[2], cursor, lease), STATE)
    assert found is not None and found.requirement is cursor


@pytest.mark.parametrize(
    ("requirement", "expected", "found"),
    [
        (LeaseIs(token=6), "fencing token 6", "token 7"),
        (CursorIs(path="a"), "cursor a", "b"),
        (CursorIs(path=None), "cursor None", "b"),
        (LedgerLacks(keys=("c", "b", "a")), "files that are not taken in", "taken in already: b"),
    ],
)
def test_a_refusal_says_what_was_expected_and_what_was_found(
    requirement: Requirement, expected: str, found: str
) -> None:
    assert said(requirement) == (expected, found)


def test_no_cursor_is_told_as_none() -> None:
    assert said(CursorIs(path="a"), replace(STATE, cursor_path=None)) == ("cursor a", "None")


def test_a_path_that_is_registered_is_refused_though_the_ledger_lacks_the_key() -> None:
    state = replace(STATE, live_paths={"s3://z", "s3://y"})
    assert said(LedgerLacks(keys=("c",)), state) == ("paths that are not registered", "registered already: s3://y")
    assert said(LedgerLacks(keys=("a",)), state) == ("files that are not taken in", "taken in already: a")


@pytest.mark.parametrize(
    ("columns", "expected", "found"),
    [
        ({**COLUMNS, "more": "DATE"}, "column more DATE", "no such column in the landing table"),
        ({"id": "BIGINT", "items": COLUMNS["items"]}, "no column name", "column name VARCHAR"),
        (COLUMNS | {"id": "INTEGER"}, "column id INTEGER", "id BIGINT"),
        (COLUMNS | {"items": "VARCHAR"}, "column items VARCHAR", f"items {COLUMNS['items']}"),
        (
            COLUMNS | {"items": "STRUCT(price DOUBLE, tags VARCHAR[])[]"},
            "column items[].price DOUBLE",
            "items[].price DECIMAL(10,2)",
        ),
        (
            COLUMNS | {"items": "STRUCT(price DECIMAL(10,2), tags BIGINT[])[]"},
            "column items[].tags[] BIGINT",
            "items[].tags[] VARCHAR",
        ),
        (
            COLUMNS | {"items": "STRUCT(PRICE DECIMAL(10,2), tags VARCHAR[], n BIGINT)[]"},
            "column items[].n BIGINT",
            "items[].n is not there",
        ),
        (
            COLUMNS | {"items": "STRUCT(tags VARCHAR[])[]"},
            "column items[].price not there",
            "items[].price DECIMAL(10,2)",
        ),
        ({"more": "DATE", "id": "INTEGER"}, "column more DATE", "no such column in the landing table"),
    ],
)
def test_the_first_column_that_differs_is_named(columns: dict[str, str], expected: str, found: str) -> None:
    assert said(ContractIs(columns=columns)) == (expected, found)


@pytest.mark.parametrize(
    ("wanted", "there", "expected", "found"),
    [
        ("MAP(VARCHAR, BIGINT)", "MAP(DATE, BIGINT)", "column m (key) VARCHAR", "m (key) DATE"),
        ("MAP(VARCHAR, BIGINT)", "MAP(VARCHAR, DATE)", "column m (value) BIGINT", "m (value) DATE"),
    ],
)
def test_a_map_differs_by_key_or_value(wanted: str, there: str, expected: str, found: str) -> None:
    assert said(ContractIs(columns={"m": wanted}), replace(STATE, columns={"m": there})) == (expected, found)


def test_order_and_spelling_of_types_do_not_matter() -> None:
    other = {"items": "struct(TAGS text[], Price decimal(10, 2))[]", "name": "STRING", "id": "INT64"}
    assert said(ContractIs(columns=other)) is None
    assert said(ContractIs(columns=COLUMNS), replace(STATE, columns=other)) is None


kinds = st.recursive(
    st.sampled_from(["BIGINT", "VARCHAR"]),
    lambda inner: st.one_of(
        inner.map(lambda kind: f"{kind}[]"),
        st.tuples(inner, inner).map(lambda pair: f"MAP({pair[0]}, {pair[1]})"),
        st.dictionaries(st.sampled_from(["a", "B", "c"]), inner, min_size=1).map(
            lambda fields: "STRUCT(" + ", ".join(f"{name} {kind}" for name, kind in fields.items()) + ")"
        ),
    ),
    max_leaves=6,
)
tables = st.dictionaries(st.sampled_from(["x", "y", "z"]), kinds)


@given(wanted=tables, found=tables)
def test_a_contract_holds_both_ways_or_neither_and_a_refusal_names_a_column(
    wanted: dict[str, str], found: dict[str, str]
) -> None:
    one = said(ContractIs(columns=wanted), replace(STATE, columns=found))
    other = said(ContractIs(columns=found), replace(STATE, columns=wanted))
    assert (one is None) == (other is None)
    if wanted == found:
        assert one is None
    if one is not None:
        assert one[0].removeprefix("no ").startswith("column ")
        assert one[0] != one[1]
