"""What readers say of a file, told by a reason of its own where there is one (P6)."""

from __future__ import annotations

import pytest

from lakeray.values.refusals import named_reason


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Invalid Input Error: File is encrypted", "encrypted"),
        ("Error: Unsupported compression codec LZO", "unsupported_codec"),
        ("Invalid Error: Unsupported converted type", "unsupported_type"),
        ("Invalid Input Error: Invalid string encoding found in Parquet file", "corrupt"),
        ("Conversion Error: Date out of range in timestamp conversion", "corrupt"),
        (
            "Conversion Error: Could not convert Timestamp(MS) to Timestamp(US)",
            "corrupt",
        ),
    ],
)
def test_what_has_a_name_is_told_by_it_without_the_readers_words(said: str, reason: str) -> None:
    found = named_reason(said)
    assert found is not None and found[0] == reason
    assert found[1].startswith("expected ") and said not in found[1]


def test_what_has_none_is_left_to_whoever_asks() -> None:
    assert named_reason('Invalid Input Error: Failed to map column "c"') is None
