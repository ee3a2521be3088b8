"""Transform: dbt merges exactly the registered rows that it has not merged yet, in pieces that fit (P5, P11, P12)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

from lakeray.values.errors import TransformMemoryError
from lakeray.values.memory import DEFAULT, Factor, Seen, adapted, duckdb_limit_bytes, listed_bytes
from lakeray.values.model import Budget, BuildResult, LedgerEntry, MergeEnd, Peak, PendingTransform, StreamName


class Marks(Protocol):
    """The part of the catalog reader that tells what is pending."""

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet."""

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of a range of days."""

    def peaks(self, stream: StreamName) -> Sequence[Peak]:
        """What the newest merges needed."""


class Transforms(Protocol):
    """The part of the committer that runs dbt and moves the mark."""

    def transform(self, pending: PendingTransform) -> BuildResult:
        """Run dbt on exactly these rows."""

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """Move transformed_through."""

    def remember(self, stream: StreamName, peaks: Sequence[Peak]) -> None:
        """Keep what a failed merge taught."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSize:
    """What one DuckLake snapshot, or a part of it, gives dbt to merge."""

    files: int
    rows: int
    size_bytes: int
    projected_bytes: int


@dataclass(slots=True, kw_only=True)
class MergeBudget:
    """How a stream's merges are cut, and what this feed knows of what it has just registered."""

    budget: Budget
    adaptive: bool
    tell: Callable[[PendingTransform, str], None]
    """Called when a merge ran out of memory: what ran out, and what comes next."""
    loads: dict[int, MergeSize] = field(default_factory=dict)
    """By DuckLake snapshot, of batches that this feed registered: projected by their footers."""


def factor_of(peaks: Sequence[Peak], *, adaptive: bool) -> Factor:
    """Bytes of memory per compressed byte, as the stream's newest merges showed; the default when not adaptive."""
    if not adaptive:
        return DEFAULT
    return adapted(
        [
            Seen(
                size_bytes=item.size_bytes,
                rows_bytes=item.limit_bytes if ran_out else max(0, (item.peak_bytes or 0) - item.fixed_bytes),
                ran_out=ran_out,
            )
            for item in peaks
            if ((ran_out := item.end is MergeEnd.OUT_OF_MEMORY) or item.peak_bytes is not None) and not item.spill
        ]
    )


def catch_up(
    stream: StreamName,
    *,
    marks: Marks,
    committer: Transforms,
    merging: MergeBudget,
    registered: PendingTransform | None = None,
) -> list[tuple[PendingTransform, BuildResult]]:
    """Merge what is registered and not merged, and move the mark behind it. Empty when there is nothing.

    What does not fit is merged in pieces: whole DuckLake snapshots, then files of one. A piece that runs out of memory
    is halved, down to a file; that one is tried once more with one thread. The mark moves behind a snapshot when all of
    it is merged, never before: a crash in between repeats a merge that changes nothing.

    Args:
        registered: what the caller has just registered, when everything before it is merged: nobody is asked then.

    Raises:
        TransformError: dbt failed; the mark stays behind what was merged.
        TransformMemoryError: a single file cannot be merged in the memory that is allowed.
    """
    pending = registered or marks.pending_transform(stream)
    if pending is None:
        return []
    pieces = _Pieces(pending, marks=marks, merging=merging)
    waiting, done, peaks = deque(pieces.first()), [], []
    while waiting:
        piece = waiting.popleft()
        try:
            built = committer.transform(piece)
        except TransformMemoryError as failed:
            committer.remember(stream, [pieces.peak(piece, end=MergeEnd.OUT_OF_MEMORY, peak_bytes=None)])
            smaller = pieces.smaller(piece)
            if not smaller:
                raise pieces.hopeless(piece, failed) from failed
            merging.tell(piece, f"merging again in {len(smaller)} piece(s)" + (", one thread" * smaller[0].spill))
            waiting.extendleft(reversed(smaller))
            continue
        done.append((piece, built))
        peaks.append(pieces.peak(piece, end=MergeEnd.MERGED, peak_bytes=built.peak_bytes))
        if not waiting or waiting[0].from_snapshot > piece.to_snapshot:
            committer.advance(piece, peaks=peaks)
            peaks = []
    return done


def first_files(stream: StreamName, *, marks: Marks, merging: MergeBudget) -> list[LedgerEntry]:
    """The files at which ``catch_up`` would begin: those that are merged before the mark moves for the first time."""
    pending = marks.pending_transform(stream)
    if pending is None:
        return []
    pieces = _Pieces(pending, marks=marks, merging=merging)
    end = pieces.first()[0].to_snapshot
    return [entry for entry in pieces.entries() if entry.snapshot <= end]


_MOST_PARTS = 256
"""Into so many parts the keys of a replacement are cut at most (inclusive)."""


def replace_older(
    stream: StreamName,
    *,
    generation: int,
    snapshots: tuple[int, int],
    committer: Transforms,
    merging: MergeBudget,
) -> list[tuple[PendingTransform, BuildResult]]:
    """Take the rows of generations older than ``generation`` out of the processed table; no mark moves (P16).

    Of their keys the newest record of the generations that stay is merged, in the same transaction: it may have lost to
    the older generation's by its cursor. What does not fit into memory is done in parts, each of half of the keys; each
    part is whole in itself, so a crash in between leaves nothing half replaced.

    Args:
        snapshots: the first and the last DuckLake snapshot that registered what is live, both inclusive.

    Raises:
        TransformError: dbt failed.
        TransformMemoryError: not even a small part fits.
    """
    first, last = snapshots
    waiting = deque([PendingTransform(stream=stream, from_snapshot=first, to_snapshot=last, generation=generation)])
    done = []
    while waiting:
        piece = waiting.popleft()
        try:
            done.append((piece, committer.transform(piece)))
        except TransformMemoryError:
            smaller = _smaller_parts(piece)
            if not smaller:
                raise
            merging.tell(piece, f"replacing again in {len(smaller)} part(s)" + (", one thread" * smaller[0].spill))
            waiting.extendleft(reversed(smaller))
    return done


def _smaller_parts(piece: PendingTransform) -> list[PendingTransform]:
    number, of = piece.part
    if 2 * of <= _MOST_PARTS:
        return [replace(piece, part=(number, 2 * of)), replace(piece, part=(number + of, 2 * of))]
    return [] if piece.spill else [replace(piece, spill=True)]


class _Pieces:
    """What of the pending rows is merged together. The ledger is read only when that is to be decided."""

    def __init__(self, pending: PendingTransform, *, marks: Marks, merging: MergeBudget) -> None:
        self._pending, self._marks, self._merging = pending, marks, merging
        self._entries: list[LedgerEntry] | None = None
        self._factor = DEFAULT
        self._most_bytes: int | None = None

    def first(self) -> list[PendingTransform]:
        """The pieces to begin with: what this feed has just registered as one, else what fits by the ledger's sizes."""
        only = self._merging.loads.get(self._pending.from_snapshot)
        if only is not None and self._pending.from_snapshot == self._pending.to_snapshot:
            return [replace(self._pending, spill=only.projected_bytes > self._ceiling and only.files == 1)]
        peaks = self._marks.peaks(self._pending.stream)
        self._factor = factor_of(peaks, adaptive=self._merging.adaptive)
        ran_out = [peak.size_bytes for peak in peaks if peak.end is MergeEnd.OUT_OF_MEMORY and peak.files > 1]
        self._most_bytes = min(ran_out) // 2 if ran_out else None
        pieces: list[PendingTransform] = []
        for entries in _grouped(self.entries(), self._fits):
            first, last = entries[0].snapshot, entries[-1].snapshot
            pieces.append(replace(self._pending, from_snapshot=first, to_snapshot=last))
        # What was removed from landing since, as by a replay's clean-up, is behind the mark all the same.
        if not pieces:
            return [self._pending]
        pieces[0] = replace(pieces[0], from_snapshot=self._pending.from_snapshot)
        pieces[-1] = replace(pieces[-1], to_snapshot=self._pending.to_snapshot)
        return [small for piece in pieces for small in self._by_file(piece)]

    def smaller(self, piece: PendingTransform) -> list[PendingTransform]:
        """The piece in halves: by snapshots, then by files; a single file with one thread; then none."""
        snapshots = sorted({entry.snapshot for entry in self._of(piece)})
        if len(snapshots) > 1 and not piece.paths:
            at = snapshots[len(snapshots) // 2]
            before = snapshots[len(snapshots) // 2 - 1]
            return [replace(piece, to_snapshot=before), replace(piece, from_snapshot=at)]
        paths = piece.paths or tuple(entry.registered_path for entry in self._of(piece))
        if len(paths) > 1:
            half = len(paths) // 2
            return [replace(piece, paths=paths[:half]), replace(piece, paths=paths[half:])]
        return [] if piece.spill else [replace(piece, spill=True)]

    def peak(self, piece: PendingTransform, *, end: MergeEnd, peak_bytes: int | None) -> Peak:
        """The record of a merge."""
        load, budget = self.load(piece), self._merging.budget
        return Peak(
            from_snapshot=piece.from_snapshot,
            to_snapshot=piece.to_snapshot,
            files=load.files,
            rows=load.rows,
            size_bytes=load.size_bytes,
            projected_bytes=load.projected_bytes,
            peak_bytes=peak_bytes,
            fixed_bytes=budget.reserved_bytes + budget.fixed_bytes,
            limit_bytes=max(1, duckdb_limit_bytes(budget.allowed_bytes) - budget.fixed_bytes),
            end=end,
            spill=piece.spill,
        )

    def load(self, piece: PendingTransform) -> MergeSize:
        """How much the piece is."""
        if not piece.paths and piece.from_snapshot == piece.to_snapshot:
            known = self._merging.loads.get(piece.to_snapshot)
            if known is not None:
                return known
        entries = self._of(piece)
        size = sum(entry.size_bytes for entry in entries)
        return MergeSize(
            files=len(entries),
            rows=sum(entry.rows for entry in entries),
            size_bytes=size,
            projected_bytes=self._projected(size),
        )

    def hopeless(self, piece: PendingTransform, failed: TransformMemoryError) -> TransformMemoryError:
        """The error of a file that cannot be merged, with every number."""
        load, budget = self.load(piece), self._merging.budget
        paths = piece.paths or tuple(entry.registered_path for entry in self._of(piece))
        return type(failed)(
            f"{piece.stream}: {', '.join(paths) or 'the batch'} cannot be merged alone, with one thread, in the memory "
            "that is allowed; it stays registered, and transformed_through stays before it",
            expected=f"a merge of {load.size_bytes:,} bytes of Parquet, {load.rows:,} rows, {budget.leaves:,} leaf "
            f"columns ({load.projected_bytes:,} bytes projected) in {duckdb_limit_bytes(budget.allowed_bytes):,} bytes",
            found=failed.found,
            todo=f"{_more_room(failed)}. The next feed starts with this file, and goes on when it fits",
        )

    def entries(self) -> list[LedgerEntry]:
        """The pending ledger entries, by snapshot."""
        if self._entries is None:
            live = self._marks.registered(self._pending.stream, first=date.min, last=date.max)
            inside = (e for e in live if self._pending.from_snapshot <= e.snapshot <= self._pending.to_snapshot)
            self._entries = sorted(inside, key=lambda entry: (entry.snapshot, entry.key))
        return self._entries

    @property
    def _ceiling(self) -> int:
        return self._merging.budget.ceiling_bytes

    def _projected(self, size_bytes: int) -> int:
        budget = self._merging.budget
        return listed_bytes(
            size_bytes,
            reserved_bytes=budget.reserved_bytes,
            fixed_bytes=budget.fixed_bytes,
            factor=self._factor.value,
        )

    def _fits(self, entries: Sequence[LedgerEntry]) -> bool:
        """Whether they fit by their sizes, and are no more than half of what ran out of memory before."""
        return self._fit(sum(entry.size_bytes for entry in entries))

    def _fit(self, size_bytes: int) -> bool:
        remembered = self._most_bytes is None or size_bytes <= self._most_bytes
        return remembered and self._projected(size_bytes) <= self._ceiling

    def _of(self, piece: PendingTransform) -> list[LedgerEntry]:
        return [
            entry
            for entry in self.entries()
            if piece.from_snapshot <= entry.snapshot <= piece.to_snapshot
            and (not piece.paths or entry.registered_path in piece.paths)
        ]

    def _by_file(self, piece: PendingTransform) -> list[PendingTransform]:
        entries = self._of(piece)
        if len({entry.snapshot for entry in entries}) != 1 or self._fits(entries):
            return [piece]
        pieces: list[list[str]] = []
        size = 0
        for entry in entries:
            size += entry.size_bytes
            if not pieces or not self._fit(size):
                pieces.append([])
                size = entry.size_bytes
            pieces[-1].append(entry.registered_path)
        if len(pieces) == 1:
            return [piece]
        return [replace(piece, paths=tuple(paths)) for paths in pieces]


def _grouped(entries: Sequence[LedgerEntry], fits: Callable[[Sequence[LedgerEntry]], bool]) -> list[list[LedgerEntry]]:
    """Whole snapshots, in order, as many together as fit; one that does not fit is alone."""
    by_snapshot: dict[int, list[LedgerEntry]] = {}
    for entry in entries:
        by_snapshot.setdefault(entry.snapshot, []).append(entry)
    groups: list[list[LedgerEntry]] = []
    for one in by_snapshot.values():
        if groups and fits([*groups[-1], *one]):
            groups[-1].extend(one)
        else:
            groups.append(list(one))
    return groups


def _more_room(failed: TransformMemoryError) -> str:
    return failed.advice or "Raise batch.memory_bytes"
