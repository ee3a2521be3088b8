"""Validation in this process: for plans that are not worth starting Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from lakeray.ports.execution import Validator
from lakeray.values.model import Batch, Contract, Verdict


class InlineExecutor:
    """The ``Executor`` port, in a thread: the next batch is validated while the committer works on this one.

    For several feeders at once; it validates one batch at a time, for what a batch may take is meant for one.
    """

    def __init__(self, validator: Validator) -> None:
        self._validator = validator
        self._turn = Lock()

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        """Verdicts in the batches' order, at most ``ahead`` batches ahead of the consumer."""
        waiting: deque[tuple[Batch, Future[tuple[Verdict, ...]]]] = deque()
        rest = iter(batches)
        with ThreadPoolExecutor(max_workers=1) as pool:
            try:
                while True:
                    while len(waiting) < ahead and (batch := next(rest, None)) is not None:
                        waiting.append((batch, pool.submit(self._validate, batch, contract)))
                    if not waiting:
                        return
                    ready, future = waiting.popleft()
                    yield ready, future.result()
            finally:
                for _, future in waiting:
                    future.cancel()

    def _validate(self, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
        with self._turn:
            return self._validator.validate(batch, contract)
