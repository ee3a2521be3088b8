"""What a feed has done so far."""

from __future__ import annotations

from collections.abc import Collection

from lakeray.values.model import Plan, Removal, StreamName, StreamReport, StreamStatus


class StreamProgress:
    """What the feed of one stream has done so far."""

    def __init__(self, stream: StreamName) -> None:
        self.stream = stream
        self.worked = False
        self.batches = self.files = self.size_bytes = self.rows = self.quarantined = self.cleaned = self.kept = 0
        self.too_late = self.replaced = 0
        self.changed: set[str] = set()
        self.vanished: set[str] = set()
        """Keys of objects that are not what was taken in, whether they were forgotten since or not (P14)."""
        self.left_out = self.reregistered = 0

    def add(self, *, files: int, size_bytes: int, rows: int, rejected: int) -> None:
        """Count one batch."""
        self.worked = True
        self.batches += 1
        self.files += files
        self.size_bytes += size_bytes
        self.rows += rows
        self.quarantined += rejected

    def saw(self, planned: Plan) -> None:
        """Keep what a look found that is not taken in."""
        self.too_late = len(planned.too_late)
        self.changed.update(change.file.key for change in planned.changed)
        self.changed.update(file.key for file in planned.waiting)
        self.vanished.update(planned.vanished)

    def forgot(self, keys: Collection[str], *, what: Removal) -> None:
        """Keep what this feed took out of the ledger."""
        match what:
            case Removal.CHANGED:
                self.changed.update(keys)
            case Removal.REPLACED:
                self.vanished.difference_update(keys)
            case _:
                self.vanished.update(keys)

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
            too_late=self.too_late,
            changed=len(self.changed),
            vanished=len(self.vanished),
            replaced=self.replaced,
            left_out=self.left_out,
            reregistered=self.reregistered,
            cleaned=self.cleaned,
            kept=self.kept,
            seconds=seconds,
            error=error,
        )
