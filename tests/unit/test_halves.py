"""Validation in halves: every file once, in order, as few tries as halving needs (P5)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakeray.values.errors import ValidationMemoryError
from lakeray.values.halves import in_halves
from lakeray.values.model import Batch, Rejected, RejectReason, SourceFile, StreamName, Verdict

STREAM = StreamName("shop", "orders")


def batch(count: int) -> Batch:
    files = tuple(
        SourceFile(key=f"k{number}", etag="e", size_bytes=10, last_modified=datetime(2026, 1, 1, tzinfo=UTC))
        for number in range(count)
    )
    return Batch(id="b", stream=STREAM, files=files, size_bytes=10 * count, projected_bytes=0)


class Worker:
    """Validates at most so many files at once; more run it out of memory."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.tried: list[int] = []

    def validate(self, given: Batch) -> tuple[Verdict, ...]:
        self.tried.append(len(given.files))
        if len(given.files) > self.most:
            return in_halves(given, self.validate, cause=MemoryError("too much"))
        return tuple(Rejected(file=file, reason=RejectReason.EMPTY, detail="") for file in given.files)


@pytest.mark.parametrize(("files", "most"), [(8, 2), (7, 2), (2, 1), (9, 8)])
def test_the_verdicts_of_the_halves_are_those_of_the_batch(files: int, most: int) -> None:
    worker = Worker(most)
    given = batch(files)
    assert [item.file for item in worker.validate(given)] == list(given.files)
    assert len(worker.tried) <= 2 * files


def test_a_single_file_is_an_error_with_its_numbers_and_no_verdict() -> None:
    with pytest.raises(ValidationMemoryError) as failed:
        Worker(0).validate(batch(4))
    assert "k0" in failed.value.about and "10 bytes" in failed.value.expected and failed.value.found == "too much"
