"""Results on stdout: one JSON document, or tables that fit the terminal."""

from __future__ import annotations

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from lakeray.cli.words import Table

_GAP = "  "


class Output:
    """Where a command's result goes: one JSON document, or tables."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def result(self, document: Any, tables: Sequence[Table] = (), *, text: str = "") -> None:
        """Print the document, or the tables and the text."""
        if self._as_json:
            print(json.dumps(document, indent=2, ensure_ascii=False))
            return
        for table in tables:
            self._table(table)
        if text:
            print(text)

    def _table(self, table: Table) -> None:
        if not sys.stdout.isatty():
            print("\n".join(lines_of(table)))
            return
        shown, quiet = without_quiet(table)
        width = shutil.get_terminal_size().columns
        if has_prose(shown, width=width):
            print("\n".join(records(shown)))
        else:
            for block in blocks(shown, width=width):
                title, head, *rows = lines_of(block)
                print("\n".join([title, _bold(head), *rows]))
        if quiet:
            print(f"All 0: {', '.join(quiet)}")


def without_quiet(table: Table) -> tuple[Table, tuple[str, ...]]:
    """The table without the columns that are 0 in each row, and their names: what is not 0 is to be seen."""
    quiet = {
        index for index in range(1, len(table.columns)) if table.rows and all(row[index] == "0" for row in table.rows)
    }
    if not quiet:
        return table, ()
    stay = [index for index in range(len(table.columns)) if index not in quiet]
    return _of_columns(table, stay), tuple(table.columns[index] for index in sorted(quiet))


def has_prose(table: Table, *, width: int) -> bool:
    """Whether a column of a table that does not fit takes half of the width or more: sentences, and long keys."""
    widths = _widths(table)
    return sum(widths) + len(_GAP) * (len(widths) - 1) > width and max(widths[1:], default=0) * 2 >= width


def records(table: Table) -> Iterator[str]:
    """The title, then each row by itself: its first cell, and a line for each other one that says something."""
    yield table.title
    for first, *rest in table.rows:
        yield first
        yield from (f"  {name}: {cell}" for name, cell in zip(table.columns[1:], rest, strict=True) if cell)


def blocks(table: Table, *, width: int) -> Iterator[Table]:
    """The table in blocks that fit into the width, the first column in each: no word of it is broken.

    A single column that is wider than that is left to the terminal.
    """
    widths = _widths(table)
    stay = [0]
    for index in range(1, len(table.columns)):
        needed = sum(widths[at] for at in (*stay, index)) + len(_GAP) * len(stay)
        if needed > width and len(stay) > 1:
            yield _of_columns(table, stay)
            stay = [0]
        stay.append(index)
    yield _of_columns(table, stay)


def lines_of(table: Table) -> list[str]:
    """The title, then the header and the rows as aligned lines."""
    widths = _widths(table)
    lines = (table.columns, *table.rows)
    rows = (
        _GAP.join(cell + " " * (width - _cells(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return [table.title, *rows]


def _of_columns(table: Table, stay: Sequence[int]) -> Table:
    columns, *rows = (tuple(line[index] for index in stay) for line in (table.columns, *table.rows))
    return Table(title=table.title, columns=columns, rows=tuple(rows))


def _widths(table: Table) -> list[int]:
    lines = (table.columns, *table.rows)
    return [max(_cells(line[index]) for line in lines) for index in range(len(table.columns))]


def _cells(text: str) -> int:
    """How many cells of a terminal the text takes: Chinese and the like take two a character."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _bold(text: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") == "dumb"
    return text if plain else f"\x1b[1m{text}\x1b[0m"
