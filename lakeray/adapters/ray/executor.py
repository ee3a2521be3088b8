"""Validation as Ray tasks, their memory stated."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError

from lakeray.adapters.ray.answers import ended, result
from lakeray.ports.execution import Validator
from lakeray.values.halves import in_halves
from lakeray.values.model import (
    Batch,
    Contract,
    Verdict,
)

_TRIES = 3
"""Of a validation whose worker died, or of a single file that Ray killed for its memory: others may have used it up."""


_WAIT_S = 1.0
"""Before the second try; twice as long before the third."""


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """The ``Executor`` port: a task per batch, with the batch's projected memory."""

    validator: Validator

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        """Verdicts in the batches' order, at most ``ahead`` batches ahead of the consumer."""
        validator, terms = ray.put(self.validator), ray.put(contract)
        waiting: deque[tuple[Batch, Any]] = deque()
        rest = iter(batches)
        try:
            while True:
                while len(waiting) < ahead and (batch := next(rest, None)) is not None:
                    waiting.append((batch, _task(batch, validator, terms)))
                if not waiting:
                    return
                ready, reference = waiting.popleft()
                yield ready, _verdicts(ready, reference, validator, terms)
        finally:
            for _, reference in waiting:
                ray.cancel(reference)


def _task(batch: Batch, validator: Any, terms: Any) -> Any:
    return _validate.options(memory=batch.validation_bytes).remote(validator, batch, terms)


def _verdicts(batch: Batch, reference: Any, validator: Any, terms: Any) -> tuple[Verdict, ...]:
    """A task's verdicts; when Ray killed it for its memory, or its worker died each time, those of its halves (P5).

    Ray itself would run what it killed for its memory again for ever, unless told otherwise where Ray was started.

    Raises:
        ValidationMemoryError: a single file was too much each time.
        TryAgainError: Ray itself ended.
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_WAIT_S * attempt)
            reference = _task(batch, validator, terms)
        try:
            verdicts: tuple[Verdict, ...] = result(reference)
            return verdicts
        except OutOfMemoryError as error:
            cause: RayError = error
            if len(batch.files) > 1:
                break
        except (WorkerCrashedError, ObjectLostError) as error:
            cause = error
        except RayTaskError:
            raise
        except RayError as error:
            raise ended(error) from error
    killed = isinstance(cause, OutOfMemoryError)
    return in_halves(
        batch,
        lambda half: _verdicts(half, _task(half, validator, terms), validator, terms),
        cause=cause,
        what="ran out of memory" if killed else "ended its worker process",
    )


@ray.remote(num_cpus=1, max_retries=0)  # type: ignore[untyped-decorator]
def _validate(validator: Validator, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
    """Stateless and idempotent: what is lost is run again, on another worker (`_verdicts`)."""
    return validator.validate(batch, contract)
