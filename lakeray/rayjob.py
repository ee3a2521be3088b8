"""What a command becomes on KubeRay: one RayJob, each of its figures made of a setting (docs/deploy.md).

Pure: settings and words in, a manifest as plain values out. Whoever writes it down or sends it is elsewhere.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from lakeray.settings.values import KuberaySettings, Settings
from lakeray.steps.plan import VALIDATION_RESERVED_BYTES
from lakeray.values.errors import UsageError
from lakeray.values.memory import validation_bytes
from lakeray.values.redaction import names_secret

MIB = 2**20
RAY_BYTES = 2 * 2**30
"""What a pod holds beside lakeray's work: Ray's own processes, and on the head the driver. Assumed, not measured."""
OBJECT_STORE_BYTES = 256 * MIB
"""Of Ray's object store, in each pod: what travels between processes is values, a few MiB."""
SCRATCH_BYTES = 50 * 2**30
"""Of a pod's disk: DuckDB's spill files and fetched raw files are below paths.root."""
FOLDER = "/var/lib/lakeray"
"""paths.root in a pod: a folder of the pod, gone with it. All that stays is in the catalog and on object storage."""
SECRETS = "/run/secrets/lakeray"
PROJECT = "/opt/lakeray"
"""Where an image has the project: ``conf/`` and ``dbt/``."""
USER = 10001
"""Any user but root will do: the image is read only, and the folders of the pod are its group's."""
LONGEST_NAME = 47
"""The operator adds to a RayJob's name, and the whole has to be a name of a service."""
WORDS = "lakeray/words"
"""The annotation that says which words a RayJob was rendered with."""
QUEUE = "kueue.x-k8s.io/queue-name"
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_GRACE_S = 120
"""Between SIGTERM, after which a feed ends its current step, and SIGKILL."""
_IDLE_S = 120


def rayjob(settings: Settings, *, words: Sequence[str], ray_version: str) -> dict[str, Any]:
    """The RayJob of ``feed``, or of ``replay`` where ``replay.from`` is set.

    Args:
        words: what the user said, ``+stream=[shopify/orders]``; those of ``kuberay.`` are of the RayJob, all others the
            command's.
        ray_version: of the Ray in the image.

    Raises:
        UsageError: a word holds a secret, or the settings contradict each other.
    """
    kube = settings.kuberay
    _require(settings, words)
    labels = {"app": "lakeray", "lakeray-job": kube.name}
    metadata: dict[str, Any] = {
        "name": kube.name,
        "namespace": kube.namespace,
        "labels": labels if kube.queue is None else {**labels, QUEUE: kube.queue},
        "annotations": {WORDS: shlex.join(words)},
    }
    spec: dict[str, Any] = {
        "submissionMode": "SidecarMode",
        "entrypoint": shlex.join(entrypoint(settings, words)),
        "backoffLimit": kube.retries,
        "activeDeadlineSeconds": int(kube.deadline_s),
        "preRunningDeadlineSeconds": int(kube.start_deadline_s),
        **_ending(kube),
        "rayClusterSpec": _cluster(settings, labels, ray_version=ray_version),
    }
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": spec}


def entrypoint(settings: Settings, words: Sequence[str]) -> tuple[str, ...]:
    """The command that the driver runs, as words.

    A retry begins while the driver before it may still hold the lease: it waits until Postgres has ended that one
    (P10).
    """
    said = [word for word in words if not _key(word).startswith("kuberay.") and _key(word) != "output"]
    lease_s = settings.lake.lease_timeout_s + 3 * settings.lake.lease_heartbeat_s
    own = ["env=prod", "ray=cluster", "output=json", f"paths.root={FOLDER}", f"lake.lease_wait_s={lease_s:g}"]
    keys = {_key(word) for word in said}
    command = "feed" if settings.replay.from_ is None else "replay"
    return ("lakeray", command, *(word for word in own if _key(word) not in keys), *said)


def container_bytes(settings: Settings) -> int:
    """The memory of each pod: the committer may be on any of them, and validations beside it. Whole MiB."""
    work = settings.batch.memory_bytes + settings.batch.reserved_bytes
    needed = work + task_bytes(settings) + OBJECT_STORE_BYTES + RAY_BYTES
    return -(-needed // MIB) * MIB


def task_bytes(settings: Settings) -> int:
    """What validations may use of a worker, all together: one a CPU, each of the largest batch that there may be."""
    largest = validation_bytes(settings.batch.max_files, reserved_bytes=VALIDATION_RESERVED_BYTES)
    return settings.kuberay.cpus * largest


def _require(settings: Settings, words: Sequence[str]) -> None:
    kube, lake = settings.kuberay, settings.lake
    told = [_key(word) for word in words if names_secret(_key(word)) or _key(word) in ("lake.catalog",)]
    if told:
        raise UsageError(
            told[0],
            expected="no secret among the words: whoever may read a RayJob would read it",
            found="one",
            todo=f"Put it into the Secret {kube.secret_name}, and its variable's name into kuberay.from_files",
        )
    if kube.min_workers > kube.max_workers:
        expected = f"at most kuberay.max_workers ({kube.max_workers})"
        raise UsageError("kuberay.min_workers", expected=expected, found=str(kube.min_workers))
    if len(kube.name) > LONGEST_NAME or _NAME.fullmatch(kube.name) is None:
        expected = f"lower-case letters, digits and -, a letter first, at most {LONGEST_NAME} in all"
        raise UsageError("kuberay.name", expected=expected, found=f"{kube.name!r}, of {len(kube.name)}")
    waits = any(_key(word) == "lake.lease_wait_s" for word in words)
    if waits and kube.retries and lake.lease_wait_s <= lake.lease_timeout_s:
        raise UsageError(
            "lake.lease_wait_s",
            expected=f"more than lake.lease_timeout_s ({lake.lease_timeout_s:g}) where kuberay.retries is not 0",
            found=f"{lake.lease_wait_s:g}",
            todo="A retry would meet the lease of the driver that it stands in for, and give up",
        )


def _ending(kube: KuberaySettings) -> dict[str, Any]:
    """When what has ended goes. A RayJob in a queue is suspended at first, which rules of deletion exclude."""
    if kube.queue is not None:
        return {"suspend": True, "shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": int(kube.keep_failed_s)}
    return {
        "deletionStrategy": {
            "deletionRules": [
                _rule("DeleteCluster", {"jobStatus": "SUCCEEDED"}, 0),
                _rule("DeleteSelf", {"jobStatus": "SUCCEEDED"}, kube.keep_s),
                _rule("DeleteCluster", {"jobStatus": "FAILED"}, kube.keep_failed_s),
                _rule("DeleteSelf", {"jobStatus": "FAILED"}, max(kube.keep_s, kube.keep_failed_s)),
                _rule("DeleteCluster", {"jobDeploymentStatus": "Failed"}, kube.keep_failed_s),
                _rule("DeleteSelf", {"jobDeploymentStatus": "Failed"}, max(kube.keep_s, kube.keep_failed_s)),
            ]
        }
    }


def _rule(policy: str, condition: dict[str, str], after_s: float) -> dict[str, Any]:
    return {"policy": policy, "condition": {**condition, "ttlSeconds": int(after_s)}}


def _cluster(settings: Settings, labels: dict[str, str], *, ray_version: str) -> dict[str, Any]:
    kube = settings.kuberay
    scaled: dict[str, Any] = {
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": {
            "version": "v2",
            "idleTimeoutSeconds": _IDLE_S,
            "resources": {
                "requests": {"cpu": "100m", "memory": "512Mi"},
                "limits": {"cpu": "500m", "memory": "512Mi"},
            },
            "securityContext": _locked(),
        },
    }
    start = {"object-store-memory": str(OBJECT_STORE_BYTES)}
    return {
        "rayVersion": ray_version,
        "authOptions": {"mode": "token"},
        # A queue admits what it is asked for, all at once.
        **(scaled if kube.queue is None else {"enableInTreeAutoscaling": False}),
        "headGroupSpec": {
            "rayStartParams": {**start, "num-cpus": "0"},
            "template": _template(
                settings, {**labels, "lakeray-part": "head"}, name="ray-head", api=kube.queue is None
            ),
        },
        "workerGroupSpecs": [
            {
                "groupName": "workers",
                "replicas": kube.min_workers if kube.queue is None else kube.max_workers,
                "minReplicas": kube.min_workers if kube.queue is None else kube.max_workers,
                "maxReplicas": kube.max_workers,
                "rayStartParams": {**start, "num-cpus": str(kube.cpus), "memory": str(task_bytes(settings))},
                "template": _template(settings, {**labels, "lakeray-part": "worker"}, name="ray-worker", api=False),
            }
        ],
    }


def _template(settings: Settings, labels: dict[str, str], *, name: str, api: bool) -> dict[str, Any]:
    """A pod.

    Args:
        api: whether it gets the service account's token: the autoscaler beside the head asks the cluster for pods.
    """
    kube = settings.kuberay
    return {
        "metadata": {"labels": labels},
        "spec": {
            "serviceAccountName": kube.service_account,
            "automountServiceAccountToken": api,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": _GRACE_S,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [_container(settings, name=name)],
            "volumes": [
                {"name": "secrets", "secret": {"secretName": kube.secret_name, "defaultMode": 0o440}},
                {"name": "scratch", "emptyDir": {"sizeLimit": _mib(SCRATCH_BYTES)}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "2048Mi"}},
                {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _mib(OBJECT_STORE_BYTES)}},
            ],
        },
    }


def _container(settings: Settings, *, name: str) -> dict[str, Any]:
    kube = settings.kuberay
    size = {"cpu": str(kube.cpus), "memory": _mib(container_bytes(settings))}
    return {
        "name": name,
        "image": kube.image,
        "resources": {"requests": size, "limits": dict(size)},
        "envFrom": [{"configMapRef": {"name": kube.config_map}}],
        "env": [
            {"name": "HOME", "value": "/tmp"},
            {"name": "LAKERAY_HOME", "value": PROJECT},
            {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"},
            *({"name": f"{variable}_FILE", "value": f"{SECRETS}/{variable}"} for variable in kube.from_files),
        ],
        "securityContext": _locked(),
        "volumeMounts": [
            {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
            {"name": "scratch", "mountPath": FOLDER},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
        ],
    }


def _locked() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def _mib(size_bytes: int) -> str:
    return f"{size_bytes // MIB}Mi"


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]
