"""Texts inside SQL where no value can be bound, and paths that DuckDB would take for patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


_GLOB = re.compile(r"([*?\[])")


def literal(text: str) -> str:
    """``text`` as an SQL string, for the few statements that take no bound value (ATTACH, CREATE SECRET)."""
    return "'" + text.replace("'", "''") + "'"


def glob_escaped(path: str) -> str:
    """``path`` so that DuckDB's globbing finds it alone: ``g[1].parquet`` would register ``g1.parquet``."""
    return _GLOB.sub(r"[\1]", path)
