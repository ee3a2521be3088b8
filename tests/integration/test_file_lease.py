"""The lease of an embedded lake: one holder, its heartbeat, and what becomes of it when none comes (P10)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lakeray.adapters.lease.file import FileLease
from lakeray.ports.committer import LeaseTerms
from lakeray.values.errors import LeaseHeldError, LeaseLostError
from tests.support.real.lake import PROJECT, plain_environment

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
HEARTBEAT_S = 0.1
DEADLINE_S = 60.0
HOLDER = """
import signal, sys
from datetime import UTC, datetime
from pathlib import Path
from lakeray.adapters.lease.file import FileLease
from lakeray.ports.committer import LeaseTerms
from lakeray.values.errors import LeaseLostError
terms = LeaseTerms(wait_s=0, heartbeat_s=0.1, timeout_s=60)
lease = FileLease(Path(sys.argv[1]), holder="the sleeper", since=datetime(2026, 1, 1, tzinfo=UTC), terms=terms)
with lease.hold() as held:
    held.check()
    signal.raise_signal(signal.SIGSTOP)
    try:
        held.check()
    except LeaseLostError as error:
        print(error)
        sys.exit(7)
"""


def lease(path: Path, *, holder: str = "me", wait_s: float = 0.0) -> FileLease:
    terms = LeaseTerms(wait_s=wait_s, heartbeat_s=HEARTBEAT_S, timeout_s=DEADLINE_S)
    return FileLease(path, holder=holder, since=SINCE, terms=terms)


@contextmanager
def stopped(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that took the lease and stopped itself."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        cwd=PROJECT,
        env=plain_environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline_s = time.monotonic() + DEADLINE_S
            while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
                assert process.poll() is None and time.monotonic() < deadline_s
                time.sleep(0.01)
            yield process
        finally:
            process.kill()


@contextmanager
def silent(path: Path, **written: object) -> Iterator[None]:
    """The lock of a process that gives no heartbeat."""
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        file.write(json.dumps({"holder": "somebody", "since": SINCE.isoformat(), **written}))
        file.flush()
        yield


def test_the_second_to_ask_is_told_who_holds_the_lease_and_the_last_heartbeat(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lease"
    assert lease(path).holder() is None
    with lease(path, holder="ada@here, process 7").hold() as held:
        held.check()
        held.confirm()
        found = lease(path).holder()
        assert found is not None and found.startswith("ada@here, process 7, since 2026-01-01") and "heartbeat" in found
        with pytest.raises(LeaseHeldError, match="ada@here, process 7"), lease(path, wait_s=0.3).hold():
            pytest.fail("two hold the lease")
    assert lease(path).holder() is None
    with lease(path).hold():
        pass


def test_a_lease_that_is_free_needs_no_breaking(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    assert lease(path).take_from_silent() is None
    with lease(path).hold():
        pass
    assert lease(path).take_from_silent() is None
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_lease_is_not_taken_from_a_holder_that_answers(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with lease(path, holder="ada").hold() as held:
        with pytest.raises(LeaseHeldError, match="one of ada"):
            lease(path).take_from_silent()
        held.check()
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_stopped_holder_loses_the_lease_and_knows_it_when_it_wakes(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with stopped(path) as sleeper:
        with pytest.raises(LeaseHeldError, match="the sleeper"), lease(path).hold():
            pytest.fail("two hold the lease")
        assert lease(path).take_from_silent() == "the sleeper"
        with lease(path, holder="ada").hold() as held:
            sleeper.send_signal(signal.SIGCONT)
            said = sleeper.communicate(timeout=DEADLINE_S)[0]
            assert sleeper.returncode == 7 and "lease is lost" in said
            held.check()
            with pytest.raises(LeaseHeldError, match="ada"), lease(path).hold():
                pytest.fail("two hold the lease")
            assert "ada" in str(lease(path).holder())


def test_a_holder_that_wakes_while_it_is_asked_keeps_its_lease(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with silent(path, heartbeat_s=DEADLINE_S), ThreadPoolExecutor(1) as other:
        asked = other.submit(lease(path).take_from_silent)
        while not asked.done():
            os.utime(path)
            time.sleep(0.01)
        with pytest.raises(LeaseHeldError, match="answers"):
            asked.result()
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_holder_that_ends_while_it_is_asked_leaves_the_lease_free(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with ThreadPoolExecutor(1) as other:
        with silent(path, heartbeat_s=DEADLINE_S):
            asked = other.submit(lease(path).take_from_silent)
            with pytest.raises(LeaseHeldError), lease(path, wait_s=0.2).hold():
                pytest.fail("two hold the lease")
        assert asked.result(timeout=DEADLINE_S) in ("somebody", None)
    with lease(path).hold():
        pass


@pytest.mark.parametrize("written", [{}, {"holder": "an earlier version"}])
def test_a_holder_that_promised_no_heartbeat_is_not_silent(tmp_path: Path, written: dict[str, object]) -> None:
    path = tmp_path / "lease"
    with silent(path, **written):
        with pytest.raises(LeaseHeldError, match="cannot be asked"):
            lease(path).take_from_silent()


def test_a_lock_with_nothing_written_is_held_by_somebody(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with path.open("w") as file:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX)
        assert lease(path).holder() is None
        with pytest.raises(LeaseHeldError, match="it is held"), lease(path).hold():
            pytest.fail("two hold the lease")
        with pytest.raises(LeaseHeldError, match="wrote nothing down"):
            lease(path).take_from_silent()


def test_several_that_break_the_lease_at_once_make_one_new_lease(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with silent(path, heartbeat_s=0.1), ThreadPoolExecutor(4) as others:
        taken = [others.submit(lease(path).take_from_silent) for _ in range(4)]
        assert {item.result(timeout=DEADLINE_S) for item in taken} <= {"somebody", None}
    assert sorted(item.name for item in tmp_path.iterdir()) == ["lease", "lease.1"]


def test_who_waits_gets_the_lease_that_was_broken_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    with silent(path, heartbeat_s=0.1), ThreadPoolExecutor(1) as other:

        def wait_and_take() -> None:
            with lease(path, wait_s=DEADLINE_S).hold() as held:
                held.check()

        waiting = other.submit(wait_and_take)
        assert lease(path).take_from_silent() == "somebody"
        waiting.result(timeout=DEADLINE_S)


def test_the_tenth_lease_is_newer_than_the_ninth(tmp_path: Path) -> None:
    path = tmp_path / "lease"
    for number in (9, 10):
        (tmp_path / f"lease.{number}").touch()
    (tmp_path / "lease.bak").touch()
    with lease(path, holder="ada").hold() as held:
        assert "ada" in (tmp_path / "lease.10").read_text()
        held.check()
        (tmp_path / "lease.11").touch()
        with pytest.raises(LeaseLostError, match=r"lease\.11"):
            held.check()
