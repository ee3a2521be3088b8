"""Events as progress bars on stderr, for people at a terminal; only there is rich imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakeray.values.events import (
    BatchCommitted,
    BatchTransformed,
    CursorBroken,
    CursorTypeKept,
    Event,
    FileRejected,
    Noted,
    RowsLeftOut,
    SampleFileWritten,
    StreamFinished,
    StreamPlanned,
)
from lakeray.values.keys import shown

if TYPE_CHECKING:
    from rich.progress import TaskID


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
            case CursorTypeKept() | CursorBroken() | RowsLeftOut():
                self._say(_of_rows(event))
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
        self._progress.console.print(shown(text), markup=False, highlight=False)


def _of_rows(event: CursorTypeKept | CursorBroken | RowsLeftOut) -> str:
    match event:
        case CursorTypeKept():
            return f"{event.stream}: the texts of {event.cursor} are compared as {event.cursor_type} from now on"
        case CursorBroken():
            what = f"{event.rows} row(s) with a {event.cursor} that is no {event.cursor_type}"
            return f"{event.stream}: {what}: they count as older than all others"
        case RowsLeftOut():
            return f"{event.stream}: {event.rows} row(s) without a key are left out"
