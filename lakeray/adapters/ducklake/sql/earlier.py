"""Statements for a lake that an earlier version made, and that no committer of this one has opened yet (ADR 0023).

Whoever only reads cannot bring the lake up to date, and reads it all the same.
"""

from __future__ import annotations

_STORED = "r.key_may_return"
"""What the removals of such a lake lack, as the statements name it."""


def in_duckdb(statement: str) -> str:
    """The statement for such a lake, in DuckDB's dialect; as it is when it asks for nothing that is missing."""
    return statement.replace(_STORED, "r.reason <> 'retention'")


def in_postgres(statement: str) -> str:
    """The same in that of Postgres."""
    return statement.replace(_STORED, "r.reason <> 'retention'::bytea")
