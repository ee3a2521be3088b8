"""``kuberay render|submit|follow|cancel``: the same settings as a RayJob, written down, sent, waited for, deleted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import yaml

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.ports.rayjobs import RayJobs, RayJobState
from lakeray.rayjob import rayjob
from lakeray.settings.values import Settings
from lakeray.values.errors import LeaseHeldError, TryAgainError, UsageError, nearest

_ACTIONS = ("render", "submit", "follow", "cancel")
_POLL_S = 5.0
_GOING_S = 120.0
"""How long a RayJob that is deleted may take to go: its pods end first."""
_SPARE_S = 600.0
"""Beyond its own deadlines a RayJob is waited for so long."""

Sleep = Callable[[float], None]


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """One action; ``follow`` exits 0 when the job succeeded and 1 when it failed."""
    action, words = arguments[0] if arguments else "", tuple(arguments[1:])
    if action not in _ACTIONS:
        raise UsageError(
            "kuberay", expected="render, submit, follow or cancel", found=repr(action), todo=nearest(action, _ACTIONS)
        )
    if action == "render":
        manifest = rendered(settings, words)
        out.result(manifest, text=as_yaml(manifest).rstrip("\n"))
        return 0
    jobs, name = wiring.rayjobs(settings), settings.kuberay.name
    if action == "cancel":
        there = jobs.delete(name)
        out.result({"rayjob": name, "cancelled": there}, text=f"{name}: {'cancelled' if there else 'not there'}")
        return 0
    if action == "submit":
        submit(jobs, rendered(settings, words), sleep=time.sleep)
        out.result({"rayjob": name, "submitted": True}, text=f"{name}: submitted")
        return 0
    state = follow(jobs, settings, sleep=time.sleep)
    document = {"rayjob": name, "deployment": state.deployment, "job": state.job, "message": state.message}
    out.result(document, text=f"{name}: {state.deployment}, {state.job or 'no driver ran'}. {state.message}".rstrip())
    return 0 if state.succeeded else 1


def rendered(settings: Settings, words: Sequence[str]) -> dict[str, Any]:
    """The RayJob of the settings, for the Ray that is installed here."""
    return rayjob(settings, words=words, ray_version=version("ray"))


def as_yaml(manifest: dict[str, Any]) -> str:
    """A manifest as a file has it."""
    values = json.loads(json.dumps(manifest))  # no two places share a value: YAML would write an anchor
    return str(yaml.safe_dump(values, sort_keys=False, width=120, allow_unicode=True))


def submit(jobs: RayJobs, manifest: dict[str, Any], *, sleep: Sleep) -> None:
    """Create it, in place of one of its name that has ended.

    Raises:
        LeaseHeldError: one of its name is at work.
        TryAgainError: one that has ended does not go.
        UsageError: the cluster refuses it.
    """
    name = manifest["metadata"]["name"]
    for _ in range(int(_GOING_S / _POLL_S)):
        if jobs.create(manifest):
            return
        state = jobs.state(name)
        if state is not None and not state.ended:
            raise LeaseHeldError(
                f"RayJob {name}",
                expected="none of this name that is at work",
                found=state.deployment or "one that has just been created",
                todo=f"`lakeray kuberay follow kuberay.name={name}` waits for it; another kuberay.name is another job",
            )
        if state is not None:
            jobs.delete(name, uid=state.uid)  # not one that somebody else has begun meanwhile
        sleep(_POLL_S)
    raise TryAgainError(f"RayJob {name}", expected=f"to go within {_GOING_S:g} s of its deletion", found="still there")


def follow(jobs: RayJobs, settings: Settings, *, sleep: Sleep) -> RayJobState:
    """Wait for its end, within its deadlines.

    Raises:
        TryAgainError: it is not there, or does not end.
    """
    kube = settings.kuberay
    limit_s = (kube.deadline_s + kube.start_deadline_s) * (kube.retries + 1) + _SPARE_S
    for _ in range(int(limit_s / _POLL_S)):
        state = jobs.state(kube.name)
        if state is None:
            raise TryAgainError(
                f"RayJob {kube.name}", expected="one in this namespace", found="none, or it was deleted"
            )
        if state.ended:
            return state
        sleep(_POLL_S)
    raise TryAgainError(f"RayJob {kube.name}", expected=f"its end within {limit_s:g} s", found="it goes on")
