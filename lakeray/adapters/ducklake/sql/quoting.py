"""Texts inside SQL where no value can be bound, and paths that DuckDB would take for patterns."""

from __future__ import annotations

from lakeray.values.globs import glob_escaped as glob_escaped


def literal(text: str) -> str:
    """``text`` as an SQL string, for the few statements that take no bound value (ATTACH, CREATE SECRET)."""
    return "'" + text.replace("'", "''") + "'"
