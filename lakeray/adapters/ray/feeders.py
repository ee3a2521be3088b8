"""Ray: one committer actor, one feeder actor per stream, validation tasks with their memory stated.

Actors hold what they open; what travels between processes is values.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from typing import Any

import ray

from lakeray.adapters.ray.answers import get
from lakeray.adapters.ray.committer import CommitterActor, OpenCommitter, RayCommitter
from lakeray.adapters.ray.executor import RayExecutor
from lakeray.ports.execution import Fed, FeedOne, Finish, Validator
from lakeray.values.child_environment import narrowed
from lakeray.values.errors import LakerayError, TryAgainError
from lakeray.values.model import (
    CommitterWork,
    StreamName,
    StreamReport,
    StreamStatus,
)

_POLL_S = 0.25
_WORKERS = 4
"""That are started before there is work; more start with the work."""


@contextmanager
def cluster(*, address: str | None, num_cpus: int | None, environment: Collection[str] = ()) -> Iterator[None]:
    """A Ray to work in: the one at ``address``, or one on this machine that ends with the block.

    Args:
        environment: further variables that the processes of a Ray on this machine get, by name.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if not sys.stderr.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    # A short folder of its own: the path of a Unix socket may not exceed 107 bytes, and nothing is left behind.
    folder = None if address else tempfile.mkdtemp(prefix="lakeray-ray-")
    options: dict[str, Any] = {"address": address} if address else {"num_cpus": num_cpus, "_temp_dir": folder}
    with narrowed(os.environ, also=environment):  # raylet and workers inherit it, and show it to whoever looks
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RayFeeders:
    """The ``Feeders`` port: an actor for each stream, and one for the committer."""

    address: str | None
    num_cpus: int | None
    environment: Collection[str]
    """Further variables that a Ray on this machine gets, by name."""
    open_committer: OpenCommitter
    feed_one: FeedOne
    validator: Validator
    warm_up: Callable[[], None]
    """Imports, in a worker, what a validation needs."""

    def run(self, streams: Sequence[StreamName], *, finish: Finish, stop: Callable[[], bool]) -> Fed:
        """See ``Feeders``."""
        with cluster(address=self.address, num_cpus=self.num_cpus, environment=self.environment):
            return run_feeds(self, streams, finish=finish, stop=stop)


def run_feeds(what: RayFeeders, streams: Sequence[StreamName], *, finish: Finish, stop: Callable[[], bool]) -> Fed:
    """Feed the streams, each by its own actor, in a cluster that is there."""
    open_committer, feed_one, validator = what.open_committer, what.feed_one, what.validator
    committer = CommitterActor.options(max_concurrency=len(streams) + 2).remote(open_committer)  # type: ignore[attr-defined]
    proxy = RayCommitter(committer)
    feeders = {
        stream: _FeederActor.options(max_concurrency=2).remote(feed_one, proxy, RayExecutor(validator))  # type: ignore[attr-defined]
        for stream in streams
    }
    _start_workers(what.warm_up)
    get(committer.open.remote())  # meanwhile all the other processes start
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
        work = get(committer.work.remote())
    told = tuple(reports[stream] for stream in streams)
    built = finish(proxy, told)
    with suppress(TryAgainError):  # a committer that died has given its lease back already
        get(committer.close.remote())
    return Fed(reports=told, built=built, work=work)


def _start_workers(warm_up: Callable[[], None]) -> None:
    """Let the workers of the first validations start while the committer does: each takes 1.5 s, mostly imports."""
    for _ in range(min(_WORKERS, int(ray.cluster_resources().get("CPU", 1)))):
        _imported.remote(warm_up)


def _report(stream: StreamName, reference: Any) -> StreamReport:
    try:
        report: StreamReport = get(reference)
    except LakerayError as error:
        return StreamReport(stream=stream, status=StreamStatus.FAILED, error=error.as_dict())
    return report


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


@ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
def _imported(warm_up: Callable[[], None]) -> None:
    """Have what a validation imports."""
    warm_up()
