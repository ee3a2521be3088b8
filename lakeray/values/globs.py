"""Paths that DuckDB would take for patterns."""

from __future__ import annotations

import re

_GLOB = re.compile(r"([*?\[])")


def glob_escaped(path: str) -> str:
    """``path`` so that DuckDB's globbing finds it alone: ``g[1].parquet`` would register ``g1.parquet``."""
    return _GLOB.sub(r"[\1]", path)
