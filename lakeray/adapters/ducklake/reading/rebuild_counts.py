"""What a rebuild would do to the rows that are there, counted on the key and the columns that change alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lakeray.adapters.ducklake import sql
from lakeray.values.casts import cast_sql, loss_sql
from lakeray.values.column_types import quoted
from lakeray.values.model import Cast, Rebuild, RebuildCounts
from lakeray.values.names import folded

_PART = re.compile(r"\$(\w+)")
Ask = Callable[[str], Sequence[tuple[Any, ...]]]
"""The rows of a statement."""


def count(change: Rebuild, *, tables: Mapping[str, Sequence[str]], ask: Ask, merged_through: int) -> RebuildCounts:
    """Count.

    Args:
        tables: the columns of the stream's tables that are there, by name.
        merged_through: rows of landing up to this DuckLake snapshot count as merged (inclusive).
    """
    processed, landing = change.stream.processed_table, change.stream.landing_table
    own = _Keyed(processed, tables.get(processed, ()), change, change.processed)
    rows, without_key, *failing = ask(own.rows())[0] if own.is_there else (0, 0)
    dead = _Keyed(f"{processed}__tombstones", tables.get(f"{processed}__tombstones", ()), change, change.processed)
    dead_rows, dead_without_key = ask(dead.rows(failing=False))[0] if dead.is_there else (0, 0)
    if dead.is_there and not dead.has_order:
        dead_without_key = dead_rows  # nobody can say what they are newer than
    merges = own.is_there and (change.orders_anew or own.casts_its_key)
    delivered = _Keyed(landing, tables.get(landing, ()), change, change.landing)
    adds = change.orders_anew and own.is_there and delivered.is_there
    return RebuildCounts(
        rows=rows + dead_rows,
        merging=rows - without_key - int(ask(own.distinct())[0][0]) if own.is_there else 0,
        added=int(ask(_added(own, delivered, merged_through))[0][0]) if adds else 0,
        without_key=without_key + dead_without_key if merges else 0,
        failing=tuple((cast.column, lost) for cast, lost in zip(change.processed, failing, strict=True) if lost),
    )


class _Keyed:
    """A table, and its rows' new key as SQL."""

    def __init__(self, table: str, columns: Sequence[str], change: Rebuild, casts: Sequence[Cast]) -> None:
        self.table = table
        self.is_there = bool(columns)
        self._casts = {folded(cast.column): cast for cast in casts}
        self._columns = {folded(name): name for name in columns}
        self._key, self._newest_first = change.key, change.newest_first
        self.casts_its_key = any(folded(name) in self._casts for name in change.key)

    @property
    def keys(self) -> str:
        """The key's values, in its order."""
        return ", ".join(self._value(name) for name in self._key)

    @property
    def has_key(self) -> str:
        """Whether the key has a value: a null in a part of it is one like others."""
        return f"({' OR '.join(f'{self._value(name)} IS NOT NULL' for name in self._key)})"

    @property
    def has_order(self) -> bool:
        """Whether the table has all columns of the new key and cursor."""
        return all(folded(name) in self._columns for name in (*self._key, *self._newest_first))

    @property
    def source(self) -> str:
        """The table, with other names for columns that would hide DuckLake's own."""
        if not any(_hides(name) for name in self._columns.values()):
            return quoted(self.table)
        return f"{quoted(self.table)} AS landed({', '.join(map(_shown, self._columns.values()))})"

    def rows(self, *, failing: bool = True) -> str:
        """The statement that counts rows, rows without a key, and rows that fail a cast."""
        losses = [loss_sql(_shown(cast.column), cast.found, cast.wanted) for cast in self._casts.values()]
        counted = "".join(f", count(*) FILTER (WHERE {loss})" for loss in losses) if failing else ""
        return self._filled("rebuild_rows", failing=counted)

    def distinct(self) -> str:
        """The statement that counts keys."""
        return self._filled("rebuild_keys")

    def _filled(self, name: str, **more: str) -> str:
        named = {"has_key": self.has_key, "keys": self.keys, "table": self.source, **more}
        return filled(name, named)

    def _value(self, name: str) -> str:
        if folded(name) not in self._columns:
            return "NULL"
        cast = self._casts.get(folded(name))
        own = _shown(self._columns[folded(name)])
        return own if cast is None else cast_sql(own, cast.found, cast.wanted) or "NULL"


def _hides(name: str) -> bool:
    return folded(name) in ("rowid", "filename", "file_row_number", "file_index", "snapshot_id")


def _shown(name: str) -> str:
    return quoted(f"_lakeray_{folded(name)}" if _hides(name) else name)


def _added(own: _Keyed, delivered: _Keyed, merged_through: int) -> str:
    return filled(
        "rebuild_added",
        {
            "landing_keys": delivered.keys,
            "landing_has_key": delivered.has_key,
            "landing": delivered.source,
            "through": str(merged_through),
            "keys": own.keys,
            "table": own.source,
        },
    )


def filled(name: str, parts: Mapping[str, str]) -> str:
    """A statement with its parts in place, all at once: a column may be named like one of them."""
    text = sql.load(f"ducklake/{name}")
    return _PART.sub(lambda match: parts[match[1]], text)
