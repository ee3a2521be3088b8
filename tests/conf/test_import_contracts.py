"""The import contracts of pyproject.toml refuse what they say: a violation of each is planted, and seen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tuple(
    contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
)
_LINE = re.compile(r"^(.*?) (KEPT|BROKEN)\b", re.MULTILINE)

_POSTGRES = "lakeray.adapters.ducklake.backends.postgres.backend"
VIOLATIONS = [
    # (the contract's first words, the module that is changed or new, what it imports)
    ("Rooms", "steps/plan.py", "lakeray.feed"),
    ("Rooms", "planning.py", "lakeray.feed"),
    ("Rooms", "feed.py", "lakeray.run"),
    ("Rooms", "run.py", "lakeray.wiring"),
    ("Rooms", "run.py", "lakeray.adapters.threads.executor"),
    ("Rooms", "ports/storage.py", "lakeray.steps.plan"),
    ("Rooms", "values/keys.py", "lakeray.ports.time"),
    ("Rooms", "wiring.py", "lakeray.cli.terminal"),
    ("Rooms", "a_new_room.py", "lakeray.values.keys"),
    ("Values", "values/memory.py", "lakeray.values.keys"),
    ("Values", "values/a_new_module.py", "re"),
    ("The core needs the standard library", "steps/discover.py", "pyarrow"),
    ("The core needs the standard library", "steps/a_new_step.py", "obstore"),
    ("Steps do not know each other", "steps/progress.py", "lakeray.steps.discover"),
    ("Steps do not know each other", "steps/a_new_step.py", "lakeray.steps.plan"),
    ("Settings, streams", "settings/values.py", "lakeray.ports.time"),
    ("Settings, streams", "streams/generated.py", "lakeray.steps.plan"),
    ("Settings, streams", "sample/files.py", "lakeray.steps.plan"),
    ("Adapters know values and ports", "adapters/system.py", "lakeray.settings.values"),
    ("Adapters know values and ports", "adapters/ray/a_new_module.py", "lakeray.feed"),
    ("Adapters do not know each other", "adapters/ray/executor.py", "lakeray.adapters.ducklake.writing.committer"),
    ("Adapters do not know each other", "adapters/parquet/conversion.py", "lakeray.adapters.ducklake.reading.reader"),
    ("Adapters do not know each other", "adapters/a_new_system.py", "lakeray.adapters.threads.executor"),
    ("DuckLake, one way", "adapters/ducklake/catalog/session.py", "lakeray.adapters.ducklake.writing.committer"),
    ("DuckLake, one way", "adapters/ducklake/values/bound_order.py", "lakeray.adapters.ducklake.catalog.session"),
    ("DuckLake, one way", "adapters/ducklake/statistics/leaves.py", "lakeray.adapters.ducklake.catalog.session"),
    ("DuckLake, one way", "adapters/ducklake/catalog/session.py", "lakeray.adapters.ducklake.statistics.bounds"),
    ("DuckLake, one way", "adapters/ducklake/a_new_module.py", "re"),
    ("Backends of the catalog", "adapters/ducklake/backends/sqlite/backend.py", _POSTGRES),
    ("Backends of the catalog", "adapters/ducklake/backends/backend.py", _POSTGRES),
    ("Backends of the catalog", "adapters/ducklake/backends/a_new_backend.py", "re"),
    ("Which backend there is", "adapters/ducklake/writing/committer.py", _POSTGRES),
    ("Which backend there is", "adapters/ducklake/reading/a_new_module.py", _POSTGRES),
    ("The command line knows no adapter", "cli/commands/feed.py", "lakeray.adapters.system"),
    ("The command line knows no adapter", "cli/commands/why.py", "ray"),
    ("The command line knows no adapter", "cli/parse.py", "omegaconf"),
    ("Each library has its room", "adapters/threads/executor.py", "ray"),
    ("Each library has its room", "adapters/ducklake/writing/committer.py", "dbt.version"),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's source and its contracts, where they can be spoilt."""
    folder = tmp_path_factory.mktemp("planted")
    shutil.copytree(ROOT / "lakeray", folder / "lakeray", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def broken(folder: Path) -> set[str]:
    """The contracts that import-linter says are broken; all must have been judged."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"],
        cwd=folder,
        # Names are folded to the terminal's width; the copy goes before the installed package.
        env={**os.environ, "COLUMNS": "500", "NO_COLOR": "1", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    judged = {name.strip(): state for name, state in _LINE.findall(done.stdout)}
    assert judged.keys() == set(CONTRACTS), done.stdout + done.stderr
    assert (done.returncode == 0) == ("BROKEN" not in judged.values())
    return {name for name, state in judged.items() if state == "BROKEN"}


def test_the_tree_keeps_every_contract(copied: Path) -> None:
    assert broken(copied) == set()


@pytest.mark.parametrize(
    ("contract", "module", "imported"),
    VIOLATIONS,
    ids=[f"{module} imports {imported}" for _, module, imported in VIOLATIONS],
)
def test_a_planted_import_is_refused_by_name(copied: Path, contract: str, module: str, imported: str) -> None:
    (name,) = (name for name in CONTRACTS if name.startswith(contract))
    path = copied / "lakeray" / module
    before = path.read_text(encoding="utf-8") if path.exists() else None
    assert (before is None) == ("a_new_" in module), f"{module}: plant elsewhere, the tree has changed"
    path.write_text(f"{before or ''}\nimport {imported}\n", encoding="utf-8")
    try:
        assert name in broken(copied)
    finally:
        path.unlink() if before is None else path.write_text(before, encoding="utf-8")


def test_every_contract_has_a_planted_violation() -> None:
    assert [name for name in CONTRACTS if not any(name.startswith(start) for start, _, _ in VIOLATIONS)] == []
