"""``services up|down|status``: real SeaweedFS and Postgres on this machine, for ``env=dev``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError, nearest

_ACTIONS = ("up", "down", "status")


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Start, stop or look. Starting what runs and stopping what does not are no errors."""
    action = arguments[0] if len(arguments) == 1 else " ".join(arguments)
    if action not in _ACTIONS:
        raise UsageError("services", expected="up, down or status", found=repr(action), todo=nearest(action, _ACTIONS))
    services = wiring.services(settings)
    if action == "up":
        services.up()
    elif action == "down":
        services.down()
    found = services.states()
    text = "\n".join(f"{name}: {f'up at {item.address}' if item.up else 'down'}" for name, item in found.items())
    out.result({"services": {name: asdict(item) for name, item in found.items()}}, text=text)
    return 0 if action != "up" or all(item.up for item in found.values()) else 1
