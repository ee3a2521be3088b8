"""The servers that development runs on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """One server."""

    up: bool
    address: str | None
    """Where it listens; None when it was never up here."""


class Services(Protocol):
    """SeaweedFS and Postgres. Starting what runs and stopping what does not are no errors."""

    def up(self) -> None:
        """Start them.

        Raises:
            TryAgainError: one does not start.
        """

    def down(self) -> None:
        """Stop them."""

    def states(self) -> Mapping[str, ServiceState]:
        """Each server by name."""
