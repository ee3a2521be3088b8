"""The commands that README.md tells people to type, typed in a fresh copy of the tree."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.real.lake import PROJECT, plain_environment

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_RUN_OTHERWISE = ("make demo", "make test", "make test-long", "git clone", "cd ")
"""The demo and the tests are what CI runs; the copy stands for the clone."""
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "node_modules")


def commands() -> list[str]:
    """Every line of the README's ``sh`` blocks that is a command, in order."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    lines = (line.strip() for block in _BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def as_here(command: str) -> str:
    """The command with the interpreter of this environment for that of the tree's."""
    here = shlex.quote(str(Path(sys.executable).parent))
    python = shlex.quote(sys.executable)
    command = re.sub(r"(?<!\S)\.venv/bin/lakeray\b", f"{python} -m lakeray", command)
    return re.sub(r"(?<!\S)\.venv/bin/", lambda _: f"{here}/", command)


def test_the_readme_has_commands_to_type() -> None:
    assert "make demo" in [re.split(r"\s+#", line)[0].strip() for line in commands()]
    assert any("lakeray" in line for line in commands())


@pytest.mark.timeout(900)
def test_every_command_of_the_readme_ends_well(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(PROJECT, tree, ignore=_NOT_COPIED)
    for command in commands():
        if command.startswith(_RUN_OTHERWISE):
            continue
        done = subprocess.run(
            as_here(command), shell=True, cwd=tree, env=plain_environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
