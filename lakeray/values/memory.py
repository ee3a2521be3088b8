"""The memory that a batch is projected to need (P5). Standard library only; docs/memory.md tells the model.

allowed    what the rows of a batch may use       reserved   used beside them: interpreter, libraries, catalog
projected  reserved + what the rows need          peak       resident memory of the process, measured afterwards

A process never exceeds allowed + reserved; a batch whose projected memory does is not planned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MIB = 1024 * 1024

LEAF_BYTES = 360 * 1024
"""DuckDB's Parquet writer, per leaf column and thread, whatever the rows: 215 MiB for 634 leaves (measured)."""
WRITE_FACTOR = 3.5
"""Peak bytes per byte of the row group that a thread collects and writes: 1,086 MiB for 320 MiB (measured)."""
READ_FACTOR = 2.0
"""Peak bytes per decoded byte of the row group that a thread reads: its pages, as they are stored and decoded."""
VECTOR_ROWS = 2048
VECTOR_FACTOR = 2.0
"""Peak bytes per byte of the rows that DuckDB moves at a time, 2,048 of them: rows of 100 kB make 200 MB of it. One row
group of 900 such rows, 90 MB, added 589 MB to the process (measured)."""
KEY_BYTES = 200
"""Per row: key and age in a temporary table and in the hash tables that look for repeated and known keys."""
THREAD_BYTES = 192 * MIB
"""A thread of DuckDB is worth starting when the rows may use so much for each."""
MAX_ROW_GROUP_BYTES = 128 * MIB
MIN_ROW_GROUP_BYTES = 8 * MIB

DEFAULT_FACTOR = 3.0
"""Bytes of memory per compressed byte, beyond what any batch of the stream takes, until the stream's own are known."""
MIN_FACTOR = 0.5
MAX_FACTOR = 60.0
"""The factor adapts between these two (inclusive), whatever was measured."""
MIN_BATCHES = 3
"""Measured batches before the factor adapts (inclusive); one that ran out of memory is enough."""
MARGIN = 1.25
"""The adapted factor lies this much above the largest that was measured."""

FOOTER_BYTES = 256 * 1024
"""A generous footer: 123 columns with nested fields and 20 row groups take about 200 kB (Shopify orders)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Bytes of memory per compressed byte, and how it is known."""

    value: float = DEFAULT_FACTOR
    batches: int = 0
    """How many measured batches it was adapted from; 0 for the default."""

    def __str__(self) -> str:
        """``5.20 (adapted from 7 batches)``."""
        source = f"adapted from {self.batches} batches" if self.batches else "default"
        return f"{self.value:.2f} ({source})"


DEFAULT = Factor()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one merge was measured to need beyond reserved and fixed, for so many compressed bytes."""

    size_bytes: int
    rows_bytes: int
    ran_out: bool = False
    """DuckDB ran out of the memory that it may use: ``rows_bytes`` was not enough."""


def row_group_bytes(allowed_bytes: int, *, threads: int) -> int:
    """How much a thread collects before it writes a row group: an eighth of what it may use goes into it."""
    return max(MIN_ROW_GROUP_BYTES, min(MAX_ROW_GROUP_BYTES, allowed_bytes // (16 * max(1, threads))))


def max_threads(allowed_bytes: int, *, cores: int) -> int:
    """DuckDB's threads, before a stream's width is looked at."""
    return max(1, min(cores, allowed_bytes // THREAD_BYTES))


def threads_for(allowed_bytes: int, *, leaves: int, cores: int) -> int:
    """As many threads as together need at most two thirds of what the rows may use, before a row is read."""
    most = max_threads(allowed_bytes, cores=cores)
    group = row_group_bytes(allowed_bytes, threads=most)
    fits = (
        threads
        for threads in range(most, 1, -1)
        if fixed_bytes(leaves=leaves, threads=threads, group_bytes=group) <= allowed_bytes * 2 // 3
    )
    return next(fits, 1)


def fixed_bytes(*, leaves: int, threads: int, group_bytes: int) -> int:
    """What writing takes for any batch that fills a row group in each thread."""
    return threads * (leaves * LEAF_BYTES + int(WRITE_FACTOR * group_bytes))


def duckdb_limit_bytes(allowed_bytes: int) -> int:
    """DuckDB's ``memory_limit``: an eighth is left for what DuckDB does not count and its allocator keeps."""
    return allowed_bytes * 7 // 8


def listed_bytes(size_bytes: int, *, reserved_bytes: int, fixed_bytes: int = 0, factor: float = DEFAULT_FACTOR) -> int:
    """Projected peak of merging files of this compressed size, before a footer is read."""
    return reserved_bytes + fixed_bytes + int(factor * size_bytes)


def footers_bytes(
    footers: Sequence[tuple[int, int, int, int]],
    *,
    leaves: int,
    threads: int,
    group_bytes: int,
    reserved_bytes: int,
) -> int:
    """Projected peak of merging files with these footers.

    Args:
        footers: of each file: rows, row groups, decoded bytes, decoded bytes of the largest row group.
    """
    rows, groups, decoded = (sum(footer[part] for footer in footers) for part in range(3))
    reading = sorted((footer[3] for footer in footers for _ in range(min(threads, footer[1]))), reverse=True)
    active = max(1, min(threads, groups))
    widest = max((footer[2] // max(1, footer[0]) * min(footer[0], VECTOR_ROWS) for footer in footers), default=0)
    written = int(WRITE_FACTOR * min(decoded, active * group_bytes))
    return (
        reserved_bytes
        + active * leaves * LEAF_BYTES
        + written
        + int(READ_FACTOR * sum(reading[:active]))
        + int(VECTOR_FACTOR * active * widest)
        + rows * KEY_BYTES
    )


def adapted(seen: Sequence[Seen]) -> Factor:
    """The stream's own factor, from its newest merges; the default until there are enough.

    A merge that ran out of memory needs at least twice what it had, so that half its size is planned next.
    """
    measured = [item for item in seen if item.size_bytes > 0]
    ran_out = [2 * item.rows_bytes / item.size_bytes for item in measured if item.ran_out]
    merged = [MARGIN * item.rows_bytes / item.size_bytes for item in measured if not item.ran_out]
    if not ran_out and len(merged) < MIN_BATCHES:
        return DEFAULT
    enough = merged if len(merged) >= MIN_BATCHES else [*merged, DEFAULT_FACTOR]
    value = min(MAX_FACTOR, max(MIN_FACTOR, *enough, *ran_out))
    return Factor(value=value, batches=len(measured))


def validation_bytes(files: int, *, reserved_bytes: int, concurrency: int = 32) -> int:
    """Projected peak of validating ``files`` files: the footers in flight and the verdicts that are kept.

    A verdict carries what the catalog stores of the file: 60 kB for the 634 leaves of Shopify orders (measured).
    """
    verdict_bytes = 96 * 1024
    return reserved_bytes + min(files, concurrency) * 4 * FOOTER_BYTES + files * verdict_bytes
