"""``Executor``: the same verdicts in the same order, in this process and as Ray tasks."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from lakeray.adapters.threads.executor import InlineExecutor
from lakeray.ports.execution import Executor
from lakeray.steps.validate import verdict
from lakeray.values.errors import StorageError, ValidationMemoryError
from lakeray.values.model import Accepted, Batch, Contract, Footer, SourceFile, Verdict
from tests.contract.lakes import OnDisk
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import COLUMNS, CONTRACT, row


@pytest.fixture
def lake(tmp_path: Path, extension_directory: Path) -> Iterator[OnDisk]:
    opened = OnDisk(tmp_path / "lake", extension_directory)
    yield opened
    opened.close()


KINDS = ["inline", pytest.param("ray", marks=pytest.mark.slow)]


@pytest.fixture(params=KINDS)
def executor(request: pytest.FixtureRequest, lake: OnDisk) -> Executor:
    if request.param == "inline":
        return InlineExecutor(lake.validator)
    request.getfixturevalue("ray_cluster")
    from lakeray.adapters.ray.executor import RayExecutor

    return RayExecutor(lake.validator)


def batches(lake: OnDisk) -> list[Batch]:
    made = []
    for day in range(1, 4):
        good, bad, empty, wide, gone = (key_for(date(2026, 3, day), f"{name}.parquet") for name in "abcde")
        lake.put(good, row(day))
        lake.put_bytes(bad, b"this is no Parquet at all")
        lake.put_bytes(empty, b"")
        lake.put(wide, row(day), columns=COLUMNS | {"extra": "DOUBLE"})
        lake.put(gone, row(day))
        made.append(lake.batch(good, bad, empty, wide, gone))
        lake.store.delete(gone)
    return made


def shown(verdict: Verdict) -> tuple[str, str]:
    if isinstance(verdict, Accepted):
        return verdict.file.key, " ".join(["accepted", *(column.name for column in verdict.new_columns)])
    return verdict.file.key, verdict.reason


def test_the_verdicts_are_per_file_and_in_order(lake: OnDisk, executor: Executor) -> None:
    given = batches(lake)
    found = list(executor.validate(given, contract=CONTRACT, ahead=2))
    assert [batch for batch, _ in found] == given
    for batch, verdicts in found:
        assert [shown(verdict) for verdict in verdicts] == list(
            zip(
                [file.key for file in batch.files],
                ["accepted", "not_parquet", "empty", "accepted extra", "vanished"],
                strict=True,
            )
        )
    assert found == list(InlineExecutor(lake.validator).validate(given, contract=CONTRACT, ahead=1))


def test_no_more_than_ahead_batches_are_asked_for(lake: OnDisk, executor: Executor) -> None:
    asked: list[str] = []

    def one_by_one() -> Iterator[Batch]:
        for batch in batches(lake):
            asked.append(batch.id)
            yield batch

    results = executor.validate(one_by_one(), contract=CONTRACT, ahead=2)
    assert len(asked) == 0
    next(results)
    assert len(asked) <= 2
    results.close()  # type: ignore[attr-defined]
    assert len(asked) <= 3


def test_nothing_to_validate_is_nothing(executor: Executor) -> None:
    assert list(executor.validate([], contract=CONTRACT, ahead=2)) == []


def test_an_object_that_shrank_since_it_was_listed_is_not_accepted(lake: OnDisk, executor: Executor) -> None:
    key = key_for(date(2026, 3, 1))
    file: SourceFile = lake.put(key, row(1))
    longer = replace(file, size_bytes=file.size_bytes + 1000)
    batch = replace(lake.batch(key), files=(longer,))
    try:
        ((_, (verdict,)),) = executor.validate([batch], contract=CONTRACT, ahead=1)
    except StorageError:
        return
    assert not isinstance(verdict, Accepted)


def _out_of_memory_at_huge(file: SourceFile, footer: Footer, contract: Contract) -> Verdict:
    """The verdict, but for a file with the column ``huge``."""
    if any(column.name == "huge" for column in footer.columns):
        raise MemoryError("no memory for it")
    return verdict(file, footer, contract)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_takes_too_much_memory_is_named_after_its_batch_was_halved(
    lake: OnDisk, kind: str, request: pytest.FixtureRequest
) -> None:
    keys = [key_for(date(2026, 3, 1), f"part_{number}.parquet") for number in range(5)]
    for number, key in enumerate(keys):
        lake.put(key, row(number), columns=COLUMNS | ({"huge": "DOUBLE"} if number == 3 else {}))
    validator = replace(lake.validator, judge=_out_of_memory_at_huge)
    if kind == "ray":
        request.getfixturevalue("ray_cluster")
        from lakeray.adapters.ray.executor import RayExecutor

        executor: Executor = RayExecutor(validator)
    else:
        executor = InlineExecutor(validator)
    with pytest.raises(ValidationMemoryError) as failed:
        list(executor.validate([lake.batch(*keys)], contract=CONTRACT, ahead=1))
    assert keys[3] in failed.value.about and "no memory" in failed.value.found
    fewer = [key for key in keys if key != keys[3]]
    ((_, verdicts),) = executor.validate([lake.batch(*fewer)], contract=CONTRACT, ahead=1)
    assert [item.file.key for item in verdicts if isinstance(item, Accepted)] == fewer


def _ends_its_process_at_deadly(file: SourceFile, footer: Footer, contract: Contract) -> Verdict:
    """The verdict, but for a file with the column ``deadly``, whose worker is killed."""
    if any(column.name == "deadly" for column in footer.columns):
        os.kill(os.getpid(), signal.SIGKILL)
    return verdict(file, footer, contract)


@pytest.mark.slow
def test_a_file_that_ends_its_worker_each_time_is_named_and_the_others_are_validated(
    lake: OnDisk, ray_cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lakeray.adapters.ray import executor as ray_executor

    monkeypatch.setattr(ray_executor, "_WAIT_S", 0.0)
    keys = [key_for(date(2026, 3, 1), f"part_{number}.parquet") for number in range(3)]
    for number, key in enumerate(keys):
        lake.put(key, row(number), columns=COLUMNS | ({"deadly": "DOUBLE"} if number == 1 else {}))
    executor = ray_executor.RayExecutor(replace(lake.validator, judge=_ends_its_process_at_deadly))
    with pytest.raises(ValidationMemoryError, match="ended its worker process") as failed:
        list(executor.validate([lake.batch(*keys)], contract=CONTRACT, ahead=1))
    assert keys[1] in failed.value.about
    ((_, verdicts),) = executor.validate([lake.batch(keys[0], keys[2])], contract=CONTRACT, ahead=1)
    assert all(isinstance(item, Accepted) for item in verdicts)
