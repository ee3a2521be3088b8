"""The sizes that a footer promises, against bytes made by hand; real files are in the integration tests."""

from __future__ import annotations

import pytest

from lakeray.adapters.parquet.footer_bytes import promised_bytes

GROUP = bytes([0x19, 0x0C, 0x16, 20, 0x16, 4, 0x36, 30, 0x00])
"""columns: an empty list; total_byte_size 10; num_rows 2; total_compressed_size 15."""


def footer(*groups: bytes) -> bytes:
    return bytes([0x15, 4, 0x19, 0x0C, 0x16, 4, 0x19, (len(groups) << 4) | 12]) + b"".join(groups) + b"\0tail"


@pytest.mark.parametrize(("groups", "size"), [((), 0), ((GROUP,), 15), ((GROUP, GROUP), 30)])
def test_the_compressed_sizes_of_all_row_groups_are_added(groups: tuple[bytes, ...], size: int) -> None:
    assert promised_bytes(footer(*groups)) == size


def test_a_writer_that_leaves_the_size_out_promises_nothing() -> None:
    assert promised_bytes(footer(GROUP, bytes([0x19, 0x0C, 0x16, 20, 0x00]))) is None


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_footer_that_ends_too_early_is_an_error(cut: int) -> None:
    with pytest.raises((IndexError, ValueError)):
        promised_bytes(footer(GROUP)[: -len(b"\0tail") - cut])
