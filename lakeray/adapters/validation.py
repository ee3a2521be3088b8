"""Validating one batch: footers read concurrently, a verdict each. Runs in a Ray task or in a thread, the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lakeray.adapters.conversion import convert
from lakeray.adapters.footers import read_footer
from lakeray.adapters.object_store import ObstoreStore
from lakeray.model import Accepted, Batch, Contract, Footer, Rejected, SourceFile, Verdict

Judge = Callable[[SourceFile, Footer, Contract], Verdict]


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
        with ThreadPoolExecutor(max_workers=min(self.concurrency, max(1, len(batch.files)))) as pool:
            return tuple(pool.map(lambda file: self._one(batch, file, contract), batch.files))

    def _one(self, batch: Batch, file: SourceFile, contract: Contract) -> Verdict:
        footer = read_footer(self.raw, file)
        if isinstance(footer, Rejected):
            return footer
        verdict = self.judge(file, footer, contract)
        if isinstance(verdict, Accepted) and verdict.casts:
            return convert(verdict, stream=batch.stream, raw=self.raw, lake=self.lake, temp=self.temp)
        return verdict
