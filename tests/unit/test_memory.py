"""The memory model: monotonous, bounded, and adapting within stated bounds (P5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakeray.values.memory import (
    DEFAULT,
    DEFAULT_FACTOR,
    KEY_BYTES,
    LEAF_BYTES,
    MAX_FACTOR,
    MAX_ROW_GROUP_BYTES,
    MIB,
    MIN_BATCHES,
    MIN_FACTOR,
    MIN_ROW_GROUP_BYTES,
    READ_FACTOR,
    VECTOR_FACTOR,
    VECTOR_ROWS,
    WRITE_FACTOR,
    Seen,
    adapted,
    fixed_bytes,
    footers_bytes,
    listed_bytes,
    max_threads,
    row_group_bytes,
    threads_for,
    validation_bytes,
)

sizes = st.integers(0, 10**12)
footers = st.tuples(st.integers(0, 10**7), st.integers(1, 50), st.integers(0, 10**10), st.integers(0, 10**9))
seen = st.builds(Seen, size_bytes=st.integers(0, 10**10), rows_bytes=sizes, ran_out=st.booleans())


def needs(*given: tuple[int, int, int, int], leaves: int = 10, threads: int = 2, group_bytes: int = 16 * MIB) -> int:
    return footers_bytes(given, leaves=leaves, threads=threads, group_bytes=group_bytes, reserved_bytes=7)


@given(sizes, sizes, st.integers(0, 10**10))
def test_another_byte_never_lowers_the_projection(size: int, more: int, fixed: int) -> None:
    assert listed_bytes(size, reserved_bytes=1, fixed_bytes=fixed) >= 1 + fixed
    assert listed_bytes(size + more, reserved_bytes=1) >= listed_bytes(size, reserved_bytes=1)


@given(st.lists(footers, max_size=6), footers, st.integers(1, 8), st.integers(1, 1000))
def test_another_file_never_lowers_the_projection_by_footers(
    some: list[tuple[int, int, int, int]], more: tuple[int, int, int, int], threads: int, leaves: int
) -> None:
    fewer, all_of_them = (needs(*these, leaves=leaves, threads=threads) for these in (some, [*some, more]))
    assert all_of_them >= fewer >= 7 + leaves * LEAF_BYTES


def test_one_file_needs_its_columns_its_row_group_and_its_keys() -> None:
    rows, size = 4096, 4 * MIB
    found = needs((rows, 1, size, size), leaves=10)
    written, read = int(WRITE_FACTOR * size), int(READ_FACTOR * size)
    moved = int(VECTOR_FACTOR * size * VECTOR_ROWS / rows)
    assert found == 7 + 10 * LEAF_BYTES + written + read + moved + rows * KEY_BYTES


def test_a_few_rows_that_are_huge_need_more_than_many_small_ones_of_the_same_size() -> None:
    assert needs((100, 1, 64 * MIB, 64 * MIB)) > needs((100_000, 1, 64 * MIB, 64 * MIB))


def test_what_is_written_is_bounded_by_the_row_group_however_many_files() -> None:
    one = (0, 1, 100 * MIB, 0)
    assert needs(*[one] * 50) == needs(*[one] * 2)


def test_more_threads_and_more_columns_need_more() -> None:
    file = (1000, 4, 400 * MIB, 100 * MIB)
    assert needs(file, threads=1) < needs(file, threads=2) < needs(file, threads=2, leaves=600)


@given(st.integers(1, 2**40), st.integers(1, 64), st.integers(0, 5000))
def test_threads_and_row_groups_follow_from_what_is_allowed(allowed: int, cores: int, leaves: int) -> None:
    most = max_threads(allowed, cores=cores)
    group = row_group_bytes(allowed, threads=most)
    threads = threads_for(allowed, leaves=leaves, cores=cores)
    assert 1 <= threads <= most <= cores
    assert MIN_ROW_GROUP_BYTES <= group <= MAX_ROW_GROUP_BYTES
    assert threads == 1 or fixed_bytes(leaves=leaves, threads=threads, group_bytes=group) <= allowed * 2 // 3


def test_a_wide_stream_gets_fewer_threads() -> None:
    allowed = 512 * MIB
    assert threads_for(allowed, leaves=20, cores=2) == 2
    assert threads_for(allowed, leaves=634, cores=2) == 1


def test_the_factor_is_the_default_until_there_are_enough_batches() -> None:
    few = [Seen(size_bytes=10, rows_bytes=100)] * (MIN_BATCHES - 1)
    assert adapted([]) == adapted(few) == DEFAULT
    assert str(DEFAULT) == f"{DEFAULT_FACTOR:.2f} (default)"


def test_the_factor_is_above_the_largest_that_was_measured() -> None:
    found = adapted([Seen(size_bytes=10, rows_bytes=size) for size in (10, 40, 20)])
    assert (found.value, found.batches) == (5.0, 3)
    assert str(found) == "5.00 (adapted from 3 batches)"


def test_a_merge_that_ran_out_of_memory_is_planned_at_half_its_size_at_once() -> None:
    limit, size = 900, 100
    found = adapted([Seen(size_bytes=size, rows_bytes=limit, ran_out=True)])
    assert found.value * size / 2 >= limit and found.batches == 1


@given(st.lists(seen, max_size=20))
def test_the_factor_stays_within_its_bounds(measured: list[Seen]) -> None:
    assert MIN_FACTOR <= adapted(measured).value <= MAX_FACTOR


@given(st.integers(0, 100_000))
def test_validating_more_files_never_needs_less(files: int) -> None:
    assert validation_bytes(files + 1, reserved_bytes=5) > validation_bytes(files, reserved_bytes=5) >= 5


def test_only_footers_in_flight_count() -> None:
    many, few = (validation_bytes(n, reserved_bytes=0, concurrency=4) for n in (1000, 4))
    assert many - few == 996 * 96 * 1024
