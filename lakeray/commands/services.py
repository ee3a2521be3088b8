"""``services up|down|status``: real SeaweedFS and Postgres on this machine, for ``env=dev``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lakeray import wiring
from lakeray.adapters.terminal import Output
from lakeray.config import Settings, nearest
from lakeray.errors import UsageError

_ACTIONS = ("up", "down", "status")


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Start, stop or look. Starting what runs and stopping what does not are no errors."""
    action = arguments[0] if len(arguments) == 1 else " ".join(arguments)
    if action not in _ACTIONS:
        raise UsageError("services", expected="up, down or status", found=repr(action), todo=nearest(action, _ACTIONS))
    root = wiring.absolute(settings.paths.root)
    if action == "up":
        _up(settings, root)
    elif action == "down":
        _down(root)
    found = _state(root)
    text = "\n".join(
        f"{name}: {'up at ' + str(item['address']) if item['up'] else 'down'}" for name, item in found.items()
    )
    out.result({"services": found}, text=text)
    return 0 if action != "up" or all(item["up"] for item in found.values()) else 1


def _up(settings: Settings, root: Path) -> None:
    from lakeray.adapters.services import postgres, seaweedfs, state  # wheels that only development installs

    wanted = settings.services
    have = state.read(root) or state.fresh_state(s3_port=wanted.s3_port, postgres_port=wanted.postgres_port)
    state.write(root, have)
    state.write(root, seaweedfs.start(root, have))
    postgres.start(root, have)


def _down(root: Path) -> None:
    from lakeray.adapters.services import postgres, seaweedfs, state

    have = state.read(root)
    if have is not None:
        seaweedfs.stop(have)
        postgres.stop(root)


def _state(root: Path) -> dict[str, dict[str, object]]:
    from lakeray.adapters.services import postgres, seaweedfs, state

    have = state.read(root)
    if have is None:
        return {name: {"up": False, "address": None} for name in ("seaweedfs", "postgres")}
    return {
        "seaweedfs": {"up": seaweedfs.answers(have), "address": have.s3_endpoint},
        "postgres": {"up": postgres.running(root), "address": f"127.0.0.1:{have.postgres_port}"},
    }
