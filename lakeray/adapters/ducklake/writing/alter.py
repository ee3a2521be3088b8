"""How a landing table gets the columns and fields that files bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import duckdb

from lakeray.values.column_types import parse_type, quoted, same_type
from lakeray.values.model import Column
from lakeray.values.names import folded
from lakeray.values.type_growth import additions, grows, merged


def lacking(have: Mapping[str, str], needs: Sequence[Column]) -> list[Column]:
    """What of the needs a table with these columns and types does not have yet."""
    stands = {folded(name): parse_type(kind) for name, kind in have.items()}
    return [
        need
        for need in dict.fromkeys(needs)
        if (own := stands.get(folded(need.name))) is None or not same_type(own, merged(own, need.type))
    ]


def alter(cursor: duckdb.DuckDBPyConnection, table: str, have: Mapping[str, str], needs: Sequence[Column]) -> list[str]:
    """Add what a table of schema staging lacks, inside the caller's transaction; says what was done.

    Args:
        have: the table's columns and types.
        needs: each may grow into its type while files under the old one stay as they are.
    """
    done = []
    for need in lacking(have, needs):
        for statement, words in _statements(table, have, need):
            cursor.execute(statement)
            done.append(words)
    return done


def _statements(table: str, have: Mapping[str, str], need: Column) -> Iterator[tuple[str, str]]:
    start = f"ALTER TABLE lakehouse.staging.{quoted(table)}"
    own = next((name for name in have if folded(name) == folded(need.name)), None)
    if own is None:
        yield (
            f"{start} ADD COLUMN IF NOT EXISTS {quoted(need.name)} {need.type}",
            f"added {table}.{need.name} {need.type}",
        )
        return
    old = parse_type(have[own])
    new = merged(old, need.type)
    if not grows(old, new):
        raise ValueError(f"{own}: {old} does not grow into {new}")
    # Field by field: SET DATA TYPE drops, without a word, what the type that it is given lacks.
    for path, kind in additions(old, new, path=(own,)):
        place = ".".join(quoted(name) for name in path)
        yield f"{start} ADD COLUMN IF NOT EXISTS {place} {kind}", f"added {table}.{'.'.join(path)} {kind}"
    if not same_type(merged(new, old), new):
        yield f"{start} ALTER COLUMN {quoted(own)} SET DATA TYPE {new}", f"widened {table}.{own} to {new}"
