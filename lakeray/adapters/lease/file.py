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

from lakeray.values.errors import LeaseHeldError, TryAgainError

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
        # Never deleted: a second process could otherwise lock a file that is no longer the lease.
        descriptor = self._open()
        try:
            self._lock(descriptor)
            self._sign(descriptor)
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> str | None:
        """Who holds the lease, as it wrote itself down; None when nobody does or nobody knows."""
        try:
            with self._path.open(encoding="utf-8") as file:
                if _is_free(file.fileno()):
                    return None
                written = json.loads(file.read() or "{}")
        except (FileNotFoundError, ValueError):
            return None
        if "holder" not in written:
            return None
        return f"{written['holder']}, since {written.get('since', 'unknown')}"

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error

    def _sign(self, descriptor: int) -> None:
        signed = json.dumps({"holder": self._holder, "since": self._since.isoformat()}).encode()
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, signed, 0)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> TryAgainError:
        return TryAgainError(
            "the lease cannot be written",
            expected=f"to write {self._path}",
            found=os.strerror(error.errno) if error.errno else type(error).__name__,
            todo="Make room or mend the permissions, then run the command again",
        )

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
        found = self.holder()
        return LeaseHeldError(
            "another committer works on this lake",
            expected="the lease",
            found=f"it is held by {found}" if found else "it is held",
            todo="Wait until it ends, or stop it; `status`, `plan` and `why` work meanwhile",
        )


def _is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock; a shared lock, for an instant, is how to ask."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True
