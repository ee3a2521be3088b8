"""Batches: the same for the same files, within the budget, and never silent about what does not fit (P1, P5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.steps.discover import sort_out
from lakeray.steps.plan import batch_id, estimated_seconds, make_plan, refuse_oversize
from lakeray.values.errors import OversizeError
from lakeray.values.memory import DEFAULT, DEFAULT_FACTOR, Factor, listed_bytes
from lakeray.values.model import Budget, Discovery, SourceFile, StreamName

STREAM = StreamName("shop", "orders")
BUDGET = Budget(allowed_bytes=1_000, reserved_bytes=100, target_bytes=60, max_files=4, max_in_flight=2)
FITS = int(BUDGET.allowed_bytes / DEFAULT_FACTOR)


def file(number: int, size: int = 10, etag: str = "e") -> SourceFile:
    key = f"{STREAM}/year=2026/month=01/day=01/part_{number}.parquet"
    return SourceFile(key=key, etag=etag, size_bytes=size, last_modified=datetime(2026, 1, 1, tzinfo=UTC))


def plan(files, *, budget: Budget = BUDGET, policy: str = "spill", max_batches: int | None = None, factor=DEFAULT):
    found = Discovery(new=tuple(files), listed_files=len(files))
    return make_plan(STREAM, found, budget=budget, oversize_policy=policy, max_batches=max_batches, factor=factor)


sizes = st.lists(st.integers(0, 150), max_size=30)
budgets = st.builds(
    Budget,
    allowed_bytes=st.integers(200, 2_000),
    reserved_bytes=st.integers(0, 199),
    target_bytes=st.integers(1, 200),
    max_files=st.integers(1, 8),
    max_in_flight=st.just(2),
    fixed_bytes=st.integers(0, 300),
)
factors = st.builds(Factor, value=st.floats(0.5, 60), batches=st.integers(0, 20))


@given(sizes, budgets)
def test_every_file_is_in_exactly_one_batch(sizes: list[int], budget: Budget) -> None:
    files = [file(number, size) for number, size in enumerate(sizes)]
    made = plan(files, budget=budget)
    assert [item for batch in made.batches for item in batch.files] == files
    assert all(batch.files for batch in made.batches)
    assert (made.files, made.size_bytes) == (len(files), sum(sizes))


@given(sizes, budgets, factors)
def test_no_batch_exceeds_the_budget_but_a_single_oversize_file(
    sizes: list[int], budget: Budget, factor: Factor
) -> None:
    made = plan([file(number, size) for number, size in enumerate(sizes)], budget=budget, factor=factor)
    oversize = {item.file.key for item in made.oversize}
    for batch in made.batches:
        assert len(batch.files) <= budget.max_files
        if batch.files[0].key in oversize:
            assert len(batch.files) == 1 and batch.projected_bytes > budget.ceiling_bytes
            continue
        assert batch.projected_bytes <= budget.ceiling_bytes
        assert batch.size_bytes <= budget.target_bytes or len(batch.files) == 1
        assert batch.projected_bytes == listed_bytes(
            batch.size_bytes,
            reserved_bytes=budget.reserved_bytes,
            fixed_bytes=budget.fixed_bytes,
            factor=made.factor.value,
        )


@given(sizes.flatmap(lambda items: st.tuples(st.just(items), st.permutations(range(len(items))))), budgets)
def test_the_same_files_are_the_same_batches_in_any_order(case: tuple[list[int], list[int]], budget: Budget) -> None:
    files = [file(number, size) for number, size in enumerate(case[0])]
    plans = []
    for order in (range(len(files)), case[1]):
        found = sort_out([files[at] for at in order], known={}, quarantine=[], since=None, looked_since=None)
        plans.append(make_plan(STREAM, found, budget=budget, oversize_policy="spill"))
    assert plans[0] == plans[1]


@given(st.permutations([file(number) for number in range(6)]))
def test_an_id_is_of_the_files_and_not_of_their_order(files: list[SourceFile]) -> None:
    assert batch_id(files) == batch_id([file(number) for number in range(6)])


def test_an_id_tells_keys_etags_and_their_limits_apart() -> None:
    def of(*pairs: tuple[str, str]) -> str:
        return batch_id([replace(file(0), key=key, etag=etag) for key, etag in pairs])

    assert len({of(("a", "b")), of(("ab", "")), of(("", "ab")), of(("a", "c")), of(("a", "b"), ("a", "b"))}) == 5
    assert of(("\udcff", "lone surrogate")) != of(("\udcfe", "lone surrogate"))


def test_a_file_that_does_not_fit_is_named_with_its_numbers_and_goes_alone() -> None:
    made = plan([file(0), file(1, FITS + 1), file(2)])
    assert [(big.file, big.allowed_bytes) for big in made.oversize] == [(file(1, FITS + 1), 1_100)]
    assert made.oversize[0].projected_bytes > 1_100
    assert [list(batch.files) for batch in made.batches] == [[file(0)], [file(1, FITS + 1)], [file(2)]]


def test_the_largest_file_that_fits_is_not_oversize() -> None:
    assert not plan([file(0, FITS)]).oversize
    assert plan([file(0, FITS + 1)]).oversize


def test_refusing_leaves_the_file_out_of_the_plan_and_names_the_worst_when_it_is_run() -> None:
    made = plan([file(0), file(1, 500), file(2, 900)], policy="refuse")
    assert [item for batch in made.batches for item in batch.files] == [file(0)]
    with pytest.raises(OversizeError) as refused:
        refuse_oversize(made, oversize_policy="refuse")
    assert "2 file(s)" in str(refused.value) and file(2).key in str(refused.value) and "900 bytes" in str(refused.value)


def test_nothing_is_refused_when_all_fits_or_may_spill() -> None:
    refuse_oversize(plan([file(0)], policy="refuse"), oversize_policy="refuse")
    refuse_oversize(plan([file(0, 500)]), oversize_policy="spill")


def test_a_plan_keeps_what_discovery_said() -> None:
    found = Discovery(new=(file(0),), too_late=(file(1),), skipped=(file(2),), vanished=("gone",), listed_files=9)
    made = make_plan(STREAM, found, budget=BUDGET, oversize_policy="spill")
    assert (made.too_late, made.skipped, made.vanished, made.listed_files) == ((file(1),), (file(2),), ("gone",), 9)


def test_max_batches_leaves_the_rest_for_the_next_feed() -> None:
    files = [file(number) for number in range(10)]
    made = plan(files, max_batches=2)
    assert [item for batch in made.batches for item in batch.files] == files[:8]


def test_an_empty_plan_takes_no_time_and_a_plan_takes_some() -> None:
    assert estimated_seconds([plan([])]) == 0.0
    assert estimated_seconds([plan([file(0)])]) < estimated_seconds([plan([file(n) for n in range(9)])])


def test_a_plan_of_nothing_is_empty_whatever_the_day() -> None:
    found = sort_out([], known={}, quarantine=[], since=date(2026, 1, 1), looked_since=None)
    assert make_plan(STREAM, found, budget=BUDGET, oversize_policy="refuse").batches == ()
