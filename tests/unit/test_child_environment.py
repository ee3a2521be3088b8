"""A child gets what it needs by name, and no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.cli.credentials import OURS
from lakeray.values.child_environment import SECRETS, for_child, narrowed
from lakeray.values.redaction import names_secret

NEEDED = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "PYTHONPATH": "x",
    "AWS_REGION": "r",
    "AWS_PROFILE": "p",
    "PGSSLMODE": "require",
}
NOT_NEEDED = {"GITHUB_TOKEN": "t", "MY_APP": "x", "PATHOLOGICAL": "y", "DBT_ENV_SECRET_X": "s", "S3_ENDPOINT": "e"}
NAMES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", min_size=1, max_size=20)


def test_a_child_gets_what_it_needs_and_no_secret() -> None:
    secrets = dict.fromkeys(SECRETS, "hidden")
    assert for_child({**NEEDED, **NOT_NEEDED, **secrets}) == NEEDED
    assert set(OURS) <= SECRETS


def test_what_is_named_is_handed_on() -> None:
    assert for_child({**NOT_NEEDED, "PGPASSWORD": "mine"}, also=["MY_APP", "PGPASSWORD", "NOT_SET"]) == {
        "MY_APP": "x",
        "PGPASSWORD": "mine",
    }


def test_every_variable_that_is_named_like_a_secret_is_one_or_is_not_needed() -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "S3_ACCESS_KEY_ID", "AWS_SESSION_TOKEN"):
        assert names_secret(name) and name in SECRETS


def test_an_environment_is_narrowed_for_the_block_alone() -> None:
    environment = {**NEEDED, **NOT_NEEDED}
    with narrowed(environment, also=["MY_APP"]):
        assert environment == {**NEEDED, "MY_APP": "x"}
        environment["RAY_SET_MEANWHILE"] = "1"
        environment["GITHUB_TOKEN"] = "another"
    assert environment == {**NEEDED, **NOT_NEEDED, "RAY_SET_MEANWHILE": "1", "GITHUB_TOKEN": "another"}


def test_an_error_in_the_block_gives_everything_back() -> None:
    environment = {**NEEDED, **NOT_NEEDED}
    with pytest.raises(KeyError), narrowed(environment):
        raise KeyError("in the block")
    assert environment == {**NEEDED, **NOT_NEEDED}


@given(st.dictionaries(NAMES, st.text()))
def test_narrowing_loses_nothing(environment: dict[str, str]) -> None:
    before = dict(environment)
    with narrowed(environment):
        assert environment.items() <= before.items()
    assert environment == before
