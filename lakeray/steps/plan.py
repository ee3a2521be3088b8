"""Plan: batches that fit the byte target and the memory budget; what cannot fit is said, never hidden (P1, P5)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lakeray.values.errors import OversizeError
from lakeray.values.memory import DEFAULT, Factor, listed_bytes, validation_bytes
from lakeray.values.model import Batch, Budget, Discovery, Oversize, Plan, SourceFile, StreamName

VALIDATION_RESERVED_BYTES = 448 * 1024 * 1024
"""A Ray worker with pyarrow and obstore imported, before it reads a footer (measured: 150–180 MB resident)."""


def batch_id(files: Iterable[SourceFile]) -> str:
    """A digest of the sorted (key, ETag): the same files have the same id, in any order (P1)."""
    digest = hashlib.sha256()
    for key, etag in sorted((file.key, file.etag) for file in files):
        for part in (key, etag):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.hexdigest()[:20]


def make_plan(
    stream: StreamName,
    found: Discovery,
    *,
    budget: Budget,
    oversize_policy: str,
    max_batches: int | None = None,
    factor: Factor = DEFAULT,
) -> Plan:
    """Pack the new files, in their order, into batches. Never raises, reads nothing, writes nothing.

    Args:
        oversize_policy: ``spill`` gives a file that does not fit alone a batch of its own; ``refuse`` leaves it out.
        max_batches: plan at most this many batches now; the rest waits for the next feed.
        factor: bytes of memory per compressed byte; the footers, read later, know better.
    """
    packing = _Packing(budget=budget, factor=factor.value)
    too_big = tuple(item for item in (packing.oversize(file) for file in found.new) if item is not None)
    names = {item.file.key for item in too_big}
    keep = [file for file in found.new if oversize_policy == "spill" or file.key not in names]
    batches = [
        Batch(
            id=batch_id(files),
            stream=stream,
            files=tuple(files),
            size_bytes=sum(file.size_bytes for file in files),
            projected_bytes=packing.projected(sum(file.size_bytes for file in files)),
            validation_bytes=validation_bytes(len(files), reserved_bytes=VALIDATION_RESERVED_BYTES),
        )
        for files in packing.packed(keep, alone=names)
    ]
    return Plan(
        stream=stream,
        batches=tuple(batches if max_batches is None else batches[:max_batches]),
        oversize=too_big,
        skipped=found.skipped,
        too_late=found.too_late,
        changed=found.changed,
        waiting=found.waiting,
        vanished=found.vanished,
        listed_files=found.listed_files,
        newest_day=found.newest_day,
        live_files=found.live_files,
        looked_since=found.looked_since,
        postponed=0 if max_batches is None else sum(len(batch.files) for batch in batches[max_batches:]),
        factor=factor,
    )


def refuse_oversize(plan: Plan, *, oversize_policy: str) -> None:
    """Execution refuses what planning only names: the worst first, with every number.

    Raises:
        OversizeError: the policy is ``refuse`` and there is a file that does not fit.
    """
    if oversize_policy == "spill" or not plan.oversize:
        return
    worst = max(plan.oversize, key=lambda item: item.projected_bytes)
    raise OversizeError(
        f"{plan.stream}: {len(plan.oversize)} file(s) do not fit the memory budget; the largest is {worst.file.key}",
        expected=f"at most {worst.allowed_bytes:,} bytes projected (batch.memory_bytes + batch.reserved_bytes)",
        found=f"{worst.projected_bytes:,} bytes projected for {worst.file.size_bytes:,} bytes of Parquet",
        todo="Raise batch.memory_bytes, or let such files spill to disk with batch.oversize=spill",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packing:
    budget: Budget
    factor: float

    def projected(self, size_bytes: int) -> int:
        return listed_bytes(
            size_bytes,
            reserved_bytes=self.budget.reserved_bytes,
            fixed_bytes=self.budget.fixed_bytes,
            factor=self.factor,
        )

    def oversize(self, file: SourceFile) -> Oversize | None:
        projected = self.projected(file.size_bytes)
        if projected <= self.budget.ceiling_bytes:
            return None
        return Oversize(file=file, projected_bytes=projected, allowed_bytes=self.budget.ceiling_bytes)

    def packed(self, files: Iterable[SourceFile], *, alone: set[str]) -> Iterator[list[SourceFile]]:
        open_batch: list[SourceFile] = []
        size = 0
        for file in files:
            if file.key in alone:
                # Batches stay in the files' order: one that overtook older files would move the cursor past them (P3).
                if open_batch:
                    yield open_batch
                    open_batch, size = [], 0
                yield [file]
                continue
            if open_batch and not self.fits(len(open_batch) + 1, size + file.size_bytes):
                yield open_batch
                open_batch, size = [], 0
            open_batch.append(file)
            size += file.size_bytes
        if open_batch:
            yield open_batch

    def fits(self, files: int, size_bytes: int) -> bool:
        return (
            files <= self.budget.max_files
            and size_bytes <= self.budget.target_bytes
            and self.projected(size_bytes) <= self.budget.ceiling_bytes
        )


def estimated_seconds(plans: Sequence[Plan]) -> float:
    """About how long feeding these plans takes on one machine; 0 when there is nothing to do.

    First dbt invocation 9 s, then per batch 1.5 s, per file 10 ms and per 20 MB 1 s (measured on 2 cores, embedded
    catalog).
    """
    if not any(plan.batches for plan in plans):
        return 0.0
    return sum((9.0, *(len(p.batches) * 1.5 + p.files * 0.01 + p.size_bytes / 20e6 for p in plans)))
