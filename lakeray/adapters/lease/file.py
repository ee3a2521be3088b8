"""The lease of an embedded lake: a locked file beside the catalog (P10).

The operating system frees the lock when its holder ends, however it ends. The fencing token is in the catalog.

A process that is stopped keeps its lock, and nobody can take it away. So the lease has generations, each a file of its
own: ``lease``, ``lease.1``, ``lease.2``. The newest file is the lease; who locks an older one holds nothing. Taking the
lease from a holder that gives no heartbeat is making the next file. No file is ever deleted: a process could otherwise
lock one that is no longer the lease and find none that is newer.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lakeray.adapters.lease.heartbeat import SILENT_BEATS, Heartbeat, changes
from lakeray.adapters.lease.refusals import answers, cannot_be_asked, held
from lakeray.ports.committer import LeaseTerms
from lakeray.values.causes import disk_cause
from lakeray.values.errors import LeaseLostError, TryAgainError

_POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFile:
    """The ``Lease`` port. Asking costs one look at the folder, so nothing is kept in mind."""

    path: Path
    """The locked file."""
    next: Path
    """The file of the next generation: it is there when the lease was taken away."""

    def check(self) -> None:
        """See ``Lease``."""
        if self.next.exists():
            raise LeaseLostError(
                "the lease is lost; nothing more is written",
                expected=f"{self.path} to be the newest lease",
                found=f"{self.next.name}: the lease was taken away while this process gave no heartbeat",
                todo="Another committer may have taken over. Run the command again when it has ended",
            )

    def confirm(self) -> None:
        """See ``Lease``."""
        self.check()


class FileLease:
    """The ``LeaseHolder`` port."""

    def __init__(self, path: Path, *, holder: str, since: datetime, terms: LeaseTerms) -> None:
        """Nothing is taken yet.

        Args:
            path: of the first generation.
            holder: who we are, for others that want the lease.
            since: since when.
            terms: no server keeps this lease, so their timeout says nothing.
        """
        self._path = path
        self._holder = holder
        self._since = since
        self._terms = terms

    @contextmanager
    def hold(self) -> Iterator[HeldFile]:
        """Take the lease and keep it inside the block.

        Raises:
            LeaseHeldError: another process has it, also after ``wait_s``.
            TryAgainError: the file cannot be written.
        """
        number, descriptor = self._locked()
        try:
            self._sign(descriptor)
            with Heartbeat(lambda: _beat(descriptor), every_s=self._terms.heartbeat_s):
                yield HeldFile(path=_generation(self._path, number), next=_generation(self._path, number + 1))
        finally:
            os.close(descriptor)

    def holder(self) -> str | None:
        """Who holds the lease, as it wrote itself down; None when nobody does, or nobody knows."""
        with _opened(_generation(self._path, _newest(self._path))) as found:
            return None if found is None or not found.holder else found.described

    def take_from_silent(self) -> str | None:
        """See ``LeaseHolder``.

        Raises:
            LeaseHeldError: the holder answers, or is of a version that gives no heartbeat.
            TryAgainError: the next file cannot be made.
        """
        number = _newest(self._path)
        path = _generation(self._path, number)
        with _opened(path) as found:
            if found is None:
                return None
            if found.every_s is None:
                raise cannot_be_asked(found.described)
            if changes(lambda: (_beaten(path), is_free(found.descriptor)), within_s=SILENT_BEATS * found.every_s):
                if is_free(found.descriptor):
                    return found.holder
                raise answers(found.holder, every_s=found.every_s)
            self._make(_generation(self._path, number + 1))
            return found.holder

    def _locked(self) -> tuple[int, int]:
        """The newest generation's number, and its file, locked."""
        deadline_s = time.monotonic() + self._terms.wait_s
        while True:
            number = _newest(self._path)
            descriptor = self._open(_generation(self._path, number))
            if _lock(descriptor) and _newest(self._path) == number:
                return number, descriptor
            os.close(descriptor)
            if time.monotonic() >= deadline_s and _newest(self._path) == number:
                raise held(self.holder())
            time.sleep(_POLL_S)

    def _open(self, path: Path) -> int:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from error

    def _make(self, path: Path) -> None:
        os.close(self._open(path))

    def _sign(self, descriptor: int) -> None:
        written = {"holder": self._holder, "since": self._since.isoformat(), "heartbeat_s": self._terms.heartbeat_s}
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(written).encode(), 0)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> TryAgainError:
        return disk_cause(error, otherwise=TryAgainError)(
            "the lease cannot be written",
            expected=f"to write {self._path}",
            found=os.strerror(error.errno) if error.errno else type(error).__name__,
            todo="Make room or mend the permissions, then run the command again",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A lease file that somebody has locked."""

    descriptor: int
    holder: str
    """Empty when nothing is written."""
    since: str
    every_s: float | None
    """Between two heartbeats; None of a version that gives none."""
    beaten_at: float
    """The last heartbeat, by the clock of this machine."""

    @property
    def described(self) -> str:
        beat = "" if self.every_s is None else f", last heartbeat {max(0.0, time.time() - self.beaten_at):.0f} s ago"
        return f"{self.holder}, since {self.since}{beat}" if self.holder else ""


def is_free(descriptor: int) -> bool:
    """Whether nobody holds the lock of an open file; a shared lock, for an instant, is how to ask."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return True


@contextmanager
def _opened(path: Path) -> Iterator[_Found | None]:
    """What is written in a lease file that somebody has locked; None when nobody has."""
    try:
        file = path.open(encoding="utf-8")
    except FileNotFoundError:
        yield None
        return
    with file:
        yield None if is_free(file.fileno()) else _read(file.fileno())


def _read(descriptor: int) -> _Found:
    try:
        written = json.loads(os.pread(descriptor, 65536, 0).decode() or "{}")
    except ValueError:
        written = {}
    return _Found(
        descriptor=descriptor,
        holder=str(written.get("holder", "")),
        since=str(written.get("since", "unknown")),
        every_s=written.get("heartbeat_s"),
        beaten_at=os.fstat(descriptor).st_mtime,
    )


def _beat(descriptor: int) -> bool:
    with suppress(OSError):  # a disk that takes no heartbeat makes a holder that seems silent, and may lose its lease
        os.utime(descriptor)
    return True


def _beaten(path: Path) -> int:
    return path.stat().st_mtime_ns


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _newest(path: Path) -> int:
    """The number of the newest generation; 0 is the file without a number."""
    suffixes = (item.name.removeprefix(f"{path.name}.") for item in path.parent.glob(f"{path.name}.*"))
    return max((int(suffix) for suffix in suffixes if suffix.isdigit()), default=0)


def _generation(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}") if number else path
