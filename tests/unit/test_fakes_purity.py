"""The core and its fakes run where Ray, DuckDB, pyarrow, dbt and the rest of the world cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_THERE = "('ray', 'duckdb', 'pyarrow', 'dbt', 'obstore', 'hydra', 'omegaconf', 'boto3', 'rich', 'psycopg')"
PROGRAM = f"""
import importlib, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {NOT_THERE}:
            raise ImportError(name + ' must not be imported by the core')

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
ROOMS = ("values", "ports", "steps", "settings", "streams", "airbyte")
ROOT_MODULES = ["lakeray.planning", "lakeray.feed", "lakeray.run"]
IN_ROOMS = (path.relative_to(ROOT) for room in ROOMS for path in (ROOT / "lakeray" / room).glob("*.py"))
CORE = ROOT_MODULES + sorted(".".join(path.with_suffix("").parts) for path in IN_ROOMS)
FAKES = sorted(path.stem for path in (ROOT / "tests" / "support" / "fakes").glob("*.py") if path.stem != "__init__")
TESTS = sorted(path.stem for path in Path(__file__).parent.glob("test_*.py") if path.stem != "test_sample")


@pytest.mark.parametrize(
    "modules",
    [
        CORE,
        [f"tests.support.fakes.{name}" for name in FAKES],
        [f"tests.unit.{name}" for name in TESTS],
    ],
    ids=["core", "fakes", "unit tests"],
)
def test_nothing_of_the_outside_world_is_imported(modules: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
