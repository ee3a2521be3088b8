"""Values that decide something by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from lakeray.values.model import SourceFile

FILE = SourceFile(key="a/b/x.parquet", etag="e", size_bytes=1, last_modified=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("change", [{"key": "a/b/y.parquet"}, {"etag": "f"}, {"size_bytes": 2}])
def test_a_file_is_another_one_by_key_etag_or_size(change: dict[str, Any]) -> None:
    assert replace(FILE, **change).identity != FILE.identity


def test_a_file_is_the_same_whenever_it_was_written() -> None:
    assert replace(FILE, last_modified=datetime(2026, 1, 2, tzinfo=UTC)).identity == FILE.identity
