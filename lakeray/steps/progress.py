"""What a feed has done so far."""

from __future__ import annotations

from lakeray.values.model import StreamName, StreamReport, StreamStatus


class StreamProgress:
    """What the feed of one stream has done so far."""

    def __init__(self, stream: StreamName) -> None:
        self.stream = stream
        self.worked = False
        self.batches = self.files = self.size_bytes = self.rows = self.quarantined = self.cleaned = self.kept = 0
        self.left_out = self.reregistered = 0

    def add(self, *, files: int, size_bytes: int, rows: int, rejected: int) -> None:
        """Count one batch."""
        self.worked = True
        self.batches += 1
        self.files += files
        self.size_bytes += size_bytes
        self.rows += rows
        self.quarantined += rejected

    def report(self, status: StreamStatus, *, seconds: float, error: dict[str, str] | None) -> StreamReport:
        """The stream's report."""
        return StreamReport(
            stream=self.stream,
            status=status,
            batches=self.batches,
            files=self.files,
            size_bytes=self.size_bytes,
            rows=self.rows,
            quarantined=self.quarantined,
            left_out=self.left_out,
            reregistered=self.reregistered,
            cleaned=self.cleaned,
            kept=self.kept,
            seconds=seconds,
            error=error,
        )
