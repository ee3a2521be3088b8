"""Docs that say where something is name files and folders that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = re.compile(r"`((?:lakeray|dbt|conf|tests|benchmarks|docs|kuberay|deploy|cube|orchestration)/[\w./{}*-]*)`")
NOT_YET = {"lakeray/adapters/airbyte/", "orchestration/", "cube/"}
"""Rooms that docs/architecture.md names as not there yet."""


def named(page: str) -> set[str]:
    return {found for found in PLACES.findall((ROOT / page).read_text(encoding="utf-8")) if "{" not in found}


def is_there(place: str) -> bool:
    if "*" in place:
        return any(ROOT.glob(place))
    return (ROOT / place).exists()


BACKEND = "docs/adr/0022-one-backend-of-the-catalog.md"


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md", "README.md", BACKEND])
def test_every_place_that_the_page_names_is_there(page: str) -> None:
    assert named(page), "the page names no place"
    assert [place for place in sorted(named(page) - NOT_YET) if not is_there(place)] == []


def test_the_folders_of_tests_are_told_all_and_no_others() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if any(path.glob("**/*.py"))}
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Tests", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"^\| `(\w+)/` \|", contributing, re.MULTILINE)) == folders
    (row,) = re.findall(r"^\| `tests/` \| (.+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"\w+", row.partition(";")[0])) == folders - {"support"}


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


def test_what_a_third_backend_touches_is_what_the_backends_that_there_are_have_touched() -> None:
    listed = {Path(place) for place in named(BACKEND) if not place.endswith("/")}
    for backend in ("sqlite", "postgres"):
        own = {path.relative_to(ROOT) for path in ROOT.glob(f"lakeray/adapters/ducklake/backends/{backend}/[!_]*.py")}
        assert own <= listed, backend
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| a new catalog backend |"))
    places = [place for place in PLACES.findall(row) if place.startswith("lakeray/")]
    assert places and all(any(str(path).startswith(place) for path in listed) for place in places)


def test_nobody_else_asks_which_catalog_it_is() -> None:
    """A text that names a kind of catalog, in a module that is not listed in the decision."""
    own = ("lakeray/adapters/ducklake/backends/", "lakeray/adapters/lease/", "lakeray/adapters/services/")
    kinds = re.compile(r"(sqlite|postgres)(ql)?([:_].*)?|META(DATA)?_SCHEMA|PG[A-Z]+", re.DOTALL)
    found = []
    for path in sorted((ROOT / "lakeray").rglob("*.py")):
        place = str(path.relative_to(ROOT))
        constants = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        texts = [node.value for node in constants if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        if not place.startswith(own) and any(kinds.fullmatch(text) for text in texts):
            found.append(place)
    variables = "lakeray/values/child_environment.py"  # libpq's, by name: no child gets them
    assert found == ["lakeray/adapters/ducklake/extensions.py", variables, "lakeray/wiring.py"]
