"""Errors: one tree, stable kinds, and the same on the other side of a process."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest

from lakeray.values import errors
from lakeray.values.errors import LakerayError


def below(cls: type[LakerayError]) -> Iterator[type[LakerayError]]:
    for child in cls.__subclasses__():
        yield child
        yield from below(child)


ALL = [LakerayError, *below(LakerayError)]
KINDS = [cls for cls in ALL if "kind" in vars(cls)]


@pytest.mark.parametrize("cls", ALL)
def test_an_error_survives_another_process(cls: type[LakerayError]) -> None:
    error = cls("about", expected="this", found="that", todo="Do so")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls and copy.as_dict() == error.as_dict() and str(copy) == str(error)


def test_kinds_are_unique() -> None:
    assert len({cls.kind for cls in KINDS}) == len(ALL)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^ *(?:│ *)*(?:├── |└── )?(\w+Error)\b", errors.__doc__ or "", flags=re.MULTILINE)
    assert sorted(drawn) == sorted(cls.__name__ for cls in ALL)


def test_exit_codes_are_those_of_the_interface() -> None:
    assert {cls: cls.exit_code for cls in ALL if cls.exit_code != 1} == {errors.UsageError: 2, errors.LeaseHeldError: 3}


def test_an_error_says_what_was_expected_what_was_found_and_what_to_do() -> None:
    error = errors.CatalogError("the lake", expected="a table", found="none", todo="Run `lakeray reconcile`")
    assert str(error) == "the lake; expected a table; found none. Run `lakeray reconcile`"
    assert str(errors.CatalogError("the lake")) == "the lake"
    assert error.as_dict() == {
        "kind": "catalog",
        "about": "the lake",
        "expected": "a table",
        "found": "none",
        "todo": "Run `lakeray reconcile`",
    }
