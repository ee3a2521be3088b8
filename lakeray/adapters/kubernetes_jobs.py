"""RayJobs by Kubernetes' official client."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from urllib3.exceptions import HTTPError

from lakeray.ports.rayjobs import RayJobState
from lakeray.values.errors import TryAgainError, UsageError

_GROUP, _VERSION, _PLURAL = "ray.io", "v1", "rayjobs"
_TIMEOUT_S = 30
_NOT_FOUND, _CONFLICT = 404, 409
_REFUSED = (400, 401, 403, 422)


@dataclass(frozen=True, slots=True)
class KubernetesRayJobs:
    """The ``RayJobs`` port: in a pod by its service account, elsewhere by the kubeconfig.

    A request that was answered is answered once; none is repeated by itself.
    """

    namespace: str

    def create(self, manifest: Mapping[str, Any]) -> bool:
        """See ``RayJobs``."""
        with _api() as api:
            return _found(
                lambda: api.create_namespaced_custom_object(
                    _GROUP,
                    _VERSION,
                    self.namespace,
                    _PLURAL,
                    dict(manifest),
                    field_validation="Strict",  # a field that is not known is an error, not left out
                    _request_timeout=_TIMEOUT_S,
                ),
                unless=(_CONFLICT,),
            )[0]

    def state(self, name: str) -> RayJobState | None:
        """See ``RayJobs``."""
        with _api() as api:
            there, found = _found(
                lambda: api.get_namespaced_custom_object(
                    _GROUP, _VERSION, self.namespace, _PLURAL, name, _request_timeout=_TIMEOUT_S
                ),
                unless=(_NOT_FOUND,),
            )
        if not there:
            return None
        status = found.get("status") or {}
        return RayJobState(
            deployment=status.get("jobDeploymentStatus") or "",
            job=status.get("jobStatus") or "",
            message=status.get("message") or "",
            uid=found.get("metadata", {}).get("uid", ""),
        )

    def delete(self, name: str, *, uid: str | None = None) -> bool:
        """See ``RayJobs``."""
        meant = None if uid is None else client.V1DeleteOptions(preconditions=client.V1Preconditions(uid=uid))
        with _api() as api:
            return _found(
                lambda: api.delete_namespaced_custom_object(
                    _GROUP,
                    _VERSION,
                    self.namespace,
                    _PLURAL,
                    name,
                    propagation_policy="Background",
                    body=meant,
                    _request_timeout=_TIMEOUT_S,
                ),
                unless=(_NOT_FOUND,) if uid is None else (_NOT_FOUND, _CONFLICT),
            )[0]


@contextmanager
def _api() -> Iterator[Any]:
    """The custom objects of the cluster that the pod, or the kubeconfig, says.

    Raises:
        UsageError: neither says one.
    """
    configuration = client.Configuration()
    try:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except ConfigException:
            config.load_kube_config(os.environ.get("KUBECONFIG"), client_configuration=configuration)
    except (ConfigException, OSError) as error:
        raise UsageError(
            "kuberay",
            expected="a pod with a service account's token, or a kubeconfig ($KUBECONFIG, ~/.kube/config)",
            found=str(error).split("\n", 1)[0],
        ) from None
    configuration.retries = False
    with client.ApiClient(configuration) as connected:
        yield client.CustomObjectsApi(connected)


def _found(call: Any, *, unless: Collection[int]) -> tuple[bool, Any]:
    """What the cluster answers; false when it answers with one of these statuses.

    Raises:
        UsageError: it refuses.
        TryAgainError: it does not answer, or not with what was asked.
    """
    try:
        return True, call()
    except ApiException as error:
        if error.status in unless:
            return False, None
        said = f"{error.status} {error.reason}: {_message(error)}"
        if error.status in _REFUSED:
            raise UsageError("kuberay", expected="a cluster that takes the RayJob", found=said) from None
        raise TryAgainError("Kubernetes", expected="an answer", found=said) from None
    except (HTTPError, OSError) as error:
        raise TryAgainError("Kubernetes", expected="an answer", found=type(error).__name__) from None


def _message(error: ApiException) -> str:
    """The text of a status; a body that is none says what it says in its beginning."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(error.body or "")[:200]
