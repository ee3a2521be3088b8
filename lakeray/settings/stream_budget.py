"""What follows from the memory that is allowed: DuckDB's threads, its limits and the size of row groups (P5)."""

from __future__ import annotations

from dataclasses import replace
from os import cpu_count

from lakeray.settings.values import BatchSettings
from lakeray.values import memory
from lakeray.values.model import Budget

BOOKKEEPING_BYTES = 512 * 1024 * 1024
"""DuckDB's limit for bookkeeping queries, unless less is allowed: a ledger of 10⁶ files takes about 300 MB."""


def fitted(budget: Budget, *, leaves: int, lake: BatchSettings) -> Budget:
    """The budget of a stream so wide: how many threads merge it, and what that takes whatever the rows.

    Args:
        lake: the settings without the stream's overrides: row groups and DuckDB's limit are those of the lake.
    """
    allowed = min(budget.allowed_bytes, int(lake.memory_bytes))
    group = row_groups(lake)
    count = memory.threads_for(allowed, leaves=leaves, cores=cpu_count() or 1)
    fixed = memory.fixed_bytes(leaves=leaves, threads=count, group_bytes=group)
    return replace(budget, leaves=leaves, threads=count, row_group_bytes=group, fixed_bytes=fixed)


def threads(lake: BatchSettings) -> int:
    """DuckDB's threads, before a stream's width is looked at."""
    return memory.max_threads(int(lake.memory_bytes), cores=cpu_count() or 1)


def row_groups(lake: BatchSettings) -> int:
    """How much a thread collects before it writes a row group."""
    return memory.row_group_bytes(int(lake.memory_bytes), threads=threads(lake))


def bookkeeping_bytes(lake: BatchSettings) -> int:
    """DuckDB's limit for bookkeeping."""
    return min(BOOKKEEPING_BYTES, int(lake.memory_bytes))
