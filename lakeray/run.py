"""One run of all streams: look, choose, feed, enrich, release. Commands hold a ``Lakeray``, which holds ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from lakeray.feed import PlanningPorts, Ports, Rules, feed_stream, horizon_of, plan_stream
from lakeray.ports.catalog import PlanningSnapshot, RunReader
from lakeray.ports.committer import Committer, GroupCommitter
from lakeray.ports.events import EventSink
from lakeray.ports.execution import Executor, Fed, Feeders
from lakeray.ports.machine import Machine
from lakeray.ports.storage import RawStore
from lakeray.ports.time import Clock
from lakeray.settings.conversion import batch_for
from lakeray.settings.stream_budget import fitted
from lakeray.settings.values import ExecutorChoice, Settings, StreamSettings
from lakeray.steps.clean import clean_before
from lakeray.steps.split import leaves_of
from lakeray.values.errors import LakerayError
from lakeray.values.events import ExecutorChosen, FilesCleaned, ModelsEnriched, model_runs, worked
from lakeray.values.faults import Fault, no_fault
from lakeray.values.model import BuildResult, FeedReport, ObjectPolicy, Plan, StreamName, StreamReport, StreamStatus

NOTHING_BUILT = BuildResult(models=(), rows_affected=0, seconds=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lakeray:
    """The opened application of one command: its settings, and the ports."""

    settings: Settings
    store: RawStore
    reader: RunReader
    clock: Clock
    events: EventSink
    machine: Machine
    open_committer: Callable[[], AbstractContextManager[GroupCommitter]]
    """Takes the lease; the committer is the caller's until the block ends."""
    open_executor: Callable[[], Executor]
    """Validation in this process."""
    open_feeders: Callable[[ExecutorChoice], Feeders]
    new_id: Callable[[], str]
    """A short text, another one at each call, for commit ids."""
    fault: Fault = no_fault

    def planning_ports(self) -> PlanningPorts:
        """The ports that reading and planning need."""
        return PlanningPorts(store=self.store, reader=self.reader)

    def planning_snapshot(self) -> PlanningSnapshot:
        """The bookkeeping of the command's streams at this moment, each from its horizon on."""
        rules = {stream.name: self.rules(stream) for stream in self.streams()}
        return self.reader.planning_snapshot(
            list(rules), since_of=lambda cursor: horizon_of(rules[cursor.stream], cursor)
        )

    def ports(self, committer: Committer, executor: Executor, *, stop: Callable[[], bool]) -> Ports:
        """The ports of a feed."""
        return Ports(
            store=self.store,
            reader=self.reader,
            clock=self.clock,
            events=self.events,
            committer=committer,
            executor=executor,
            new_id=self.new_id,
            stop=stop,
            fault=self.fault,
        )

    def streams(self) -> list[StreamSettings]:
        """The streams that the command is about, by name."""
        return sorted(self.settings.streams.values(), key=lambda stream: stream.name)

    def rules(self, stream: StreamSettings) -> Rules:
        """What a feed of the stream obeys.

        Raises:
            UsageError: the stream's config is wrong.
        """
        return rules_for(self.settings, stream)

    @contextmanager
    def committer(self) -> Iterator[GroupCommitter]:
        """The committer of this process, holding the lease.

        Raises:
            LeaseHeldError: another committer works on the lake.
        """
        with self.open_committer() as committer:
            yield committer


def rules_for(settings: Settings, stream: StreamSettings) -> Rules:
    """What a feed of the stream obeys.

    Raises:
        UsageError: the stream's config is wrong.
    """
    batch = batch_for(settings, stream)
    contract = stream.landing_contract()
    return Rules(
        stream=stream.name,
        contract=contract,
        budget=fitted(
            batch.budget(max_in_flight=settings.feed.prefetch_batches),
            leaves=leaves_of(contract.columns),
            lake=settings.batch,
        ),
        oversize_policy=batch.oversize,
        adaptive=batch.adaptive,
        lookback_days=settings.feed.lookback_days,
        retention_days=settings.retention.days,
        max_batches=settings.feed.max_batches,
        on_changed=settings.feed.on_changed,
        on_vanished=settings.feed.on_vanished,
    )


def feed_one(
    app: Lakeray, stream: StreamName, committer: Committer, executor: Executor, stop: Callable[[], bool]
) -> StreamReport:
    """Feed one stream: what a feeder runs, wherever it is."""
    rules = app.rules(app.settings.streams[stream.slug])
    return feed_stream(rules, app.ports(committer, executor, stop=stop))


def feed_all(app: Lakeray, *, stop: Callable[[], bool]) -> FeedReport:
    """Look first; only streams with work are fed, and only a plan that is worth it starts Ray.

    Raises:
        LeaseHeldError: another committer works on the lake.
        LakerayError: the catalog cannot be opened.
    """
    snapshot = app.planning_snapshot()
    looked = [(stream, *_look(app, stream, snapshot)) for stream in app.streams()]
    busy = [
        stream for stream, planned, _ in looked if planned is not None and _has_work(app, stream, planned, snapshot)
    ]
    reports = {
        stream.name: _idle(stream, error) for stream, _, error in looked if error is not None or stream not in busy
    }
    built: BuildResult | LakerayError = NOTHING_BUILT
    failed = any(error is not None for _, _, error in looked)
    if not busy and not failed and not stop() and _is_releasable(app, snapshot):
        with app.committer() as committer:
            _release(app, committer)
    if busy or (app.reader.enriched_is_stale() and not stop()):
        files = sum(planned.files for stream, planned, _ in looked if planned is not None and stream in busy)
        fed = _feed(app, [stream.name for stream in busy], files=files, stop=stop)
        reports.update({report.stream: report for report in fed.reports})
        built = fed.built
    streams = tuple(reports[name] for name in sorted(reports))
    if isinstance(built, LakerayError):
        return FeedReport(streams=streams, enriched_error=built.as_dict())
    if built.models:
        for ran in model_runs(built):
            app.events.emit(ran)
        app.events.emit(ModelsEnriched(models=len(built.models), seconds=built.seconds))
    return FeedReport(streams=streams, enriched=built.models)


def finished_by(committer: Committer, app: Lakeray, *, stop: Callable[[], bool]) -> BuildResult | LakerayError:
    """What comes once, after all streams: the enriched models, then the snapshots that nobody reads any more.

    In this order: what the enriched models have not seen yet is in those snapshots. A failure is a value: the streams'
    report must still be told.
    """
    if stop():
        return NOTHING_BUILT
    built: BuildResult | LakerayError
    try:
        built = committer.enrich()
    except LakerayError as error:
        built = error
    try:
        _release(app, committer)
    except LakerayError as error:
        return built if isinstance(built, LakerayError) else error
    return built


def choose_executor(settings: Settings, *, files: int) -> tuple[ExecutorChoice, str]:
    """Where to validate, and why: starting Ray costs 4–12 s, which footers of a few thousand files do not."""
    if settings.feed.executor is not ExecutorChoice.AUTO:
        return settings.feed.executor, "feed.executor says so"
    if files >= settings.ray.auto_files and files > 0:
        return ExecutorChoice.RAY, f"{files} files are at least ray.auto_files ({settings.ray.auto_files})"
    return ExecutorChoice.INLINE, f"{files} files are fewer than ray.auto_files ({settings.ray.auto_files})"


def _feed(app: Lakeray, streams: Sequence[StreamName], *, files: int, stop: Callable[[], bool]) -> Fed:
    choice, because = choose_executor(app.settings, files=files)
    app.events.emit(ExecutorChosen(executor=choice, because=because))
    fed = app.open_feeders(choice).run(
        streams, finish=lambda committer: finished_by(committer, app, stop=stop), stop=stop
    )
    if fed.work is not None:
        app.events.emit(worked(fed.work))
    return fed


def _is_releasable(app: Lakeray, snapshot: PlanningSnapshot) -> bool:
    return app.reader.releasable(older_than=_grace_until(app), keep_from=snapshot.oldest_waiting())


def _release(app: Lakeray, committer: Committer) -> None:
    """Let DuckLake snapshots go whose grace period is over, and the objects that none of them shows any more (P13)."""
    deleted = committer.expire(older_than=_grace_until(app))
    if deleted:
        app.events.emit(FilesCleaned(stream="*", files=0, rows=0, objects_deleted=len(deleted)))


def _grace_until(app: Lakeray) -> datetime:
    return app.clock.now() - timedelta(days=app.settings.retention.snapshot_days)


def _look(app: Lakeray, stream: StreamSettings, snapshot: PlanningSnapshot) -> tuple[Plan | None, LakerayError | None]:
    try:
        return plan_stream(app.rules(stream), PlanningPorts(store=app.store, reader=snapshot)), None
    except LakerayError as error:
        if error.exit_code != 1:
            raise
        return None, error


def _has_work(app: Lakeray, stream: StreamSettings, planned: Plan, snapshot: PlanningSnapshot) -> bool:
    rules = app.rules(stream)
    if (planned.changed and rules.on_changed is not ObjectPolicy.REPORT) or (
        planned.vanished and rules.on_vanished is not ObjectPolicy.REPORT
    ):
        return True
    if planned.batches or planned.oversize or snapshot.pending_transform(stream.name) is not None:
        return True
    names = snapshot.landing_names(stream.name)
    if names is not None and {name.lower() for name in stream.fields} - {name.lower() for name in names}:
        return True
    oldest = snapshot.oldest_merged_day(stream.name)
    before = clean_before(snapshot.cursor(stream.name), retention_days=app.settings.retention.days)
    return oldest is not None and before is not None and oldest < before


def _idle(stream: StreamSettings, error: LakerayError | None) -> StreamReport:
    status = StreamStatus.NOTHING_NEW if error is None else StreamStatus.FAILED
    return StreamReport(stream=stream.name, status=status, error=None if error is None else error.as_dict())
