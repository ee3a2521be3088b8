"""Ray: one committer actor, one feeder actor per stream, validation tasks with their memory stated.

Actors hold what they open; what travels between processes is values.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import ray
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayError, RayTaskError, WorkerCrashedError

from lakeray.adapters.halves import in_halves
from lakeray.adapters.shared_committer import SharedCommitter, shared
from lakeray.adapters.validation import BatchValidator
from lakeray.errors import LakerayError, TryAgainError
from lakeray.model import (
    Batch,
    BuildResult,
    CommitOutcome,
    CommitRequest,
    CommitterWork,
    Contract,
    Landed,
    LedgerEntry,
    Peak,
    PendingTransform,
    Rejected,
    StreamName,
    StreamReport,
    StreamStatus,
    Unknown,
    Verdict,
)
from lakeray.ports import Committer, Executor, GroupCommitter

OpenCommitter = Callable[[], AbstractContextManager[GroupCommitter]]
FeedOne = Callable[[StreamName, Committer, Executor, Callable[[], bool]], StreamReport]
_POLL_S = 0.25
_TRIES = 3
"""Of a validation whose worker died, or of a single file that Ray killed for its memory: others may have used it up."""
_WORKERS = 4
"""That are started before there is work; more start with the work."""
_WAIT_S = 1.0
"""Before the second try; twice as long before the third."""


@contextmanager
def cluster(*, address: str | None, num_cpus: int | None) -> Iterator[None]:
    """A Ray to work in: the one at ``address``, or one on this machine that ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    # A short folder of its own: the path of a Unix socket may not exceed 107 bytes, and nothing is left behind.
    folder = None if address else tempfile.mkdtemp(prefix="lakeray-ray-")
    options: dict[str, Any] = {"address": address} if address else {"num_cpus": num_cpus, "_temp_dir": folder}
    ray.init(include_dashboard=None if address else False, logging_level="ERROR", log_to_driver=True, **options)
    try:
        # Ray tells of dead workers on the driver's standard output, which is for the result alone.
        with redirect_stdout(sys.stderr):
            try:
                yield
            finally:
                ray.shutdown()
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def run_feeds(
    streams: Sequence[StreamName],
    *,
    open_committer: OpenCommitter,
    feed_one: FeedOne,
    validator: BatchValidator,
    finish: Callable[[Committer], BuildResult | LakerayError],
    stop: Callable[[], bool],
) -> tuple[list[StreamReport], BuildResult | LakerayError, CommitterWork | None]:
    """Feed the streams, each by its own actor, through one committer; then do what comes once, after all of them.

    A feeder that dies fails its stream and no other.

    Raises:
        LeaseHeldError: another committer works on the lake.
        LakerayError: the committer could not start.
    """
    committer = _CommitterActor.options(max_concurrency=len(streams) + 2).remote(open_committer)  # type: ignore[attr-defined]
    proxy = RayCommitter(committer)
    feeders = {
        stream: _FeederActor.options(max_concurrency=2).remote(feed_one, proxy, RayExecutor(validator))  # type: ignore[attr-defined]
        for stream in streams
    }
    _start_workers()
    _get(committer.open.remote())  # meanwhile all the other processes start
    waiting = {feeder.run.remote(stream): stream for stream, feeder in feeders.items()}
    reports: dict[StreamName, StreamReport] = {}
    asked = False
    while waiting:
        done, _ = ray.wait(list(waiting), timeout=_POLL_S)
        for reference in done:
            stream = waiting.pop(reference)
            reports[stream] = _report(stream, reference)
        if stop() and not asked:
            asked = True
            for feeder in feeders.values():
                feeder.stop.remote()
    work: CommitterWork | None = None
    with suppress(TryAgainError):
        work = _get(committer.work.remote())
    built = finish(proxy)
    with suppress(TryAgainError):  # a committer that died has given its lease back already
        _get(committer.close.remote())
    return [reports[stream] for stream in streams], built, work


def _start_workers() -> None:
    """Let the workers of the first validations start while the committer does: each takes 1.5 s, mostly imports."""
    for _ in range(min(_WORKERS, int(ray.cluster_resources().get("CPU", 1)))):
        _imported.remote()


def _report(stream: StreamName, reference: Any) -> StreamReport:
    try:
        report: StreamReport = _get(reference)
    except LakerayError as error:
        return StreamReport(stream=stream, status=StreamStatus.FAILED, error=error.as_dict())
    return report


def _get(reference: Any) -> Any:
    try:
        return _result(reference)
    except RayTaskError:
        raise
    except RayError as error:
        raise _ended(error) from error


def _ended(error: RayError) -> TryAgainError:
    return TryAgainError(
        "Ray ended before its work was done",
        found=str(error).split("\n", 1)[0],
        todo="Run the feed again: it starts from what the catalog says",
    )


def _result(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, LakerayError):
            raise error.cause from None
        raise


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)
class _CommitterActor:
    """One per lake. A restart is a new lease, so Ray never restarts it by itself (P10).

    It takes a call of each feeder at once, so that those that wait can go together.
    """

    def __init__(self, open_committer: OpenCommitter) -> None:
        self._open_committer = open_committer
        self._stack = ExitStack()
        self._committer: SharedCommitter | None = None

    def open(self) -> int:
        """Take the lease; returns the fencing token."""
        committer = self._stack.enter_context(self._open_committer())
        self._committer = self._stack.enter_context(shared(committer))
        return self._committer.token

    def work(self) -> CommitterWork:
        """What it has done so far."""
        assert self._committer is not None
        return self._committer.work

    def close(self) -> None:
        """Give the lease back."""
        self._committer = None
        self._stack.close()

    def token(self) -> int:
        """The fencing token."""
        assert self._committer is not None
        return self._committer.token

    def call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call one method of the committer."""
        assert self._committer is not None
        return getattr(self._committer, name)(*arguments, **named)


@ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)
class _FeederActor:
    """One per stream."""

    def __init__(self, feed_one: FeedOne, committer: RayCommitter, executor: RayExecutor) -> None:
        self._feed_one = feed_one
        self._committer = committer
        self._executor = executor
        self._stopping = False

    def run(self, stream: StreamName) -> StreamReport:
        """Feed the stream, once, to the end."""
        return self._feed_one(stream, self._committer, self._executor, lambda: self._stopping)

    def stop(self) -> None:
        """Ask the feed to stop after its current step."""
        self._stopping = True


class RayCommitter:
    """The ``Committer`` port, by messages to the committer actor."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    @property
    def token(self) -> int:
        """The fencing token."""
        return int(_get(self._actor.token.remote()))

    def ensure_landing(self, stream: StreamName, contract: Contract) -> Sequence[str]:
        """See ``Committer``."""
        return list(self._call("ensure_landing", stream, contract))

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """See ``Committer``. An actor that dies in between leaves an unknown outcome (P9)."""
        try:
            outcome: CommitOutcome = ray.get(self._actor.call.remote("commit", (request,), {}))
        except RayTaskError as error:
            if isinstance(error.cause, LakerayError):
                raise error.cause from None
            raise
        except RayError as error:
            return Unknown(commit_id=request.commit_id, cause=str(error).split("\n", 1)[0])
        return outcome

    def read_back(self, commit_id: str) -> Landed | None:
        """See ``Committer``."""
        found: Landed | None = self._call("read_back", commit_id)
        return found

    def transform(self, pending: PendingTransform) -> BuildResult:
        """See ``Committer``."""
        built: BuildResult = self._call("transform", pending)
        return built

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """See ``Committer``."""
        self._call("advance", pending, peaks=peaks)

    def remember(self, stream: StreamName, peaks: Sequence[Peak]) -> None:
        """See ``Committer``."""
        self._call("remember", stream, peaks)

    def rewind(self, stream: StreamName, *, to_snapshot: int) -> None:
        """See ``Committer``."""
        self._call("rewind", stream, to_snapshot=to_snapshot)

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: str) -> int:
        """See ``Committer``."""
        return int(self._call("remove", stream, files, reason=reason))

    def forget(self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: str) -> int:
        """See ``Committer``."""
        return int(self._call("forget", stream, paths=paths, entries=entries, reason=reason))

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> str | None:
        """See ``Committer``."""
        why: str | None = self._call("unreadable", stream, entry)
        return why

    def quarantine(self, stream: StreamName, rejected: Sequence[Rejected]) -> None:
        """See ``Committer``."""
        self._call("quarantine", stream, rejected)

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        """See ``Committer``."""
        return list(self._call("expire", older_than=older_than, dry_run=dry_run))

    def enrich(self) -> BuildResult:
        """See ``Committer``."""
        built: BuildResult = self._call("enrich")
        return built

    def set_quarantine(self, keys: Sequence[str], *, status: str) -> Sequence[str]:
        """See ``Committer``."""
        return list(self._call("set_quarantine", keys, status=status))

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        return _get(self._actor.call.remote(name, arguments, named))


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """The ``Executor`` port: a task per batch, with the batch's projected memory."""

    validator: BatchValidator

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        """Verdicts in the batches' order, at most ``ahead`` batches ahead of the consumer."""
        validator, terms = ray.put(self.validator), ray.put(contract)
        waiting: deque[tuple[Batch, Any]] = deque()
        rest = iter(batches)
        try:
            while True:
                while len(waiting) < ahead and (batch := next(rest, None)) is not None:
                    waiting.append((batch, _task(batch, validator, terms)))
                if not waiting:
                    return
                ready, reference = waiting.popleft()
                yield ready, _verdicts(ready, reference, validator, terms)
        finally:
            for _, reference in waiting:
                ray.cancel(reference)


def _task(batch: Batch, validator: Any, terms: Any) -> Any:
    return _validate.options(memory=batch.validation_bytes).remote(validator, batch, terms)


def _verdicts(batch: Batch, reference: Any, validator: Any, terms: Any) -> tuple[Verdict, ...]:
    """A task's verdicts; when Ray killed it for its memory, or its worker died each time, those of its halves (P5).

    Ray itself would run what it killed for its memory again for ever, unless told otherwise where Ray was started.

    Raises:
        ValidationMemoryError: a single file was too much each time.
        TryAgainError: Ray itself ended.
    """
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_WAIT_S * attempt)
            reference = _task(batch, validator, terms)
        try:
            verdicts: tuple[Verdict, ...] = _result(reference)
            return verdicts
        except OutOfMemoryError as error:
            cause: RayError = error
            if len(batch.files) > 1:
                break
        except (WorkerCrashedError, ObjectLostError) as error:
            cause = error
        except RayTaskError:
            raise
        except RayError as error:
            raise _ended(error) from error
    killed = isinstance(cause, OutOfMemoryError)
    return in_halves(
        batch,
        lambda half: _verdicts(half, _task(half, validator, terms), validator, terms),
        cause=cause,
        what="ran out of memory" if killed else "ended its worker process",
    )


@ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
def _imported() -> None:
    """Have what a validation imports, and this module what it does not."""
    importlib.import_module("lakeray.adapters.ducklake.scratch")


@ray.remote(num_cpus=1, max_retries=0)  # type: ignore[untyped-decorator]
def _validate(validator: BatchValidator, batch: Batch, contract: Contract) -> tuple[Verdict, ...]:
    """Stateless and idempotent: what is lost is run again, on another worker (`_verdicts`)."""
    return validator.validate(batch, contract)
