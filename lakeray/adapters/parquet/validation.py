"""Validating one batch: footers read concurrently, a verdict each. Runs in a Ray task or in a thread, the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lakeray.adapters.parquet.conversion import convert, copy_key, without_times_that_are_none
from lakeray.adapters.parquet.footers import Fetched, FileTail, FooterReader
from lakeray.adapters.parquet.times_of_day import Times
from lakeray.ports.storage import ObjectStore
from lakeray.values.halves import in_halves
from lakeray.values.model import (
    Accepted,
    Batch,
    Column,
    Contract,
    Footer,
    OnTypeChange,
    Rejected,
    RejectReason,
    SourceFile,
    Verdict,
)
from lakeray.values.redaction import line_without_values
from lakeray.values.refusals import named_reason

Judge = Callable[[SourceFile, Footer, Contract], Verdict]
_MAX_REACHED = 8
_SLAB_FILES = 512
_SLAB_BYTES = 16 * 1024 * 1024
"""The tails of at most so many files, and so many bytes, are looked at together; the next slabs are read meanwhile."""
_SLABS_AHEAD = 3

_Judgement = tuple[Verdict, FileTail | None]
_Found = _Judgement | Fetched


class ReadsStatistics(Protocol):
    """What of a file the catalog will store."""

    def of(self, tails: Sequence[FileTail], *, columns: tuple[Column, ...]) -> Sequence[object]:
        """Of each file: the facts; or, as text, why the lake does not take it; or None when nothing can be said now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchValidator:
    """All that a validation task needs, as one value."""

    raw: ObjectStore
    lake: ObjectStore
    temp: Path
    concurrency: int
    judge: Judge
    """The verb ``validate.verdict``, handed in: adapters do not know the verbs."""

    facts: ReadsStatistics | None = None
    """Works out what the catalog will store of the files; None leaves that to the commit."""

    def validate(self, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
        """A verdict per file, in the batch's order.

        Raises:
            StorageError: the object store failed; no verdict can be given.
            ValidationMemoryError: a single file takes more memory than there is.
        """
        try:
            return self._validate(batch, contract)
        except MemoryError as error:
            return in_halves(batch, lambda half: self.validate(half, contract), cause=error)

    def _validate(self, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
        footers, judged = FooterReader(self.raw, folder=self.temp), _Judged(self.judge, contract)
        verdicts: list[Verdict] = []
        waiting: deque[list[Future[_Found]]] = deque()

        def look(slab: list[Future[_Found]]) -> list[Verdict]:
            return self._with_statistics(_judged([future.result() for future in slab], footers, judged), contract)

        with ThreadPoolExecutor(max_workers=min(self.concurrency, max(1, len(batch.files)))) as pool:
            try:
                for slab in _slabs(batch.files, footers):
                    waiting.append([pool.submit(self._one, batch, file, footers, judged) for file in slab])
                    if len(waiting) == _SLABS_AHEAD:
                        verdicts += look(waiting.popleft())
                while waiting:
                    verdicts += look(waiting.popleft())
            finally:
                for future in (future for slab in waiting for future in slab):
                    future.cancel()
        return tuple(verdicts)

    def _one(self, batch: Batch, file: SourceFile, footers: FooterReader, judged: _Judged) -> _Found:
        if file.problem:
            return Rejected(file=file, reason=RejectReason.NAME, detail=file.problem), None
        addressable = self.raw.is_addressable(file.key)
        found = footers.fetch(file, leave=judged.is_plain if addressable else _never)
        if isinstance(found, Fetched):
            return found
        if isinstance(found, Rejected):
            return found, None
        footer, tail = found
        verdict = judged.verdict(file, footer)
        if isinstance(verdict, Accepted) and (verdict.casts or not addressable):
            converted = convert(verdict, stream=batch.stream, raw=self.raw, lake=self.lake, temp=self.temp)
            return judged.by_policy(converted), self._tail_of_copy(batch, converted)
        if isinstance(verdict, Accepted) and tail.times is Times.UNKNOWN:
            verdict = without_times_that_are_none(verdict, raw=self.raw, temp=self.temp)
        return verdict, tail

    def _tail_of_copy(self, batch: Batch, verdict: Verdict) -> FileTail | None:
        if self.facts is None or isinstance(verdict, Rejected):
            return None
        copy = self.lake.head(copy_key(batch.stream, verdict))
        found = None if copy is None else FooterReader(self.lake, folder=self.temp).read_tail(copy)
        return None if found is None or isinstance(found, Rejected) else found[1]

    def _with_statistics(self, judgements: Sequence[_Judgement], contract: Contract) -> list[Verdict]:
        verdicts = [verdict for verdict, _ in judgements]
        if self.facts is None:
            return verdicts
        groups: dict[tuple[Column, ...], list[int]] = {}
        for number, (verdict, tail) in enumerate(judgements):
            if isinstance(verdict, Accepted) and tail is not None:
                groups.setdefault(verdict.needs, []).append(number)
        for needs, numbers in groups.items():
            tails = [tail for number in numbers if (tail := judgements[number][1]) is not None]
            worked_out = self.facts.of(tails, columns=_landing_columns(contract, needs))
            for number, found in zip(numbers, worked_out, strict=True):
                verdicts[number] = _completed(verdicts[number], found)
        return verdicts


def _never(_columns: tuple[Column, ...]) -> bool:
    return False


def _slabs(files: Sequence[SourceFile], footers: FooterReader) -> Iterator[list[SourceFile]]:
    slab: list[SourceFile] = []
    room = _SLAB_BYTES
    for file in files:
        tail = min(file.size_bytes, footers.tail_bytes)
        if slab and (len(slab) == _SLAB_FILES or tail > room):
            yield slab
            slab, room = [], _SLAB_BYTES
        slab.append(file)
        room -= tail
    if slab:
        yield slab


def _judged(found: Sequence[_Found], footers: FooterReader, judged: _Judged) -> list[_Judgement]:
    """The judgements, with those of the footers that were left for now."""
    left = {number: item for number, item in enumerate(found) if isinstance(item, Fetched)}
    read = dict(zip(left, footers.parsed(list(left.values())), strict=True))
    judgements: list[_Judgement] = []
    for number, item in enumerate(found):
        if not isinstance(item, Fetched):
            judgements.append(item)
            continue
        parsed = read[number]
        if isinstance(parsed, Rejected):
            judgements.append((parsed, None))
        else:
            judgements.append((judged.verdict(item.file, parsed[0]), parsed[1]))
    return judgements


def _landing_columns(contract: Contract, needs: tuple[Column, ...]) -> tuple[Column, ...]:
    """The landing table's columns, as they will be when files with these needs are registered."""
    if not needs:
        return contract.columns
    needed = {need.name: need for need in needs}
    return tuple(needed.pop(column.name, column) for column in contract.columns) + tuple(needed.values())


def _completed(verdict: Verdict, found: object) -> Verdict:
    if isinstance(verdict, Rejected):
        return verdict
    if isinstance(found, str):
        reason, detail = named_reason(found) or (RejectReason.REFUSED_BY_LAKE, line_without_values(found))
        return Rejected(file=verdict.file, reason=reason, detail=detail)
    return replace(verdict, facts=found)


class _Judged:
    """Verdicts of one batch, each reached once per schema: a verdict depends on the contract and the columns alone."""

    def __init__(self, judge: Judge, contract: Contract) -> None:
        self._judge = judge
        self._contract = contract
        self._reached: deque[tuple[tuple[Column, ...], Verdict]] = deque(maxlen=_MAX_REACHED)

    def is_plain(self, columns: tuple[Column, ...]) -> bool:
        """Whether files with these columns were judged before, and are registered as they are or not at all."""
        for known, reached in tuple(self._reached):
            if known is columns:
                return isinstance(reached, Rejected) or not reached.casts
        return False

    def by_policy(self, converted: Verdict) -> Verdict:
        """A conversion's verdict: values that do not fit are a changed type, as one that the footer shows."""
        if isinstance(converted, Rejected) and converted.reason is RejectReason.TYPE_CHANGED:
            return replace(converted, fatal=self._contract.on_type_change is OnTypeChange.FAIL)
        return converted

    def verdict(self, file: SourceFile, footer: Footer) -> Verdict:
        for columns, reached in tuple(self._reached):
            if columns is footer.columns:
                return _of_file(reached, file, footer)
        reached = self._judge(file, footer, self._contract)
        self._reached.append((footer.columns, reached))
        return reached


def _of_file(reached: Verdict, file: SourceFile, footer: Footer) -> Verdict:
    if isinstance(reached, Rejected):
        return replace(reached, file=file)
    if reached.whole is not None:
        footer = replace(footer, columns=reached.footer.columns)
    return replace(reached, file=file, footer=footer)
