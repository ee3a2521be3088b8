"""Which names DuckDB takes for one, and which no column can have (ADR 0034). All of Unicode is asked in integration."""

from __future__ import annotations

import pytest

from lakeray.values.names import MAX_NAME, folded, is_own_name, no_name, same_name, twice


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("ID", "id", True),
        ("É", "é", False),
        ("\u212a", "k", False),  # the Kelvin sign
        ("ſ", "s", False),
        ("İ", "i̇", False),
        ("ß", "SS", False),
        ("a b", "A B", True),
        ("a", "a ", False),
    ],
)
def test_letters_of_the_alphabet_alone_have_no_case(left: str, right: str, same: bool) -> None:
    assert same_name(left, right) is same
    assert twice([left, "other", right]) == ((right,) if same else ())


def test_each_further_name_is_told_as_it_is_written() -> None:
    assert twice(["a", "b", "A", "a", "B", "c"]) == ("A", "a", "B")
    assert folded("Äa_Z") == "Äa_z"


def test_names_of_lakerays_own_are_told_in_any_case() -> None:
    assert is_own_name("_LAKERAY_x") and is_own_name("_lakeray_") and not is_own_name("lakeray_row")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("a\0b", "NUL"),
        ("a" * (MAX_NAME + 1), "1,001 characters; 1,000 are the most"),
        ("a\ud800", "no valid Unicode"),
        ("a" * MAX_NAME, None),
        ("{{ x }} \n\U0001f600", None),
    ],
)
def test_what_no_column_can_be_called(name: str, why: str | None) -> None:
    found = no_name(name)
    assert found is None if why is None else found is not None and why in found
