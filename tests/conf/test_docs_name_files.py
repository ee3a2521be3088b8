"""Docs that say where something is name files and folders that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = re.compile(r"`((?:lakeray|dbt|conf|tests|benchmarks|docs|kuberay|cube|orchestration)/[\w./{}*-]*)`")
NOT_YET = {"lakeray/adapters/airbyte/", "orchestration/", "cube/", "kuberay/"}
"""Rooms that docs/architecture.md names as not there yet."""


def named(page: str) -> set[str]:
    return {found for found in PLACES.findall((ROOT / page).read_text(encoding="utf-8")) if "{" not in found}


def is_there(place: str) -> bool:
    if "*" in place:
        return any(ROOT.glob(place))
    return (ROOT / place).exists()


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "README.md"])
def test_every_place_that_the_page_names_is_there(page: str) -> None:
    assert named(page), "the page names no place"
    assert [place for place in sorted(named(page) - NOT_YET) if not is_there(place)] == []


def test_what_is_not_there_yet_is_not_there() -> None:
    assert [place for place in sorted(NOT_YET) if is_there(place)] == []


def test_the_walk_of_a_source_file_takes_at_most_a_dozen_steps_each_with_its_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    walk = text.split("## One source file", 1)[1].split("##", 1)[0]
    steps = re.findall(r"^\| (\d+) \|.*\| `(lakeray/[\w/]+\.py)` \|$", walk, re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert 8 <= len(steps) <= 12


def test_contributing_says_what_three_trial_changes_touch() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    changes = text.split("## What three changes touch", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (a new [^|]+) \| (.+) \|$", changes, re.MULTILINE)
    assert [what for what, _ in rows] == ["a new catalog backend", "a new retention rule", "a new command"]
    for what, places in rows:
        assert len(PLACES.findall(places)) >= 3, what
