"""Results on stdout and progress on stderr, for people at a terminal; only there is rich imported."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lakeray.cli.words import Table

if TYPE_CHECKING:
    pass


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
            print(_plain(table))
            return
        from rich.console import Console
        from rich.table import Table as RichTable

        shown = RichTable(title=table.title, title_justify="left", header_style="bold")
        for index, column in enumerate(table.columns):
            shown.add_column(column, justify="left" if index == 0 else "right", overflow="fold")
        for row in table.rows:
            shown.add_row(*(cell.replace("[", "\\[") for cell in row))
        Console().print(shown)


def _plain(table: Table) -> str:
    """The table as aligned lines, for files and pipes."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    rows = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)
    return "\n".join([table.title, *rows])
