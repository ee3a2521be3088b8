"""The memory that a batch is projected to need (P5). Standard library only; docs/memory.md tells the model.

allowed    what one process may use              reserved   used before it touches a row
projected  reserved + factor × compressed bytes  peak       what was measured afterwards
"""

from __future__ import annotations

from collections.abc import Iterable

TRANSFORM_FACTOR = 10.4
"""Peak bytes per compressed byte when dbt de-duplicates and merges: 2.7 GB for 260 MB of zstd Parquet, 6 M rows,
40 files, DuckDB 1.5.5, window de-duplication in one pass (measured; docs/memory.md)."""

FOOTER_BYTES = 256 * 1024
"""A generous footer: 123 columns with nested fields and 20 row groups take about 200 kB (Shopify orders)."""


def projected_bytes(sizes_bytes: Iterable[int], *, reserved_bytes: int, factor: float = TRANSFORM_FACTOR) -> int:
    """Projected peak of transforming files with these compressed sizes together."""
    return reserved_bytes + int(factor * sum(sizes_bytes))


def validation_bytes(files: int, *, reserved_bytes: int, concurrency: int = 32) -> int:
    """Projected peak of validating ``files`` files: the footers in flight and the verdicts that are kept.

    A verdict carries what the catalog stores of the file: 60 kB for the 634 leaves of Shopify orders (measured).
    """
    verdict_bytes = 96 * 1024
    return reserved_bytes + min(files, concurrency) * 4 * FOOTER_BYTES + files * verdict_bytes
