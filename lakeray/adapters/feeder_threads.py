"""Feeders as threads of this process, one per stream: for plans that are not worth starting Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lakeray.adapters.system import leave_at_once
from lakeray.model import StreamName, StreamReport, StreamStatus

_FEEDERS = 8
"""Streams that are fed at the same time; each keeps its own validated batches ready for the committer."""


def run_feeds(
    streams: Sequence[StreamName], *, feed_one: Callable[[StreamName], StreamReport], stop: Callable[[], bool]
) -> list[StreamReport]:
    """Feed the streams, several at a time; the reports are in the order of the streams.

    A feed that has begun ends by itself soon after ``stop`` says so; those that have not begun then never do.
    """

    def one(stream: StreamName) -> StreamReport:
        return StreamReport(stream=stream, status=StreamStatus.INTERRUPTED) if stop() else feed_one(stream)

    with ThreadPoolExecutor(max_workers=max(1, min(_FEEDERS, len(streams))), thread_name_prefix="feeder") as threads:
        feeds = [threads.submit(one, stream) for stream in streams]
        try:
            return [feed.result() for feed in feeds]
        except KeyboardInterrupt:
            leave_at_once()  # threads cannot be ended, and would be waited for
            raise
