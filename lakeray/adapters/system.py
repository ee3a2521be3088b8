"""The operating system: time, ids, Ctrl-C, who we are."""

from __future__ import annotations

import ctypes
import functools
import getpass
import os
import signal
import socket
import sys
import time
import uuid
from datetime import UTC, datetime

from lakeray.values.faults import Fault, FaultPoint, no_fault


class SystemClock:
    """The ``Clock`` port."""

    def now(self) -> datetime:
        """The time, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds from some fixed point."""
        return time.monotonic()


def new_id() -> str:
    """Eight random hex digits."""
    return uuid.uuid4().hex[:8]


def give_memory_back() -> None:
    """Let the system have what the allocator keeps of freed memory, where it can be told to (glibc).

    Each thread frees into an arena of its own, and glibc gives back only the end of one: a process that feeds again and
    again would grow for as long as its arenas do.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def holder_name() -> str:
    """Who this process is, for others to find it: ``ada@host, process 4711``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


@functools.cache  # one count for the whole process: the committer and the feed of each stream ask
def fault_from_environment() -> Fault:
    """What LAKERAY_FAULT says: ``after_commit`` or ``after_commit:3`` kills this process there, the third time.

    ``after_commit:1:stop`` stops it there instead (SIGSTOP), the first time. For acceptance tests. Without the
    variable, nothing ever happens at a fault point.
    """
    wanted, _, rest = os.environ.get("LAKERAY_FAULT", "").partition(":")
    if not wanted:
        return no_fault
    times, _, how = rest.partition(":")
    left = [int(times or 1)]

    def strike(point: FaultPoint) -> None:
        if point == wanted:
            left[0] -= 1
            if left[0] == 0:
                signal.raise_signal(signal.SIGSTOP if how == "stop" else signal.SIGKILL)  # before this thread goes on

    return strike


def leave_at_once() -> None:
    """End this process now, whatever its threads do: as safe as being killed, which every command stands (P15)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an impatient third one
    print("interrupted: what was committed stays, the rest comes with the next run", file=sys.stderr, flush=True)
    os._exit(130)
