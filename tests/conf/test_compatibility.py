"""Every row of docs/compatibility.md names a test that there is, and the engine is the one that is installed."""

from __future__ import annotations

import ast
import re
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
SECTIONS = {
    title: text
    for title, text in re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", PAGE, flags=re.MULTILINE)
    if title != "Types"  # its cells are compared with what happens: tests/differential/test_other_writers.py
}
_HELD = re.compile(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`$")


def rows(section: str) -> list[str]:
    """The rows of a section's table, without its head."""
    return [line.strip("| ") for line in SECTIONS[section].splitlines() if line.startswith("| ")][1:]


def test_the_page_has_every_part() -> None:
    wanted = {"Values", "Names of columns and fields", "Names of streams", "Key types", "Cursors", "Names of objects"}
    assert SECTIONS.keys() == wanted | {"Layouts", "Engines that read the lake"}
    assert all(rows(section) for section in SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_is_held_by_a_test_that_there_is(section: str) -> None:
    for row in rows(section):
        held = _HELD.search(row)
        assert held is not None, row
        path = ROOT / held[1]
        assert path.is_file(), row
        tests = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
        assert held[2] in tests if held[2] else any(name.startswith("test_") for name in tests), row


def test_the_engine_that_was_tried_is_the_one_that_is_installed() -> None:
    assert f"| DuckDB {version('duckdb')} with" in PAGE
