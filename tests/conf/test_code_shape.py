"""What ruff does not hold of the product's code: how long functions are, whose names they use, what the core needs."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST_LINES = 60
"""No function has more lines (inclusive), its docstring counted."""
USUAL_LINES = 40
"""95 of 100 functions have fewer."""
ALLOWED_PRAGMAS = 0
_MODULES = ("planning.py", "feed.py", "rebuild.py", "run.py", "rayjob.py")
CORE = ("values", "ports", "steps", "settings", "streams", "airbyte", "sample", *_MODULES)
"""What needs the standard library alone."""


def trees(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Every module below the folders, by its path."""
    for folder in folders:
        path = ROOT / folder
        for module in [path] if path.suffix else sorted(path.rglob("*.py")):
            yield str(module.relative_to(ROOT)), ast.parse(module.read_text(encoding="utf-8"))


def lengths(*folders: str) -> list[tuple[int, str]]:
    """Lines of every function, and which it is; the longest first."""
    return sorted(
        (
            (node.end_lineno - node.lineno + 1, f"{path}:{node.lineno} {node.name}")
            for path, tree in trees(*folders)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
        ),
        reverse=True,
    )


@pytest.mark.parametrize("folder", ["lakeray", "benchmarks"])
def test_functions_are_short(folder: str) -> None:
    found = lengths(folder)
    print(*(f"{lines:4} {where}" for lines, where in found[:10]), sep="\n")
    assert [item for item in found if item[0] > LONGEST_LINES] == []
    long = [item for item in found if item[0] >= USUAL_LINES]
    assert len(long) <= 0.05 * len(found), f"{len(long)} of {len(found)}"


def test_no_module_imports_a_private_name_of_another() -> None:
    found = [
        f"{path}:{node.lineno} {alias.name}"
        for path, tree in trees("lakeray", "benchmarks")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import)
        for alias in node.names
        for part in [*(getattr(node, "module", None) or "").split("."), *alias.name.split(".")]
        if part.startswith("_") and not part.startswith("__")
    ]
    assert found == []


def test_the_core_imports_the_standard_library_and_itself() -> None:
    allowed = sys.stdlib_module_names | {"lakeray"}
    found = [
        f"{path}:{node.lineno} {name}"
        for path, tree in trees(*(f"lakeray/{room}" for room in CORE))
        for node in ast.walk(tree)
        for name in imported(node)
        if name.partition(".")[0] not in allowed
    ]
    assert found == []


def test_what_the_coverage_leaves_out_is_counted_and_says_why() -> None:
    # Lines that are not looked at, in what must be covered wholly. More of them is a decision.
    pragmas = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "lakeray").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "pragma:" in line
    ]
    assert len(pragmas) == ALLOWED_PRAGMAS, pragmas
    assert all(re.search(r"# pragma: no (cover|branch) – \S", line) for line in pragmas), pragmas


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        return [node.module or ""]
    return []


CASES = {
    "lakeray/adapters/ducklake/backends/backend.py": 2,  # variables of the environment
    "lakeray/adapters/ducklake/values/column_summary.py": 1,  # a word of DuckLake's catalog
    "lakeray/sample": 4,  # words of made-up data
    "lakeray/settings/conversion.py": 1,  # a unit of bytes
    "lakeray/streams/generated.py": 2,  # words that YAML reads as values
    "lakeray/values/column_types.py": 2,  # words of types
    "lakeray/values/events.py": 1,  # names of our own classes
    "lakeray/values/redaction.py": 3,  # words of secrets
}
"""How often a module may change the case of a text that is no column's name: names.py compares names (ADR 0034)."""
CHANGES_CASE = ("lower", "upper", "casefold", "swapcase", "capitalize")


def test_one_module_compares_names() -> None:
    found: dict[str, int] = {}
    for path, tree in trees("lakeray"):
        place = "lakeray/sample" if path.startswith("lakeray/sample/") else path
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in CHANGES_CASE:
                found[place] = found.get(place, 0) + 1
    assert found == CASES


def test_the_macros_compare_names_by_one_macro() -> None:
    other = re.compile(r"\|\s*(lower|upper|unique)\b|\b(lower|upper)\(")
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for path in (ROOT / "lakeray" / "dbt_package" / "macros").glob("*.sql")
    }
    assert "words.sql" in texts and [name for name, text in texts.items() if other.search(text)] == []
