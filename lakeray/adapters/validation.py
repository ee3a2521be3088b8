"""Validating one batch: footers read concurrently, a verdict each. Runs in a Ray task or in a thread, the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from lakeray.adapters.conversion import convert
from lakeray.adapters.footers import FooterReader
from lakeray.adapters.object_store import ObstoreStore
from lakeray.model import Accepted, Batch, Column, Contract, Footer, Rejected, SourceFile, Verdict

Judge = Callable[[SourceFile, Footer, Contract], Verdict]
_MAX_REACHED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchValidator:
    """All that a validation task needs, as one value."""

    raw: ObstoreStore
    lake: ObstoreStore
    temp: Path
    concurrency: int
    judge: Judge
    """The verb ``validate.verdict``, handed in: adapters do not know the verbs."""

    def validate(self, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
        """A verdict per file, in the batch's order.

        Raises:
            StorageError: the object store failed; no verdict can be given.
        """
        footers, judged = FooterReader(self.raw), _Judged(self.judge, contract)
        with ThreadPoolExecutor(max_workers=min(self.concurrency, max(1, len(batch.files)))) as pool:
            return tuple(pool.map(lambda file: self._one(batch, file, footers, judged), batch.files))

    def _one(self, batch: Batch, file: SourceFile, footers: FooterReader, judged: _Judged) -> Verdict:
        footer = footers.read(file)
        if isinstance(footer, Rejected):
            return footer
        verdict = judged.verdict(file, footer)
        if isinstance(verdict, Accepted) and verdict.casts:
            return convert(verdict, stream=batch.stream, raw=self.raw, lake=self.lake, temp=self.temp)
        return verdict


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
