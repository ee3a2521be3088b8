"""What a dbt project is made of, as texts to compare: its own files at once, and the code of each enriched model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lakeray.ports.transformer import Node

_ENDINGS = (".sql", ".yml", ".yaml", ".py", ".csv")
_NOT_ITS_OWN = {"target", "logs", "landing", "dbt_packages"}
_PACKAGES = ("lakeray", "dbt", "dbt_duckdb")
"""Whose macros come with a version of lakeray: an upgrade builds no table anew."""


def fingerprint(project_dir: Path) -> str:
    """Another text when a file of the project is another one; reads the files, and asks no dbt."""
    found = hashlib.md5(usedforsecurity=False)
    for path in _own_files(project_dir):
        found.update(f"{path.relative_to(project_dir).as_posix()}\0".encode(errors="surrogateescape"))
        found.update(hashlib.md5(path.read_bytes(), usedforsecurity=False).digest())
    return found.hexdigest()


def _own_files(project_dir: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(project_dir):
        folders[:] = sorted(name for name in folders if name not in _NOT_ITS_OWN and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(_ENDINGS) and not name.startswith("."):
                yield Path(folder, name)


def of_node(node: Any, macros: Mapping[str, Any]) -> str:
    """A model's own text, its config, and the macros that it uses, also through others; not the models it reads."""
    found = hashlib.md5(usedforsecurity=False)
    config = node.config.to_dict() if hasattr(node.config, "to_dict") else {}
    for text in (getattr(node, "raw_code", ""), repr(sorted(config.items(), key=lambda item: item[0]))):
        found.update(f"{text}\0".encode())
    for name in sorted(_used(node, macros)):
        found.update(f"{name}\0{macros[name].macro_sql}\0".encode())
    return found.hexdigest()


def _used(node: Any, macros: Mapping[str, Any]) -> set[str]:
    used: set[str] = set()
    waiting = list(node.depends_on.macros)
    while waiting:
        name = waiting.pop()
        if name in used or name not in macros or macros[name].package_name in _PACKAGES:
            continue
        used.add(name)
        waiting.extend(macros[name].depends_on.macros)
    return used


def of_models(nodes: Mapping[str, Node]) -> dict[str, str]:
    """The code of every enriched model, that of the enriched models it reads in it: by the model's name."""
    enriched = {node.id: node for node in nodes.values() if node.kind == "model" and "enriched" in node.tags}
    codes: dict[str, str] = {}

    def code(node: Node) -> str:
        if node.id not in codes:
            read = sorted(code(enriched[parent]) for parent in node.parents if parent in enriched)
            text = "\0".join([node.code, *read])
            codes[node.id] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return codes[node.id]

    return {node.name: code(node) for node in enriched.values()}
