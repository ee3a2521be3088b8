"""docs/settings.md lists the settings that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lakeray.cli.compose import PROJECT, compose
from lakeray.cli.parse import parse

_ROW = re.compile(r"^\| `([a-z0-9_.]+)` \|(?:[^|]*\|){3}$", re.MULTILINE)


def composed_keys(env: str, root: Path) -> set[str]:
    config = OmegaConf.to_container(compose(parse(["plan", f"env={env}", f"paths.root={root}"])), resolve=False)
    found: set[str] = set()

    def walk(value: Any, at: str) -> None:
        for name, item in value.items():
            path = f"{at}.{name}" if at else str(name)
            if isinstance(item, dict) and path != "streams":
                walk(item, path)
            else:
                found.add(path)

    walk(config, "")
    return found


def test_every_setting_is_documented_and_every_documented_one_exists(tmp_path: Path) -> None:
    documented = set(_ROW.findall((PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")))
    real = composed_keys("local", tmp_path) | composed_keys("prod", tmp_path)
    assert documented - {"telemetry", "streams"} == real - {"streams"}
