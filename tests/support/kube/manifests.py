"""Manifests, built and judged: what a cluster would refuse, and what does not follow from the settings."""

from __future__ import annotations

import functools
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import InvalidSchemaError, SchemaNotFoundError, ValidationError, VersionNotSupportedError

from lakeray.cli.commands.kuberay import rendered
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.rayjob import WORDS
from tests.support.kube.operator import operator_problems
from tests.support.kube.schema import rule_problems, schema_problems
from tests.support.real.lake import PROJECT

KUBERNETES = "1.33"
SECRETS = {"lakeray", "lakeray-catalog-owner", "seaweedfs"}
"""The Secrets that docs/deploy.md tells to make."""
CNPG: dict[str, Any] = {
    "instances": int,
    "bootstrap": {"initdb": {"database": str, "owner": str, "secret": {"name": str}}},
    "postgresql": {"parameters": {"max_connections": str}},
    "storage": {"size": str},
    "resources": {"requests": {"cpu": str, "memory": str}, "limits": {"memory": str}},
}
"""What we use of CloudNativePG's Cluster. Its CRD is not here: a field beyond these is not known to be one."""


def built(overlay: str) -> list[dict[str, Any]]:
    """The manifests that ``kubectl kustomize`` makes of an overlay; without kubectl a test skips, and says so."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on this machine: nothing builds the overlays")
    made = subprocess.run(
        ["kubectl", "kustomize", str(PROJECT / "kuberay" / overlay)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return list(yaml.safe_load_all(made.stdout))


def problems(manifests: list[dict[str, Any]]) -> list[str]:
    """All that is wrong with the manifests of one overlay; whatever CronJobs submit is judged, too."""
    jobs = [job for manifest in manifests for job in submitted(manifest)]
    found = [text for manifest in [*manifests, *jobs] for text in of_one(manifest)]
    return found + list(_references([*manifests, *jobs]))


def of_one(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with one manifest by itself."""
    kind, version = manifest.get("kind"), manifest.get("apiVersion")
    if kind == "RayJob":
        own = schema_problems(manifest)
        return own or rule_problems(manifest) + operator_problems(manifest) + figure_problems(manifest)
    if (version, kind) == ("postgresql.cnpg.io/v1", "Cluster"):
        return [f"CNPG: {text}" for text in _reduced(manifest.get("spec"), CNPG, at="spec")]
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except (ValidationError, SchemaNotFoundError, InvalidSchemaError, VersionNotSupportedError) as error:
        return [f"core: {kind} {manifest.get('metadata', {}).get('name')}: {getattr(error, 'message', error)}"[:300]]
    return []


def figure_problems(manifest: dict[str, Any]) -> list[str]:
    """Where a RayJob differs from what its words render to; its image and namespace are the overlay's."""
    words = shlex.split(manifest["metadata"].get("annotations", {}).get(WORDS, ""))
    made = _of_words("render", *words)
    return [f"figure: {at}: {have!r}, not {want!r}" for at, have, want in _differences(manifest, made, at="")]


def submitted(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The RayJobs that a CronJob's containers submit."""
    if manifest.get("kind") != "CronJob":
        return
    pod = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for container in pod.get("initContainers", []):
        command, *words = container["args"]
        assert (command, words[0]) == ("kuberay", "submit")
        images = [f"kuberay.image={item['value']}" for item in container["env"] if item["name"] == "LAKERAY_IMAGE"]
        yield _of_words(*words, *images)


@functools.cache
def _of_words(action: str, *words: str) -> dict[str, Any]:
    """The RayJob of a command's words."""
    return rendered(settings_of(parse(["kuberay", action, *words])), words)


def _differences(have: Any, want: Any, *, at: str) -> Iterator[tuple[str, Any, Any]]:
    if at.endswith((".image", ".metadata.namespace")):
        return
    if isinstance(have, dict) and isinstance(want, dict):
        for key in sorted(have.keys() | want.keys()):
            yield from _differences(have.get(key), want.get(key), at=f"{at}.{key}")
    elif isinstance(have, list) and isinstance(want, list) and len(have) == len(want):
        for index, (one, other) in enumerate(zip(have, want, strict=True)):
            yield from _differences(one, other, at=f"{at}[{index}]")
    elif have != want:
        yield at.lstrip("."), have, want


def _reduced(value: Any, known: Any, *, at: str) -> Iterator[str]:
    if isinstance(known, type):
        if not isinstance(value, known):
            yield f"{at}: {value!r} is no {known.__name__}"
    elif not isinstance(value, dict):
        yield f"{at}: {value!r} is no object"
    else:
        for key, item in value.items():
            if key in known:
                yield from _reduced(item, known[key], at=f"{at}.{key}")
            else:
                yield f"{at}.{key} is not known"


def _references(manifests: list[dict[str, Any]]) -> Iterator[str]:
    """Names that nothing of the overlay has, nor docs/deploy.md tells to make."""
    have = {kind: {item["metadata"]["name"] for item in manifests if item.get("kind") == kind} for kind in _KINDS}
    alone = "ServiceAccount" not in {item.get("kind") for item in manifests}  # beside another overlay, in its namespace
    base = have if not alone else {kind: {"lakeray"} for kind in _KINDS}
    for manifest in manifests:
        for pod in _pods(manifest):
            yield from _of_pod(pod, base)


_KINDS = ("ServiceAccount", "ConfigMap")


def _of_pod(pod: dict[str, Any], have: dict[str, set[str]]) -> Iterator[str]:
    account = pod.get("serviceAccountName")
    if account is not None and account not in have["ServiceAccount"]:
        yield f"reference: no ServiceAccount {account}"
    secrets = {volume["secret"]["secretName"] for volume in pod.get("volumes", []) if "secret" in volume}
    for container in [*pod.get("initContainers", []), *pod.get("containers", [])]:
        for item in container.get("env", []):
            secrets |= (
                {item["valueFrom"]["secretKeyRef"]["name"]} if "secretKeyRef" in item.get("valueFrom", {}) else set()
            )
        for source in container.get("envFrom", []):
            name = source.get("configMapRef", {}).get("name")
            if name not in have["ConfigMap"]:
                yield f"reference: no ConfigMap {name}"
    yield from (f"reference: no Secret {name}" for name in sorted(secrets - SECRETS))


def _pods(value: Any) -> Iterator[dict[str, Any]]:
    """Every pod's spec within a manifest."""
    if isinstance(value, dict):
        if "containers" in value:
            yield value
        for item in value.values():
            yield from _pods(item)
    if isinstance(value, list):
        for item in value:
            yield from _pods(item)
