"""The lease of an embedded lake: a locked file beside the catalog (P10).

The operating system frees the lock when its holder ends, however it ends. The fencing token is in the catalog.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from lakeray.errors import LeaseHeldError

_POLL_S = 0.1


class FileLease:
    """The ``LeaseHolder`` port."""

    def __init__(self, path: Path, *, holder: str, since: datetime, wait_s: float) -> None:
        self._path = path
        self._holder = holder
        self._since = since
        self._wait_s = wait_s

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Take the lease and keep it inside the block.

        Raises:
            LeaseHeldError: another process has it, also after ``wait_s``.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Never deleted: a second process could otherwise lock a file that is no longer the lease.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock(descriptor)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"holder": self._holder, "since": self._since.isoformat()}).encode(), 0)
            yield
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + self._wait_s
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise self._held() from None
                time.sleep(_POLL_S)

    def _held(self) -> LeaseHeldError:
        found = holder_of(self._path)
        return LeaseHeldError(
            "another committer works on this lake",
            expected="the lease",
            found=f"it is held by {found}" if found else "it is held",
            todo="Wait until it ends, or stop it; `status`, `plan` and `why` work meanwhile",
        )


def holder_of(path: Path) -> str | None:
    """Who holds the lease, as it wrote itself down; None when nobody does or nobody knows."""
    try:
        written = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (FileNotFoundError, ValueError):
        return None
    if "holder" not in written:
        return None
    return f"{written['holder']}, since {written.get('since', 'unknown')}"
