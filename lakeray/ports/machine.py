"""What ``doctor`` asks of the machine and of the servers it works with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from lakeray.ports.storage import RawStore


class Machine(Protocol):
    """This machine, its folders, and the clocks of the servers."""

    def versions(self) -> Mapping[str, str]:
        """The installed packages that matter, and their versions."""

    def free_bytes(self) -> int:
        """Free bytes of the disk under ``paths.root``, which is made when it is missing."""

    def lease_holder(self) -> str | None:
        """Who holds the lease; None when nobody does.

        Raises:
            CatalogError: Postgres does not answer.
        """

    def clock_skews(self, *, now: datetime) -> Mapping[str, float]:
        """Seconds that this machine's clock is ahead of the servers', by server, where they can be asked.

        Raises:
            CatalogError: Postgres does not answer.
        """

    def lake_files(self) -> RawStore:
        """What is below the lake's DATA_PATH."""

    def temporary_files(self) -> RawStore:
        """What is in the folder for temporary files."""
