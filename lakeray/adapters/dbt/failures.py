"""What dbt says when it fails, as errors that name the operator's next action.

dbt keeps DuckDB's message and drops its class. What such a message means is known where DuckDB is used: who makes a
transformer hands it over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from lakeray.ports.transformer import NodeResult
from lakeray.values.errors import (
    CatalogError,
    DiskFullError,
    LakerayError,
    LeaseLostError,
    ModelTestError,
    ObjectGoneError,
    SpillFullError,
    StorageAddressError,
    StorageError,
    StorageRefusedError,
    TransformError,
    TransformFaultError,
    TransformMemoryError,
)
from lakeray.values.redaction import without_values

_FENCED = "the lease with fencing token"
"""How the macro lakeray_fence begins, when it stops a model."""
_STAYS = "the batch stays registered and transformed_through stays where it was"
_AGAIN = "Run the feed again: it starts with this transform"
_TELLS_VALUES = re.compile(r"\b(?:Conversion|Constraint|Out of Range|Invalid Input) Error:")
"""DuckDB's errors about values, which repeat them. Others name columns and tables, and must."""
_WITHIN = "a transform within batch.memory_bytes - batch.reserved_bytes, the rest spilled"
_AROUND: Mapping[type[LakerayError], tuple[str, str, str]] = {
    TransformMemoryError: (
        "DuckDB ran out of memory",
        _WITHIN,
        "Raise batch.memory_bytes, or lower batch.target_bytes for the batches to come",
    ),
    SpillFullError: ("DuckDB ran out of memory, and of disk for the rest", _WITHIN, ""),
    DiskFullError: ("a disk was full while dbt ran", "", ""),
    StorageError: ("the storage failed while dbt read or wrote", "", _AGAIN),
    StorageRefusedError: ("the storage refused what dbt asked for", "", ""),
    StorageAddressError: ("no storage answered while dbt read or wrote", "", ""),
    CatalogError: ("the catalog failed while dbt ran", "", _AGAIN),
    ObjectGoneError: ("an object is not what was registered, and dbt could not read it", "", ""),
    TransformFaultError: ("dbt failed, by no fault of a model or its data", "", ""),
}
"""What failed around a model: in words, what was expected, and what to do unless the kind says it."""
FailedAround = Callable[[str], type[LakerayError] | None]
"""What failed around a model, by the database's message: its memory, the storage, the catalog. None when it was the
model or its data."""


def failure(
    about: str, failed: Sequence[NodeResult], problem: str | None, *, failed_around: FailedAround
) -> LakerayError:
    """The error for the results of a dbt command that are no success.

    Args:
        about: the stream, or what else was built.
        failed: dbt's results of the models and tests that failed.
        problem: what dbt itself ended with, when it did not get to the models.
        failed_around: tells what the database's message means.
    """
    messages = [item.message for item in failed if item.message]
    text = "\n".join(messages) or problem or ""
    found = _found(failed, messages, problem)
    if _FENCED in text:
        return LeaseLostError(
            f"{about}: the lease is lost; dbt wrote nothing",
            expected="the lease with this run's fencing token",
            found="another committer's",
            todo="Another committer took over; let it work",
        )
    around = failed_around(text)
    if around is not None:
        what, expected, todo = _AROUND[around]
        return around(f"{about}: {what}; {_STAYS}", expected=expected, found=found, todo=around.advice or todo)
    if failed and all(item.node.kind == "test" or item.status == "skipped" for item in failed):
        return ModelTestError(
            f"{about}: a dbt test failed; the rows are merged, transformed_through stays where it was",
            expected="every test of the touched models to pass",
            found=found,
            todo="Mend the data, the model or the test. The next feed starts with this transform and its tests",
        )
    return TransformError(
        f"{about}: dbt failed; {_STAYS}",
        found=found,
        todo="Mend the model or the data. The next feed starts with this transform",
    )


def first_lines(text: str) -> str:
    """The first three lines of a message as one: what went wrong, without the SQL, and without values of rows."""
    lines = text.splitlines()
    whole = " ".join(line.strip() for line in lines[:3] if line.strip())
    told = _TELLS_VALUES.search(whole)
    return whole if told is None else whole[: told.end()] + without_values(whole[told.end() :])


def _found(failed: Sequence[NodeResult], messages: Sequence[str], problem: str | None) -> str:
    if not failed:
        return first_lines(problem or "") or "no reason given"
    names = ", ".join(item.node.name for item in failed)
    return f"{names}: {' | '.join(first_lines(message) for message in messages)}"
