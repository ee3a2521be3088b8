"""What KubeRay's operator alone knows of a RayJob: it takes the resource and then does nothing but say so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST = 47
_MODES = ("K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode")
_ORDER = ("DeleteWorkers", "DeleteCluster", "DeleteSelf")
_AUTOSCALER_V2 = "RAY_enable_autoscaler_v2"
_TOKENS_SINCE = (2, 52)


def operator_problems(manifest: dict[str, Any]) -> list[str]:
    """What the operator would refuse."""
    spec = manifest.get("spec", {})
    parts = (_name(manifest), _modes(spec), _ending(spec), _cluster(spec))
    return [f"operator: {text}" for part in parts for text in part]


def _name(manifest: dict[str, Any]) -> Iterator[str]:
    name = manifest["metadata"].get("name", "")
    if len(name) > _LONGEST:
        yield f"the name has {len(name)} characters, at most {_LONGEST} go"
    if _NAME.fullmatch(name) is None:
        yield f"the name {name} is no DNS label"


def _modes(spec: dict[str, Any]) -> Iterator[str]:
    mode = spec.get("submissionMode", "K8sJobMode")
    if mode not in _MODES:
        yield f"submissionMode {mode}"
    if not spec.get("rayClusterSpec") and not spec.get("clusterSelector"):
        yield "rayClusterSpec or clusterSelector"
    if mode == "SidecarMode":
        for other in ("submitterPodTemplate", "submitterConfig", "clusterSelector"):
            if other in spec:
                yield f"SidecarMode excludes {other}"
    if mode == "InteractiveMode" and spec.get("backoffLimit"):
        yield "InteractiveMode excludes backoffLimit"
    for key in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if key in spec and spec[key] <= 0:
            yield f"{key} is positive"
    if spec.get("backoffLimit", 0) < 0:
        yield "backoffLimit is not negative"


def _ending(spec: dict[str, Any]) -> Iterator[str]:
    shuts, rules = (
        spec.get("shutdownAfterJobFinishes", False),
        spec.get("deletionStrategy", {}).get("deletionRules", []),
    )
    if spec.get("suspend") and not shuts:
        yield "suspend needs shutdownAfterJobFinishes"
    if spec.get("ttlSecondsAfterFinished") and not shuts:
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
    if rules and shuts:
        yield "deletionRules exclude shutdownAfterJobFinishes"
    after: dict[str, dict[str, int]] = {}
    for rule in rules:
        condition = rule.get("condition", {})
        status = condition.get("jobStatus") or condition.get("jobDeploymentStatus", "")
        policies = after.setdefault(status, {})
        if rule.get("policy") in policies:
            yield f"two rules {rule['policy']} of {status}"
        if rule.get("policy") == "DeleteWorkers" and spec.get("rayClusterSpec", {}).get("enableInTreeAutoscaling"):
            yield "DeleteWorkers excludes the autoscaler"
        policies[rule.get("policy", "")] = condition.get("ttlSeconds", 0)
    for status, policies in after.items():
        seconds = [policies[policy] for policy in _ORDER if policy in policies]
        if seconds != sorted(seconds):
            yield f"what is deleted of {status} goes from the small to the large"


def _cluster(spec: dict[str, Any]) -> Iterator[str]:
    cluster = spec.get("rayClusterSpec") or {}
    if not cluster:
        return
    head = cluster.get("headGroupSpec", {})
    groups = [("head", head), *((group.get("groupName", ""), group) for group in cluster.get("workerGroupSpecs", []))]
    never = cluster.get("autoscalerOptions", {}).get("version") == "v2" or spec.get("submissionMode") == "SidecarMode"
    for name, group in groups:
        pod = group.get("template", {}).get("spec", {})
        if not pod.get("containers"):
            yield f"{name} has no container"
        if never and pod.get("restartPolicy", "Never") != "Never":
            yield f"restartPolicy of {name} is Never"
        start = group.get("rayStartParams", {})
        if group.get("resources") and {"num-cpus", "num-gpus", "memory", "resources"} & set(start):
            yield f"{name} has resources both in rayStartParams and in resources"
        if group.get("minReplicas", 0) > group.get("maxReplicas", 2**31 - 1):
            yield f"minReplicas of {name} exceed maxReplicas"
    environment = [item["name"] for pod in _containers(head) for item in pod.get("env", [])]
    if "version" in cluster.get("autoscalerOptions", {}) and _AUTOSCALER_V2 in environment:
        yield f"autoscalerOptions.version excludes {_AUTOSCALER_V2}"
    if cluster.get("authOptions", {}).get("mode") == "token":
        ray = re.match(r"(\d+)\.(\d+)", cluster.get("rayVersion", ""))
        if ray is None or (int(ray[1]), int(ray[2])) < _TOKENS_SINCE:
            yield "tokens need a rayVersion, 2.52 or newer"


def _containers(group: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = group.get("template", {}).get("spec", {}).get("containers", [])
    return found
