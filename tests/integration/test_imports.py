"""What a feed with nothing new imports: it must end in about a second, and every library costs a part of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.real.lake import PROJECT, plain_environment

SLOW = ("ray", "dbt", "duckdb", "psycopg", "pyarrow", "numpy", "pandas", "boto3", "rich", "opentelemetry", "kubernetes")
LOADED = "import sys, {module}; print(' '.join(name for name in {names} if name in sys.modules))"


@pytest.mark.parametrize("module", ["lakeray.wiring", "lakeray.cli.commands.feed", "lakeray.cli.main"])
def test_what_only_some_commands_need_is_not_imported_by_all(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module, names=SLOW)],
        cwd=PROJECT,
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
