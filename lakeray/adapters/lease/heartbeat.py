"""The heartbeat of a lease's holder: a thread that proves life, and the question whether somebody else's still does."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType

SILENT_BEATS = 3
"""A holder from which so many heartbeats in a row did not come does not answer."""
_POLL_S = 0.05
_LAST_BEAT_S = 1.0


class Heartbeat:
    """Calls ``beat`` every so many seconds until the block ends, or until ``beat`` says that the lease is lost.

    The thread is alive while the process runs, whatever its other threads do: a committer that works on one long merge
    holds its lease rightly. A process that is stopped, or whose host is gone, gives no heartbeat.
    """

    def __init__(self, beat: Callable[[], bool], *, every_s: float) -> None:
        """Prepare the thread.

        Args:
            beat: proves life; False when the lease is lost. Must not raise.
        """
        self._beat = beat
        self._every_s = every_s
        self._over = Event()
        self._thread = Thread(target=self._run, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=_LAST_BEAT_S)  # a beat that waits for a dead network is not waited for

    def _run(self) -> None:
        while not self._over.wait(self._every_s) and self._beat():
            pass


def changes(read: Callable[[], object], *, within_s: float) -> bool:
    """Whether what ``read`` returns changes: asked again and again, at most so long."""
    first, ends_s = read(), time.monotonic() + within_s
    while time.monotonic() < ends_s:
        time.sleep(_POLL_S)
        if read() != first:
            return True
    return False
