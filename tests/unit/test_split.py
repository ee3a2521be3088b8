"""A validated batch is cut by its footers: every file once, in order, within the budget (P1, P5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.steps.plan import batch_id
from lakeray.steps.split import by_memory, leaves_of, projected
from lakeray.values.column_types import parse_type
from lakeray.values.errors import OversizeError
from lakeray.values.memory import MIB
from lakeray.values.model import (
    Accepted,
    Batch,
    Budget,
    Column,
    Footer,
    Rejected,
    RejectReason,
    SourceFile,
    StreamName,
    Verdict,
)

STREAM = StreamName("shop", "orders")
COLUMNS = (Column(name="id", type=parse_type("BIGINT")), Column(name="text", type=parse_type("VARCHAR")))
BUDGET = Budget(
    allowed_bytes=40 * MIB,
    reserved_bytes=MIB,
    target_bytes=10**9,
    max_files=100,
    max_in_flight=1,
    leaves=2,
    row_group_bytes=4 * MIB,
)


def verdict(number: int, size: int, *, rows: int = 10, rejected: bool = False) -> Verdict:
    key = f"{STREAM}/year=2026/month=01/day=01/part_{number}.parquet"
    file = SourceFile(key=key, etag="e", size_bytes=size, last_modified=datetime(2026, 1, 1, tzinfo=UTC))
    if rejected:
        return Rejected(file=file, reason=RejectReason.CORRUPT, detail="a bad footer")
    footer = Footer(
        rows=rows,
        row_groups=1,
        columns=COLUMNS,
        compressed_bytes=size,
        uncompressed_bytes=size,
        largest_group_bytes=size,
    )
    return Accepted(file=file, footer=footer)


def batch_of(verdicts: list[Verdict]) -> Batch:
    files = tuple(item.file for item in verdicts)
    return Batch(id=batch_id(files), stream=STREAM, files=files, size_bytes=0, projected_bytes=0)


def cut_up(verdicts: list[Verdict], *, policy: str = "spill", budget: Budget = BUDGET):
    checked = [(batch_of(verdicts), tuple(verdicts))]
    return list(by_memory(checked, budget=budget, oversize_policy=policy, identify=batch_id))


files = st.lists(st.tuples(st.integers(1, 30 * MIB), st.integers(0, 60_000), st.booleans()), min_size=1, max_size=12)


@given(files)
def test_every_verdict_is_in_one_portion_in_order_and_only_a_single_file_exceeds_the_budget(
    given_files: list[tuple[int, int, bool]],
) -> None:
    verdicts = [verdict(number, size, rows=rows, rejected=bad) for number, (size, rows, bad) in enumerate(given_files)]
    made = cut_up(verdicts)
    assert [item for _, portion in made for item in portion] == verdicts
    for batch, portion in made:
        assert batch.id == batch_id(item.file for item in portion)
        assert batch.files == tuple(item.file for item in portion)
        assert batch.projected_bytes == projected(portion, BUDGET)
        accepted = sum(isinstance(item, Accepted) for item in portion)
        assert batch.projected_bytes <= BUDGET.ceiling_bytes or accepted == 1


def test_a_batch_that_fits_stays_as_it_was_planned() -> None:
    verdicts = [verdict(number, MIB) for number in range(3)]
    ((batch, found),) = cut_up(verdicts)
    assert (batch.id, found) == (batch_of(verdicts).id, tuple(verdicts))


def test_the_same_files_are_cut_the_same_way() -> None:
    verdicts = [verdict(number, 2 * MIB, rows=40_000) for number in range(9)]
    first, second = cut_up(verdicts), cut_up(verdicts)
    assert [batch.id for batch, _ in first] == [batch.id for batch, _ in second]
    assert len(first) > 1


def test_what_repeats_few_values_counts_with_its_width_in_memory() -> None:
    stored = verdict(0, 1000, rows=100_000)
    assert isinstance(stored, Accepted)
    plain = verdict(0, 100_000 * 24, rows=100_000)
    assert projected([stored], BUDGET) == projected([plain], BUDGET)


def test_a_file_that_does_not_fit_alone_is_refused_with_every_number() -> None:
    with pytest.raises(OversizeError) as refused:
        cut_up([verdict(0, MIB), verdict(1, 35 * MIB, rows=77)], policy="refuse")
    text = str(refused.value)
    for number in ("part_1.parquet", "77 rows", "1 row groups", "2 leaf columns", f"{35 * MIB:,}", f"{41 * MIB:,}"):
        assert number in text, number
    assert len(cut_up([verdict(0, MIB), verdict(1, 35 * MIB)])) == 2


def test_more_is_allowed_more_fits_together() -> None:
    verdicts = [verdict(number, 2 * MIB, rows=40_000) for number in range(9)]
    assert len(cut_up(verdicts, budget=replace(BUDGET, allowed_bytes=400 * MIB))) == 1


def test_leaves_are_the_columns_without_parts() -> None:
    kinds = ["BIGINT", "STRUCT(a BIGINT, b VARCHAR[])", "STRUCT(x STRUCT(y DOUBLE))[]", "MAP(VARCHAR, BIGINT)"]
    columns = [Column(name=f"c{number}", type=parse_type(kind)) for number, kind in enumerate(kinds)]
    assert [leaves_of([column]) for column in columns] == [1, 2, 1, 2] and leaves_of(columns) == 6
