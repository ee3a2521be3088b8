"""What ``--help`` says of the settings is what the config says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from lakeray import __version__
from lakeray.cli.compose import compose, default_of
from lakeray.cli.help import COMMANDS, GROUPS, command_help, overview
from lakeray.cli.parse import parse
from tests.support.real.lake import PROJECT, plain_environment

_DEFAULT = re.compile(r"^([a-z0-9_.]+)=(\S+)  ", re.MULTILINE)
_SETTING = re.compile(r"(?<![\w/.])([a-z0-9_]+(?:\.[a-z0-9_]+)*)=")


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    """Every setting of the composed config by its key, as the config writes it."""
    found: dict[str, Any] = {}

    def walk(value: Any, at: str) -> None:
        for name, item in value.items():
            found[f"{at}{name}"] = item
            if isinstance(item, dict):
                walk(item, f"{at}{name}.")

    walk(OmegaConf.to_container(compose(parse(["plan"])), resolve=False), "")
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_default_that_help_names_is_the_configs(name: str, config: dict[str, Any]) -> None:
    settings = command_help(name, default_of=default_of).partition("with their defaults:\n")[2]
    shown = {key: yaml.safe_load(value) for key, value in _DEFAULT.findall(f"{settings}\n")}
    assert list(shown) == [key for key, _ in COMMANDS[name].settings]
    assert shown == {key: config[key] for key in shown}
    assert {key: type(value) for key, value in shown.items()} == {key: type(config[key]) for key in shown}


@pytest.mark.parametrize("text", [overview(), *(topic.body for topic in COMMANDS.values())], ids=["lakeray", *COMMANDS])
def test_every_setting_in_an_example_exists(text: str, config: dict[str, Any]) -> None:
    assert set(_SETTING.findall(text)) - config.keys() <= {"stream", "key"}


def test_each_command_is_in_one_group_of_the_overview() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)
    assert [line for line in overview().splitlines() if line.endswith(":")] == [f"{name}:" for name in GROUPS]


def test_the_version_is_the_packages() -> None:
    assert run("-m", "lakeray", "--version").stdout == f"lakeray {__version__}\n"


def test_another_config_has_other_defaults(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "conf", tmp_path / "conf")
    batch = tmp_path / "conf" / "batch" / "default.yaml"
    text, changed = re.subn(r"^max_files: \d+", "max_files: 77", batch.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert changed == 1
    batch.write_text(text, encoding="utf-8")
    ran = run("-m", "lakeray", "feed", "--help", LAKERAY_HOME=str(tmp_path))
    assert "batch.max_files=77 " in ran.stdout


def test_the_overview_waits_for_no_config() -> None:
    program = "import sys; from lakeray.cli.main import main; main(['--help']); print('hydra' in sys.modules)"
    assert run("-c", program).stdout.endswith("\nFalse\n")


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env=plain_environment() | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
