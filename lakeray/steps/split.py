"""Portions: a validated batch that its footers show to be too large is taken in as several (P1, P5). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import assert_never

from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct, leaf_count
from lakeray.values.errors import OversizeError
from lakeray.values.memory import footers_bytes
from lakeray.values.model import Accepted, Batch, Budget, Column, Footer, SourceFile, Verdict

Checked = tuple[Batch, tuple[Verdict, ...]]

_FIXED_WIDTHS = {"BOOLEAN": 1, "TINYINT": 1, "SMALLINT": 2, "INTEGER": 4, "FLOAT": 4, "DATE": 4}
_TEXT_WIDTHS = ("VARCHAR", "BLOB", "UUID", "HUGEINT", "JSON")


def leaves_of(columns: Iterable[Column]) -> int:
    """Columns without parts: a list counts as its item."""
    return sum(leaf_count(column.type) for column in columns)


def projected(verdicts: Sequence[Verdict], budget: Budget) -> int:
    """The projected peak of merging the accepted files, by their footers."""
    return _Measured(budget).projected(verdicts)


def by_memory(
    checked: Iterable[Checked],
    *,
    budget: Budget,
    oversize_policy: str,
    identify: Callable[[Iterable[SourceFile]], str],
) -> Iterator[Checked]:
    """The batches, those that do not fit cut into several, in the files' order; ids are digests of the files (P1).

    A file that does not fit alone is a batch of its own.

    Raises:
        OversizeError: there is such a file, and the policy is ``refuse``.
    """
    for batch, verdicts in checked:
        measured = _Measured(budget)
        for portion in _portions(verdicts, measured):
            needs = measured.projected(portion)
            if needs > budget.ceiling_bytes and oversize_policy == "refuse":
                raise _refused(portion, needs, budget)
            if len(portion) == len(verdicts):
                yield replace(batch, projected_bytes=needs), verdicts
                continue
            files = tuple(item.file for item in portion)
            size = sum(file.size_bytes for file in files)
            part = replace(batch, id=identify(files), files=files, size_bytes=size, projected_bytes=needs)
            yield part, tuple(portion)


class _Measured:
    """Projections over the files of one batch; files of one schema share its width."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._widths: list[tuple[tuple[Column, ...], int, int]] = []

    def projected(self, verdicts: Sequence[Verdict]) -> int:
        footers = [item.footer for item in verdicts if isinstance(item, Accepted)]
        leaves, measures = self.budget.leaves, []
        for footer in footers:
            file_leaves, width = self._of(footer.columns)
            leaves = max(leaves, file_leaves)
            measures.append(_measures(footer, width))
        return footers_bytes(
            measures,
            leaves=leaves,
            threads=self.budget.threads,
            group_bytes=self.budget.row_group_bytes,
            reserved_bytes=self.budget.reserved_bytes,
        )

    def _of(self, columns: tuple[Column, ...]) -> tuple[int, int]:
        for known, leaves, width in self._widths:
            if known is columns:
                return leaves, width
        self._widths.append((columns, leaves_of(columns), sum(_width(column.type) for column in columns)))
        return self._widths[-1][1:]


def _portions(verdicts: Sequence[Verdict], measured: _Measured) -> Iterator[list[Verdict]]:
    ceiling = measured.budget.ceiling_bytes
    if measured.projected(verdicts) <= ceiling:
        yield list(verdicts)
        return
    open_portion: list[Verdict] = []
    for item in verdicts:
        taken = any(isinstance(other, Accepted) for other in open_portion)
        if taken and isinstance(item, Accepted) and measured.projected([*open_portion, item]) > ceiling:
            yield open_portion
            open_portion = []
        open_portion.append(item)
    yield open_portion


def _measures(footer: Footer, width: int) -> tuple[int, int, int, int]:
    # A column that repeats few values is stored as references to them, and has its whole width in memory.
    decoded = max(footer.uncompressed_bytes, footer.rows * width)
    share = footer.largest_group_bytes / footer.uncompressed_bytes if footer.uncompressed_bytes else 1.0
    return footer.rows, footer.row_groups, decoded, int(decoded * (share or 1.0))


def _refused(portion: Sequence[Verdict], needs: int, budget: Budget) -> OversizeError:
    item = next(item for item in portion if isinstance(item, Accepted))
    footer = item.footer
    return OversizeError(
        f"{item.file.key} does not fit the memory budget",
        expected=f"at most {budget.ceiling_bytes:,} bytes projected (batch.memory_bytes + batch.reserved_bytes)",
        found=f"{needs:,} bytes projected: {footer.rows:,} rows in {footer.row_groups:,} row groups, the largest of "
        f"{footer.largest_group_bytes:,} bytes, {leaves_of(footer.columns):,} leaf columns, "
        f"{footer.uncompressed_bytes:,} bytes uncompressed, {item.file.size_bytes:,} in storage",
        todo="Raise batch.memory_bytes, or let such files spill to disk with batch.oversize=spill",
    )


def _width(kind: ColumnType) -> int:
    match kind:
        case Struct(fields=parts):
            return sum(_width(part) for _, part in parts)
        case ListOf() | MapOf():
            return 16
        case Scalar(name=name):
            return 16 if name in _TEXT_WIDTHS else _FIXED_WIDTHS.get(name, 8)
        case _:
            assert_never(kind)
