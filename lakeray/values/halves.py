"""A batch whose validation ran out of memory is validated in halves, down to single files (P5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lakeray.values.errors import ValidationMemoryError
from lakeray.values.model import Batch, Verdict


def in_halves(
    batch: Batch,
    validate: Callable[[Batch], tuple[Verdict, ...]],
    *,
    cause: BaseException,
    what: str = "ran out of memory",
) -> tuple[Verdict, ...]:
    """The verdicts of both halves, in the batch's order. Validation is idempotent: what was done is done again.

    Args:
        validate: gives a half's verdicts, in halves again if need be.
        what: what happened when the batch was validated.

    Raises:
        ValidationMemoryError: the batch is a single file. It is not rejected: another machine may have the memory.
    """
    if len(batch.files) == 1:
        file = batch.files[0]
        raise ValidationMemoryError(
            f"{file.key}: validating it alone {what}",
            expected=f"a footer or a conversion of {file.size_bytes:,} bytes of Parquet within a worker's memory",
            found=(str(cause).splitlines() or [""])[0][:200] or type(cause).__name__,
            todo="Give the workers more memory, or take the file away; the other streams go on",
        ) from cause
    middle = len(batch.files) // 2
    return validate(_part(batch, 0, middle)) + validate(_part(batch, middle, len(batch.files)))


def _part(batch: Batch, first: int, last: int) -> Batch:
    files = batch.files[first:last]
    # The id stays: it is the whole batch that is committed.
    return replace(batch, files=files, size_bytes=sum(file.size_bytes for file in files))
