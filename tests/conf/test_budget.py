"""Every suite of tests has its share of the time, and the shares together are what the targets may take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.budget import TESTS, lines, shares, suite_of

WORKERS = 2
MINUTES = {"quick": 6, "all": 25}
"""What `make test-quick` and `make test` may take on the clock, on the machine of tests/budget.toml."""
CHECK_S = 45
"""Of it `make check` takes."""
SUITES = {path.parent.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}


def test_every_suite_has_a_share_and_every_share_a_suite() -> None:
    assert shares()["all"].keys() == SUITES
    assert shares()["quick"].keys() <= SUITES and shares()["long"].keys() <= SUITES


@pytest.mark.parametrize("run", MINUTES)
def test_the_shares_are_within_what_the_target_may_take(run: str) -> None:
    assert sum(shares()[run].values()) <= WORKERS * (60 * MINUTES[run] - CHECK_S)


def test_a_suite_over_its_share_is_told_and_one_without_a_share_too() -> None:
    found = dict(lines({"unit": 61.0, "conf": 5.0, "new": 0.1}, {"unit": 60.0, "conf": 5.0}))
    assert list(found.values()) == [True, False, True]
    assert [line.split() for line in found] == [
        ["unit", "61.0", "s", "of", "60", "s", "OVER"],
        ["conf", "5.0", "s", "of", "5", "s"],
        ["new", "0.1", "s", "no", "share", "OVER"],
    ]


def test_a_test_belongs_to_the_folder_it_is_in() -> None:
    assert suite_of("tests/contract/test_lake.py::test_x[tests/unit]") == "contract"


def test_the_run_says_it_at_the_end_whatever_worker_a_test_ran_on() -> None:
    words = ["-q", "--numprocesses", "2", "--budget", "quick", "tests/unit/test_halves.py", "tests/conf/test_crash.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    told = ran.stdout.partition("seconds of tests by suite")[2]
    assert {line.split()[0] for line in told.splitlines() if line.startswith(("unit", "conf"))} == {"unit", "conf"}
