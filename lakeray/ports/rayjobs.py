"""RayJobs of a Kubernetes cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class RayJobState:
    """What the operator says of a RayJob."""

    deployment: str
    """``Initializing``, ``Running``, ``Complete``, ``Failed`` and the like; empty before it was seen."""
    job: str
    """``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED``, ``STOPPED``; empty before the driver runs."""
    message: str
    uid: str = ""
    """Of this one, and of no other that gets its name later."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.deployment in ("Complete", "Failed", "ValidationFailed")

    @property
    def succeeded(self) -> bool:
        """Whether it ended well."""
        return self.deployment == "Complete" and self.job == "SUCCEEDED"


class RayJobs(Protocol):
    """The RayJobs of one namespace."""

    def create(self, manifest: Mapping[str, Any]) -> bool:
        """Create one; false when there is one of its name.

        Raises:
            UsageError: the cluster refuses it; says why.
            TryAgainError: the cluster does not answer.
        """

    def state(self, name: str) -> RayJobState | None:
        """How it stands; None when there is none of this name.

        Raises:
            TryAgainError: the cluster does not answer.
        """

    def delete(self, name: str, *, uid: str | None = None) -> bool:
        """Delete it and all that belongs to it; false when there is none.

        Args:
            uid: of the one that is meant; another of its name stays.

        Raises:
            TryAgainError: the cluster does not answer.
        """
