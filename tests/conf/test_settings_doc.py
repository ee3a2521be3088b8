"""docs/settings.md lists the settings that there are, and no others, with the defaults that they have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf

from lakeray.cli.compose import compose
from lakeray.cli.parse import parse
from tests.support.real.lake import PROJECT

_ROW = re.compile(r"^\| `([a-z0-9_.]+)` \| `([^|`]*)` \|(?:[^|]*\|){2}$", re.MULTILINE)
_ANY_ROW = re.compile(r"^\| `([a-z0-9_.]+)` \|(?:[^|]*\|){3}$", re.MULTILINE)
_PLACES = {"prod": ["storage.url=s3://landing/raw", "lake.catalog=postgres:", "lake.data_path=s3://landing/lake"]}
"""What this environment guesses not."""
_TEXT = (PROJECT / "docs" / "settings.md").read_text(encoding="utf-8")


def composed(env: str, root: Path) -> dict[str, Any]:
    words = ["plan", f"env={env}", f"paths.root={root}", *_PLACES.get(env, [])]
    config = OmegaConf.to_container(compose(parse(words)), resolve=True)
    found: dict[str, Any] = {}

    def walk(value: Any, at: str) -> None:
        for name, item in value.items():
            path = f"{at}.{name}" if at else str(name)
            if isinstance(item, dict) and path != "streams":
                walk(item, path)
            else:
                found[path] = item

    walk(config, "")
    return found


def test_every_setting_is_documented_and_every_documented_one_exists(tmp_path: Path) -> None:
    documented = set(_ANY_ROW.findall(_TEXT))
    real = composed("local", tmp_path).keys() | composed("prod", tmp_path).keys()
    assert documented - {"telemetry", "streams"} == real - {"streams"}


def test_every_documented_default_is_the_configs(tmp_path: Path) -> None:
    documented = dict(_ROW.findall(_TEXT))
    assert documented.keys() == set(_ANY_ROW.findall(_TEXT)), "a default that is not in backticks is compared by nobody"
    real = composed("prod", tmp_path) | composed("local", tmp_path)
    places = {str(tmp_path): "{paths.root}", str(PROJECT): "{checkout}"}
    for key in documented.keys() - {"telemetry", "paths.root"}:
        value = real[key]
        for place, name in places.items():
            value = value.replace(place, name) if isinstance(value, str) else value
        assert str(yaml.safe_load(documented[key]) if "{" not in documented[key] else documented[key]) == str(value), (
            key
        )
