"""Paths that DuckDB would take for patterns."""

from __future__ import annotations

import pytest

from lakeray.values.globs import glob_escaped


@pytest.mark.parametrize(
    ("path", "escaped"), [("a/b.parquet", "a/b.parquet"), ("g[1].parquet", "g[[]1].parquet"), ("a*b?", "a[*]b[?]")]
)
def test_a_path_is_found_alone(path: str, escaped: str) -> None:
    assert glob_escaped(path) == escaped
