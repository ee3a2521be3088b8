"""lakeray as a process: run to its end, watched by its log, interrupted or killed; always ended by its pid."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.real.lake import PROJECT, Lake, Ran, plain_environment

DEADLINE_S = 240.0
"""A process that takes so long hangs; it is killed, and the test that waits for it fails."""


def lakeray(
    *words: str, cwd: Path = PROJECT, environment: Mapping[str, str] | None = None, python: tuple[str, ...] = ()
) -> Ran:
    """``python -m lakeray WORDS`` from the project's root, to its end."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "lakeray", *words],
        cwd=cwd,
        env=plain_environment(**(environment or {})),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


_AS_SQL = """
import os, sys, duckdb
lake = duckdb.connect()
# DuckDB's shell knows it, and no other DuckDB.
names = " ".join(f"WHEN '{name}' THEN '{value}'" for name, value in os.environ.items() if name.startswith("S3_"))
lake.execute(f"CREATE MACRO getenv(name) AS CASE name {names or 'WHEN NULL THEN NULL'} END")
for statement in lake.extract_statements(sys.argv[1]):
    answer = lake.execute(statement)
print(answer.fetchall())
"""


def ran_as(kind: str, snippet: str, *, environment: Mapping[str, str]) -> str:
    """What a snippet of ``connect`` prints, of kind ``python`` or ``duckdb``, in a process of its own."""
    program = [snippet] if kind == "python" else [_AS_SQL, snippet]
    done = subprocess.run(
        [sys.executable, "-c", *program],
        env=plain_environment(**environment),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Running:
    """``python -m lakeray WORDS`` on a lake, its log read line by line as it comes."""

    def __init__(self, lake: Lake, *words: str, environment: Mapping[str, str] | None = None) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lakeray", *words, *lake.settings],
            cwd=PROJECT,
            env=plain_environment(**(environment or {})),
            stdout=subprocess.PIPE,  # one document: it fits in the pipe
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # whatever is signalled to its group does not reach the tests
        )
        self._watchdog = threading.Timer(DEADLINE_S, self._process.kill)
        self._watchdog.start()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def until(self, reached: Callable[[dict[str, Any]], bool]) -> bool:
        """Read the log up to the event; False when the process ended before."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.lines.append(line)
            event = line[line.find("{") :]  # Ray writes in front who of its workers says it
            if event.startswith('{"at"') and reached(json.loads(event)):
                return True
        return False

    def until_event(self, name: str, *, times: int = 1) -> bool:
        """Read the log up to the event of this name, so many times; False when the process ended before."""
        return all(self.until(lambda event: event.get("event") == name) for _ in range(times))

    def until_line(self, number: int) -> bool:
        """Read so many events; False when the process ended before."""
        return all(self.until(lambda _: True) for _ in range(number))

    def ends_within(self, seconds: float) -> bool:
        """Let it work on, at most so long."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """kill -9, and wait until it is gone. One that has ended is left alone."""
        self._watchdog.cancel()
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()

    def end(self) -> Ran:
        """Let it come to its end."""
        self.until(lambda _: False)
        assert self._process.stdout is not None
        out = self._process.stdout.read()
        return Ran(code=self._process.wait(timeout=DEADLINE_S), out=out, err="".join(self.lines))


def wait_until_gone(mark: str) -> None:
    """Wait for the end of every process whose environment holds ``mark``: those a command started, and theirs."""
    deadline = time.monotonic() + DEADLINE_S
    while left := _marked(mark):
        assert time.monotonic() < deadline, f"left behind: {left}"


def _marked(mark: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # it ended meanwhile, or is not ours
        if mark.encode() in environment:
            found.append(int(folder.name))
    return found
