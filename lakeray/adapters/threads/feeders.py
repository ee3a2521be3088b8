"""Feeders as threads of this process, one per stream: for plans that are not worth starting Ray."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from lakeray.adapters.threads.committer import shared
from lakeray.ports.committer import GroupCommitter
from lakeray.ports.execution import Executor, Fed, FeedOne, Finish
from lakeray.values.model import StreamName, StreamReport, StreamStatus

_FEEDERS = 8
"""Streams that are fed at the same time; each keeps its own validated batches ready for the committer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadFeeders:
    """The ``Feeders`` port."""

    open_committer: Callable[[], AbstractContextManager[GroupCommitter]]
    executor: Executor
    feed_one: FeedOne
    leave_at_once: Callable[[], None]
    """Ends the process when the operator is impatient: threads cannot be ended."""

    def run(self, streams: Sequence[StreamName], *, finish: Finish, stop: Callable[[], bool]) -> Fed:
        """See ``Feeders``."""
        with self.open_committer() as committer:
            with shared(committer) as served:
                reports = run_feeds(
                    streams,
                    feed_one=lambda stream: self.feed_one(stream, served, self.executor, stop),
                    stop=stop,
                    leave_at_once=self.leave_at_once,
                )
                work = served.work
            return Fed(reports=tuple(reports), built=finish(committer, reports), work=work)


def run_feeds(
    streams: Sequence[StreamName],
    *,
    feed_one: Callable[[StreamName], StreamReport],
    stop: Callable[[], bool],
    leave_at_once: Callable[[], None],
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
