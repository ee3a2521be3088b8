"""Where events go."""

from __future__ import annotations

from typing import Protocol

from lakeray.values.events import Event


class EventSink(Protocol):
    """Where events go: logs, spans, metrics, progress bars."""

    def emit(self, event: Event) -> None:
        """Take one event. Never raises and never blocks for long."""
