"""What the product does not use is not in the product: tests alone keep nothing alive."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
CALLED_FROM_OUTSIDE = {
    "manipulate_search_path": "Hydra, of a search path plugin",
    "stream_config": "the beginning of the command `new-stream` (interface): Airbyte's schema as a stream's config",
}
"""Functions and methods that no code of ours names, each with who calls it."""

Definition = ast.FunctionDef | ast.ClassDef


def names_in(node: ast.AST) -> Iterator[str]:
    """Names that the code under ``node`` may mean, definitions inside it left out."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.ClassDef():
                continue
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
        yield from names_in(child)


def definitions(node: ast.AST) -> Iterator[Definition]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield child
        else:
            yield from definitions(child)


def unused(modules: dict[str, ast.Module], *, users: list[ast.Module]) -> list[str]:
    """Functions, methods and classes whose names nothing says that is used itself, by ``module:line: name``."""
    waiting = [(f"{path}:{item.lineno}", item) for path, tree in modules.items() for item in definitions(tree)]
    said = {name for tree in modules.values() for name in names_in(tree)}
    for tree in users:
        said.update(name for node in ast.walk(tree) for name in names_in(node))
    while True:
        used = [(at, item) for at, item in waiting if item.name in said or item.name.startswith("__")]
        if not used:
            return sorted(f"{at}: {item.name}" for at, item in waiting)
        for at, item in used:
            waiting.remove((at, item))
            said.update(names_in(item))
            path = at.rpartition(":")[0]
            waiting += [(f"{path}:{inner.lineno}", inner) for inner in definitions(item)]


def parsed(folder: str) -> dict[str, ast.Module]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def test_the_product_or_a_benchmark_uses_whatever_there_is() -> None:
    outside = ast.parse("\n".join(f"{name}()" for name in [*CALLED_FROM_OUTSIDE, "main"]))
    assert unused(parsed("lakeray"), users=[outside, *parsed("benchmarks").values()]) == []


def test_no_exception_is_needed_no_longer() -> None:
    found = unused(parsed("lakeray"), users=[ast.parse("main()"), *parsed("benchmarks").values()])
    assert {line.rpartition(" ")[2] for line in found} >= CALLED_FROM_OUTSIDE.keys()


def test_what_only_dead_code_uses_is_dead_too() -> None:
    tree = ast.parse("def alive(): helped()\ndef helped(): pass\ndef dead(): deader()\ndef deader(): pass\nalive()")
    assert unused({"m": tree}, users=[]) == ["m:3: dead", "m:4: deader"]
