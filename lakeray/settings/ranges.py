"""The ranges of the settings that are numbers: both ends inclusive. What is outside is refused by name."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from lakeray.values.errors import UsageError

_MOST_DAYS = 36_500
"""A hundred years: no day of a key minus so many leaves the calendar."""
_MOST_BYTES = 2**60
_MOST_S = 86_400.0
_MOST_COUNT = 10**9
_MOST_INT32 = 2**31 - 1

RANGES: dict[str, tuple[float, float]] = {
    "batch.max_files": (1, _MOST_COUNT),
    "batch.memory_bytes": (1, _MOST_BYTES),
    "batch.reserved_bytes": (0, _MOST_BYTES),
    "batch.target_bytes": (1, _MOST_BYTES),
    "dbt.threads": (1, 1_000),
    "feed.lookback_days": (0, _MOST_DAYS),
    "feed.max_batches": (1, _MOST_COUNT),
    "feed.poll_s": (0, _MOST_S),
    "feed.prefetch_batches": (1, 1_000),
    "kuberay.cpus": (1, 1_000),
    "kuberay.deadline_s": (1, _MOST_INT32),
    "kuberay.keep_failed_s": (0, _MOST_INT32),
    "kuberay.keep_s": (0, _MOST_INT32),
    "kuberay.max_workers": (1, 10_000),
    "kuberay.min_workers": (0, 10_000),
    "kuberay.retries": (0, 100),
    "kuberay.start_deadline_s": (1, _MOST_INT32),
    "lake.lease_heartbeat_s": (0.01, _MOST_S),
    "lake.lease_timeout_s": (0.1, _MOST_S),
    "lake.lease_wait_s": (0, _MOST_S),
    "ray.auto_files": (0, _MOST_COUNT),
    "ray.num_cpus": (1, 100_000),
    "retention.days": (0, _MOST_DAYS),
    "retention.snapshot_days": (0, _MOST_DAYS),
    "sample.days": (1, _MOST_DAYS),
    "sample.files_per_day": (1, 100_000),
    "sample.rows_per_file": (1, _MOST_COUNT),
    "sample.seed": (-(2**63), 2**63 - 1),
    "sample.syncs_per_day": (1, 1_440),
    "services.postgres_port": (0, 65_535),
    "services.s3_port": (0, 65_535),
    "storage.concurrency": (1, 10_000),
    "storage.timeout_s": (0.001, _MOST_S),
}
"""A setting to the least and the most that it may be. Every number of the settings is here; a test says so."""


def numbers_of(settings: Any, *, at: str = "") -> Iterator[tuple[str, float]]:
    """Every number among the values of a settings dataclass, with its name; those of streams are not looked at."""
    for item in fields(settings):
        value, name = getattr(settings, item.name), f"{at}.{item.name}" if at else item.name
        if is_dataclass(value):
            yield from numbers_of(value, at=name)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def require_ranges(settings: Any, *, at: str = "") -> None:
    """See that every number lies within its range.

    Args:
        at: where in the settings the dataclass stands, ``batch``; empty for all of them.

    Raises:
        UsageError: one does not; it names the setting.
    """
    for name, value in numbers_of(settings, at=at):
        least, most = RANGES.get(name, (-math.inf, math.inf))
        if not least <= value <= most:
            expected = f"at least {least:,}" if value < least else f"at most {most:,}"
            found = f"{value:,}" if math.isfinite(value) else "no finite number"
            raise UsageError(name, expected=expected, found=found)
