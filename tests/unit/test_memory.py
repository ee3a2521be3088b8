"""The memory model: monotonous, and linear in bytes (P5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lakeray.memory import TRANSFORM_FACTOR, projected_bytes, validation_bytes

sizes = st.lists(st.integers(0, 10**12), max_size=8)


@given(sizes, st.integers(0, 10**10))
def test_projected_is_reserved_plus_the_factor(sizes: list[int], reserved: int) -> None:
    assert projected_bytes(sizes, reserved_bytes=reserved) == reserved + int(TRANSFORM_FACTOR * sum(sizes))


@given(sizes, st.integers(0, 10**12))
def test_another_file_never_lowers_the_projection(sizes: list[int], more: int) -> None:
    assert projected_bytes([*sizes, more], reserved_bytes=1) >= projected_bytes(sizes, reserved_bytes=1)


@given(st.integers(0, 100_000))
def test_validating_more_files_never_needs_less(files: int) -> None:
    assert validation_bytes(files + 1, reserved_bytes=5) > validation_bytes(files, reserved_bytes=5) >= 5


def test_only_footers_in_flight_count() -> None:
    many, few = (validation_bytes(n, reserved_bytes=0, concurrency=4) for n in (1000, 4))
    assert many - few == 996 * 96 * 1024
