"""This machine, its folders, and how far its clock is from the servers': what ``doctor`` asks."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakeray.ports.storage import RawStore

_PACKAGES = ("lakeray", "duckdb", "duckdb-extension-ducklake", "dbt-core", "dbt-duckdb", "ray", "pyarrow", "obstore")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisMachine:
    """The ``Machine`` port."""

    root: Path
    """``paths.root``."""
    holder: Callable[[], str | None]
    """Who holds the lease."""
    clocks: Mapping[str, Callable[[datetime], float | None]]
    """By server: seconds that a time is ahead of its clock; None when it does not say."""
    open_lake: Callable[[], RawStore]
    open_temporary: Callable[[], RawStore]

    def versions(self) -> dict[str, str]:
        """See ``Machine``."""
        return {name: _version(name) for name in _PACKAGES}

    def free_bytes(self) -> int:
        """See ``Machine``."""
        self.root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.root).free

    def lease_holder(self) -> str | None:
        """See ``Machine``."""
        return self.holder()

    def clock_skews(self, *, now: datetime) -> dict[str, float]:
        """See ``Machine``."""
        asked = {name: ahead_of(now) for name, ahead_of in self.clocks.items()}
        return {name: ahead_s for name, ahead_s in asked.items() if ahead_s is not None}

    def lake_files(self) -> RawStore:
        """See ``Machine``."""
        return self.open_lake()

    def temporary_files(self) -> RawStore:
        """See ``Machine``."""
        return self.open_temporary()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed as a package"
