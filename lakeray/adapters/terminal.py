"""Results on stdout and progress on stderr, for people at a terminal; only there is rich imported."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lakeray.events import (
    BatchCommitted,
    BatchTransformed,
    Event,
    FileRejected,
    Noted,
    SampleFileWritten,
    StreamFinished,
    StreamPlanned,
)
from lakeray.explain import Table

if TYPE_CHECKING:
    from rich.progress import TaskID


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


class ProgressSink:
    """Events as progress bars: files taken in of files planned, per stream."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._tasks: dict[str, TaskID] = {}
        self._progress.start()

    def emit(self, event: Event) -> None:
        """Move the bars."""
        match event:
            case StreamPlanned(files=files) if files:
                self._tasks[event.stream] = self._progress.add_task(event.stream, total=files)
            case BatchCommitted():
                self._advance(event.stream, event.files)
            case BatchTransformed():
                self._describe(event.stream, f"{event.stream} merged in {event.seconds:.1f} s")
            case SampleFileWritten():
                if event.stream not in self._tasks:
                    self._tasks[event.stream] = self._progress.add_task(f"sample {event.stream}", total=event.total)
                self._advance(event.stream, 1)
            case FileRejected():
                self._advance(event.stream, 1)
                self._say(f"rejected {event.key}: {event.reason}: {event.detail}")
            case Noted():
                self._say(event.message)
            case StreamFinished() if event.error:
                self._say(f"{event.stream} failed: {event.error}")
            case _:
                return

    def close(self) -> None:
        """Leave the bars as they are."""
        self._progress.stop()

    def _advance(self, stream: str, files: int) -> None:
        if stream in self._tasks:
            self._progress.advance(self._tasks[stream], files)

    def _describe(self, stream: str, text: str) -> None:
        if stream in self._tasks:
            self._progress.update(self._tasks[stream], description=text)

    def _say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)
