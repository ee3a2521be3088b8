"""deploy/ and docs/deploy.md: of a form that their readers take, with words and figures that are the settings'."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from lakeray import __version__
from lakeray.cli.compose import settings_of
from lakeray.cli.credentials import OURS
from lakeray.cli.parse import parse
from lakeray.rayjob import MIB, container_bytes
from lakeray.settings.values import Settings
from tests.support.real.lake import PROJECT

DEPLOY = PROJECT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
UNIT = (DEPLOY / "lakeray.service").read_text(encoding="utf-8")
PAGE = (PROJECT / "docs/deploy.md").read_text(encoding="utf-8")


def words_of(line: str) -> list[str]:
    """The words behind ``lakeray`` of a shell's line, up to a redirection or a remark."""
    command = re.split(r"\s+>|\s{3,}", line)[0]
    return shlex.split(command)[1:]


COMMANDS = {
    "compose": COMPOSE["services"]["feed"]["command"][1:],
    "unit": words_of(re.findall(r"^ExecStart=(.+)$", UNIT, re.MULTILINE)[0]),
    "cron": words_of(re.findall(r"\.venv/bin/(lakeray .+)$", (DEPLOY / "crontab").read_text(), re.MULTILINE)[0]),
    "kestra": words_of(yaml.safe_load((DEPLOY / "kestra.yaml").read_text())["tasks"][0]["commands"][0]),
    **{line: words_of(line) for line in re.findall(r"^(lakeray kuberay .+)$", PAGE, re.MULTILINE)},
}


def settings(words: list[str]) -> Settings:
    """Those of a command, on this machine: production's places are not here."""
    return settings_of(parse([word for word in words if word != "env=prod"]))


@pytest.mark.parametrize("where", COMMANDS)
def test_every_command_has_settings_that_there_are(where: str) -> None:
    assert settings(COMMANDS[where]).env == "local"


def test_compose_keeps_to_its_specification_and_a_misspelt_key_does_not() -> None:
    schema = json.loads((PROJECT / "tests/support/kube/compose-spec.json").read_text(encoding="utf-8"))
    assert [error.message for error in Draft7Validator(schema).iter_errors(COMPOSE)] == []
    wrong = {**COMPOSE, "services": {"feed": {**COMPOSE["services"]["feed"], "mem_limt": "1g"}}}
    assert "mem_limt" in str([error.message for error in Draft7Validator(schema).iter_errors(wrong)])


def test_every_secret_of_compose_is_one_that_there_is_and_no_value_is_written_down() -> None:
    for name, service in COMPOSE["services"].items():
        environment = service.get("environment", {})
        used = set(service.get("secrets", []))
        assert used <= COMPOSE["secrets"].keys(), name
        files = {value for key, value in environment.items() if key.endswith("_FILE")}
        assert files <= {f"/run/secrets/{secret}" for secret in used}, name
        assert not {
            key for key in environment if re.search("PASSWORD|SECRET|KEY|TOKEN", key) and not key.endswith("_FILE")
        }
    ours = {key.removesuffix("_FILE") for key in COMPOSE["services"]["feed"]["environment"] if key.endswith("_FILE")}
    assert ours <= set(OURS) and ours == set(re.findall(r"^Environment=(\w+)_FILE=%d/\w+$", UNIT, re.MULTILINE))


def test_the_memory_of_one_machine_is_allowed_and_reserved() -> None:
    made = settings(COMMANDS["unit"]).batch
    needed = made.memory_bytes + made.reserved_bytes
    assert COMPOSE["services"]["feed"]["mem_limit"] == f"{needed}b"
    assert re.findall(r"^MemoryMax=(\d+)$", UNIT, re.MULTILINE) == [str(needed)]


def test_images_are_of_this_version() -> None:
    texts = [path.read_text(encoding="utf-8") for path in [*DEPLOY.iterdir(), *(PROJECT / "kuberay").rglob("*.yaml")]]
    found = {tag for text in texts for tag in re.findall(r"\blakeray:([\w.]+)\b|newTag: (\S+)", text)}
    assert {one or other for one, other in found} == {__version__}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("fault", ["", "MemoryMax=lots", "Typ=oneshot"])
def test_systemd_takes_the_unit_and_not_a_faulty_one(fault: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("lakeray")
    text = UNIT.replace("/opt/lakeray/.venv/bin/lakeray", str(program)).replace("[Service]", f"[Service]\n{fault}")
    (tmp_path / "lakeray.service").write_text(text, encoding="utf-8")
    shutil.copy(DEPLOY / "lakeray.timer", tmp_path)
    told = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / "lakeray.timer"), str(tmp_path / "lakeray.service")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ("lakeray.service" in told.stderr) == bool(fault), told.stderr


def test_the_policy_lets_do_what_is_done_and_no_more() -> None:
    policy = json.loads((DEPLOY / "iam-policy.json").read_text(encoding="utf-8"))
    rights = {
        (action, resource.partition(":::")[2])
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }
    objects = {(action, place) for action, place in rights if "/" in place}
    assert {action for action, _ in rights - objects} == {"s3:ListBucket"}
    assert all(place.endswith(("/raw/*", "/lake/*")) for _, place in objects)
    assert not [action for action, _ in rights if "*" in action]


@pytest.mark.parametrize("row", re.findall(r"^\| (\w+GiB) \| (\d+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE))
def test_the_table_of_sizes_is_what_render_makes(row: tuple[str, ...]) -> None:
    made = settings(
        ["kuberay", "render", "+stream=shopify/orders", f"batch.memory_bytes={row[0]}", f"kuberay.cpus={row[1]}"]
    )
    machine = -(-(made.batch.memory_bytes + made.batch.reserved_bytes) // MIB)
    assert (f"{machine:,}", f"{container_bytes(made) // MIB:,}") == row[2:]


def test_there_is_a_table_of_sizes() -> None:
    assert "SIZE" not in PAGE and len(re.findall(r"^\| \w+GiB \|", PAGE, re.MULTILINE)) == 4
