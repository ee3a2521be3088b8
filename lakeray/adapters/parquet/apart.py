"""Reading whole Parquet files in a process of its own: a damaged page can end DuckDB's process, or hang it.

What the process says is one of a few answers; that it ended, or did not answer in time, is an answer too.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from threading import BoundedSemaphore, Lock, Timer
from typing import Any

from lakeray.values.child_environment import for_child
from lakeray.values.errors import TryAgainError
from lakeray.values.model import RejectReason

_PROGRAM = ("-m", "lakeray.adapters.parquet.reading_process")
_PROCESSES = 2
"""How many read at the same time (inclusive); each takes up to 512 MB."""
_PATIENCE_S = 120.0
_BYTES_PER_S = 500_000
"""Slower than this beyond ``_PATIENCE_S`` is no reading any more: machines take 50 MB in a second."""
_ITS_OWN_FAULT = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL)
_ENDS = "expected Parquet that DuckDB reads, found pages that end its process"
_HANGS = "expected Parquet that DuckDB reads, found pages at which it hangs"

Answer = Mapping[str, Any]


class Apart:
    """Processes that read files, started when they are needed, and kept."""

    def __init__(self) -> None:
        self._slots = BoundedSemaphore(_PROCESSES)
        self._lock = Lock()
        self._idle: list[subprocess.Popen[str]] = []

    def ask(self, question: Mapping[str, Any], *, size_bytes: int) -> Answer:
        """The answer of ``reading_process``; ``{"reason": …, "detail": …}`` when the process ended or hung over it.

        Args:
            size_bytes: of the file; a larger one may take longer.

        Raises:
            MemoryError: the machine ended the process: that says nothing about the file.
            TryAgainError: no such process works here.
        """
        patience_s = _PATIENCE_S + size_bytes / _BYTES_PER_S
        with self._slots:
            # Twice: a process may end by chance.
            answer = self._answer(question, patience_s) or self._answer(question, patience_s)
        return answer or {"reason": str(RejectReason.BREAKS_READER), "detail": _ENDS}

    def _answer(self, question: Mapping[str, Any], patience_s: float) -> Answer | None:
        """None when the process ended over it."""
        with self._lock:
            process = self._idle.pop() if self._idle else None
        process = process or _started()
        line, late = _asked(process, question, patience_s=patience_s)
        if line:
            with self._lock:
                self._idle.append(process)
            answer: Answer = json.loads(line)
            return answer
        _let_go(process)
        if late:
            return {"reason": str(RejectReason.BREAKS_READER), "detail": _HANGS}
        if process.returncode == -signal.SIGKILL:
            raise MemoryError("the process that reads a file was killed")
        if -process.returncode in _ITS_OWN_FAULT:
            return None
        raise TryAgainError(
            "the process that reads files does not work", found=f"it ended with exit {process.returncode}"
        )

    def close(self) -> None:
        """Let the processes go."""
        with self._lock:
            processes, self._idle = self._idle, []
        for process in processes:
            _let_go(process)


def _started() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *_PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=for_child(os.environ),
        start_new_session=True,  # an interrupt of ours is not its: it ends with its input
    )


def _asked(process: subprocess.Popen[str], question: Mapping[str, Any], *, patience_s: float) -> tuple[str, bool]:
    """What it says, nothing when it ended; and whether it was ended for taking too long."""
    assert process.stdin is not None and process.stdout is not None
    late: list[bool] = []

    def give_up() -> None:
        late.append(True)
        process.kill()

    timer = Timer(patience_s, give_up)
    timer.daemon = True
    timer.start()
    try:
        process.stdin.write(json.dumps(dict(question)) + "\n")
        process.stdin.flush()
        return process.stdout.readline(), bool(late)
    except BrokenPipeError:
        return "", bool(late)
    finally:
        timer.cancel()


def _let_go(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what it was not told it will not miss
    process.wait()


APART = Apart()
"""This process's own."""
atexit.register(APART.close)
