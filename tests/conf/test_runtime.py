"""What lakeray needs to run is apart from what it is developed with, and fits in 800 MB."""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.real.lake import PROJECT

MOST_BYTES = 800_000_000
"""Of all files of the distributions, without the byte code that pip makes of them."""


def named(path: Path) -> list[Requirement]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def installed(wanted: list[Requirement]) -> dict[str, int]:
    """The bytes of every distribution that these need, themselves included, by name."""
    found: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    waiting = list(wanted)
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        if (name, str(sorted(one.extras))) in seen:
            continue
        seen.add((name, str(sorted(one.extras))))
        there = distribution(one.name)
        found[name] = sum(file.size or 0 for file in there.files or [])
        for text in there.requires or []:
            more = Requirement(text)
            if more.marker is None or any(more.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                waiting.append(more)
    return found


def test_what_runs_fits_and_needs_nothing_that_development_does() -> None:
    runs = installed(named(PROJECT / "requirements.in"))
    assert {"ray", "duckdb", "dbt-core", "pyarrow"} <= runs.keys()
    assert sum(runs.values()) <= MOST_BYTES
    develops = {re.sub(r"[-_.]+", "-", one.name).lower() for one in named(PROJECT / "requirements-dev.in")}
    assert develops & runs.keys() <= {"setuptools"}
