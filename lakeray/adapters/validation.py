"""Validating one batch: footers read concurrently, a verdict each. Runs in a Ray task or in a thread, the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from lakeray.adapters.conversion import convert, copy_key
from lakeray.adapters.footers import FileTail, FooterReader
from lakeray.adapters.halves import in_halves
from lakeray.adapters.object_store import ObstoreStore
from lakeray.model import Accepted, Batch, Column, Contract, Footer, Rejected, RejectReason, SourceFile, Verdict

Judge = Callable[[SourceFile, Footer, Contract], Verdict]
_MAX_REACHED = 8
_SLAB_FILES = 128
"""Footers of this many files are looked at together; read are those of the next slabs meanwhile."""
_SLABS_AHEAD = 3

_Judgement = tuple[Verdict, FileTail | None]


class WorksOutFacts(Protocol):
    """What of a file the catalog will store."""

    def of(self, tails: Sequence[FileTail], *, columns: tuple[Column, ...]) -> Sequence[object]:
        """Of each file: the facts; or, as text, why the lake does not take it; or None when nothing can be said now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchValidator:
    """All that a validation task needs, as one value."""

    raw: ObstoreStore
    lake: ObstoreStore
    temp: Path
    concurrency: int
    judge: Judge
    """The verb ``validate.verdict``, handed in: adapters do not know the verbs."""

    facts: WorksOutFacts | None = None
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
        footers, judged = FooterReader(self.raw), _Judged(self.judge, contract)
        verdicts: list[Verdict] = []
        waiting: deque[list[Future[_Judgement]]] = deque()
        with ThreadPoolExecutor(max_workers=min(self.concurrency, max(1, len(batch.files)))) as pool:
            try:
                for start in range(0, len(batch.files), _SLAB_FILES):
                    slab = batch.files[start : start + _SLAB_FILES]
                    waiting.append([pool.submit(self._one, batch, file, footers, judged) for file in slab])
                    if len(waiting) == _SLABS_AHEAD:
                        verdicts += self._with_facts(waiting.popleft(), contract)
                while waiting:
                    verdicts += self._with_facts(waiting.popleft(), contract)
            finally:
                for future in (future for slab in waiting for future in slab):
                    future.cancel()
        return tuple(verdicts)

    def _one(self, batch: Batch, file: SourceFile, footers: FooterReader, judged: _Judged) -> _Judgement:
        found = footers.read_tail(file)
        if isinstance(found, Rejected):
            return found, None
        footer, tail = found
        verdict = judged.verdict(file, footer)
        if isinstance(verdict, Accepted) and verdict.casts:
            converted = convert(verdict, stream=batch.stream, raw=self.raw, lake=self.lake, temp=self.temp)
            return converted, self._tail_of_copy(batch, converted)
        return verdict, tail

    def _tail_of_copy(self, batch: Batch, verdict: Verdict) -> FileTail | None:
        if self.facts is None or isinstance(verdict, Rejected):
            return None
        copy = self.lake.head(copy_key(batch.stream, verdict.file))
        found = None if copy is None else FooterReader(self.lake).read_tail(copy)
        return None if found is None or isinstance(found, Rejected) else found[1]

    def _with_facts(self, slab: list[Future[_Judgement]], contract: Contract) -> list[Verdict]:
        judgements = [future.result() for future in slab]
        verdicts = [verdict for verdict, _ in judgements]
        if self.facts is None:
            return verdicts
        groups: dict[tuple[Column, ...], list[int]] = {}
        for number, (verdict, tail) in enumerate(judgements):
            if isinstance(verdict, Accepted) and tail is not None:
                groups.setdefault(verdict.new_columns, []).append(number)
        for new_columns, numbers in groups.items():
            tails = [tail for number in numbers if (tail := judgements[number][1]) is not None]
            worked_out = self.facts.of(tails, columns=contract.columns + new_columns)
            for number, found in zip(numbers, worked_out, strict=True):
                verdicts[number] = _completed(verdicts[number], found)
        return verdicts


def _completed(verdict: Verdict, found: object) -> Verdict:
    if isinstance(verdict, Rejected):
        return verdict
    if isinstance(found, str):
        detail = found.split("\n", 1)[0][:500]
        return Rejected(file=verdict.file, reason=RejectReason.REFUSED_BY_LAKE, detail=detail)
    return replace(verdict, facts=found)


class _Judged:
    """Verdicts of one batch, each reached once per schema: a verdict depends on the contract and the columns alone."""

    def __init__(self, judge: Judge, contract: Contract) -> None:
        self._judge = judge
        self._contract = contract
        self._reached: deque[tuple[tuple[Column, ...], Verdict]] = deque(maxlen=_MAX_REACHED)

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
    return replace(reached, file=file, footer=footer)
