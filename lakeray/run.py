"""One run of all streams: look, choose, feed, enrich, release. Commands hold a ``Lakeray``, which holds ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from lakeray.feed import Ports, StreamFeed, finished
from lakeray.planning import (
    Days,
    GenerationOf,
    HasModel,
    PlanningPorts,
    Rules,
    every_model,
    missing_model,
    missing_of,
    owner_of,
    plan_replay,
    plan_stream,
    replaced_keys,
    replacing_of,
    vanished_policy,
    view_of,
)
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
from lakeray.steps.clean import RawRules, clean_before
from lakeray.steps.overview import Overview, StreamOverview, not_told, records_of
from lakeray.steps.ownership import is_claimed
from lakeray.steps.presence import is_waiting
from lakeray.steps.progress import StreamProgress
from lakeray.steps.split import leaves_of
from lakeray.steps.work import Standing, Work, work_of
from lakeray.values.enriched import EnrichOrder
from lakeray.values.errors import LakerayError, PrefixOwnedError
from lakeray.values.events import ExecutorChosen, FilesCleaned, ModelsEnriched, Noted, model_runs, worked
from lakeray.values.faults import Fault, no_fault
from lakeray.values.model import (
    BuildResult,
    FeedReport,
    Plan,
    QuarantineStatus,
    RawPolicy,
    RunRecord,
    StreamName,
    StreamReport,
    StreamStatus,
)

_QUARANTINED = (QuarantineStatus.REJECTED, QuarantineStatus.RETRY)
"""What waits for an operator is counted as changed."""
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
    open_feeders: Callable[[ExecutorChoice, Days | None], Feeders]
    """What feeds the streams, or replays a range of days of them."""
    new_id: Callable[[], str]
    """A short text, another one at each call, for commit ids."""
    generation_of: GenerationOf
    has_model: HasModel = every_model
    fault: Fault = no_fault
    project: Callable[[], str] = str
    """A fingerprint of the dbt project's own files; empty where nobody looks."""
    catalog: str = ""
    """Where the lake's catalog is, for the people who meet its claims."""

    def planning_ports(self) -> PlanningPorts:
        """The ports that reading and planning need."""
        return PlanningPorts(store=self.store, reader=self.reader, today=self.today(), generation_of=self.generation_of)

    def today(self) -> date:
        """The day by this machine's clock, UTC."""
        return self.clock.now().date()

    def planning_snapshot(self, *, today: date | None = None) -> PlanningSnapshot:
        """The bookkeeping of the command's streams at this moment, each from the day on that a feed looks from.

        Args:
            today: None asks the clock.
        """
        day = today or self.today()
        rules = {stream.name: self.rules(stream) for stream in self.streams()}
        return self.reader.planning_snapshot(
            list(rules), since_of=lambda cursor: view_of(rules[cursor.stream], cursor, today=day)
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
            catalog=self.catalog,
            generation_of=self.generation_of,
            has_model=self.has_model,
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
        retention_days=settings.retention.days if stream.retention.days is None else stream.retention.days,
        raw=RawRules(raw=settings.retention.raw, delete_existing=settings.retention.delete_existing),
        take_over=settings.lake.take_over,
        max_batches=settings.feed.max_batches,
        on_changed=settings.feed.on_changed,
        on_vanished=settings.feed.on_vanished,
        accept_empty=settings.feed.accept_empty,
        overwrites=stream.destination_sync_mode.startswith("overwrite"),
        path=stream.layout,
    )


def feed_one(
    app: Lakeray,
    replay: Days | None,
    stream: StreamName,
    committer: Committer,
    executor: Executor,
    stop: Callable[[], bool],
) -> StreamReport:
    """Feed one stream, or replay days of it: what a feeder runs, wherever it is."""
    rules = app.rules(app.settings.streams[stream.slug])
    return StreamFeed(rules, app.ports(committer, executor, stop=stop), replay=replay).report()


def feed_all(app: Lakeray, *, stop: Callable[[], bool]) -> FeedReport:
    """Look first; only streams with work are fed, and only a plan that is worth it starts Ray.

    Raises:
        LeaseHeldError: another committer works on the lake.
        LakerayError: the catalog cannot be opened.
    """
    today = app.today()
    snapshot = app.planning_snapshot(today=today)
    looked = [_look(app, stream, snapshot, today=today) for stream in app.streams()]
    busy = [found for found in looked if found.work]
    reports = refused_reports(app) | {found.stream.name: _idle(found) for found in looked if not found.work}
    for report in filter(_is_worth_telling, reports.values()):
        app.events.emit(finished(report))
    failed = any(found.error is not None for found in looked)
    if not busy and not failed and not stop() and _is_releasable(app, snapshot):
        with app.committer() as committer:
            _release(app, committer)
    if not busy and (stop() or not _is_to_enrich(app)):
        return _report(app, reports, NOTHING_BUILT)
    files = sum(found.files for found in busy)
    names = [found.stream.name for found in busy]
    fed = _feed(app, names, files=files, replay=None, stop=stop, idle=tuple(reports.values()))
    return _report(app, reports | {report.stream: report for report in fed.reports}, fed.built)


def replay_all(app: Lakeray, *, days: Days, stop: Callable[[], bool]) -> FeedReport:
    """Take a range of days of every stream in again, on purpose, then build what depends on them (P4, P11).

    Raises:
        LeaseHeldError: another committer works on the lake.
        LakerayError: the catalog or the storage does not answer.
    """
    streams = app.streams()
    files = sum(plan_replay(app.rules(stream), app.planning_ports(), days=days).files for stream in streams)
    fed = _feed(app, [stream.name for stream in streams], files=files, replay=days, stop=stop)
    refused = refused_reports(app)
    for report in refused.values():
        app.events.emit(finished(report))
    return _report(app, refused | {report.stream: report for report in fed.reports}, fed.built)


def refused_reports(app: Lakeray) -> dict[StreamName, StreamReport]:
    """The reports of the streams whose config is refused: they fail, and stop no other."""
    return {
        item.name: StreamReport(stream=item.name, status=StreamStatus.FAILED, error=item.error.as_dict())
        for item in app.settings.refused
    }


def _report(app: Lakeray, reports: Mapping[StreamName, StreamReport], built: BuildResult | LakerayError) -> FeedReport:
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
    built: BuildResult | LakerayError = NOTHING_BUILT
    try:
        if app.settings.feed.enrich:
            built = committer.enrich(EnrichOrder(project=app.project()))
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


def _feed(
    app: Lakeray,
    streams: Sequence[StreamName],
    *,
    files: int,
    replay: Days | None,
    stop: Callable[[], bool],
    idle: Sequence[StreamReport] = (),
) -> Fed:
    choice, because = choose_executor(app.settings, files=files)
    app.events.emit(ExecutorChosen(executor=choice, because=because))

    def finish(committer: Committer, reports: Sequence[StreamReport]) -> BuildResult | LakerayError:
        _note(app, committer, [*records_of(reports, at=app.clock.now()), *_new_failures(app, idle)])
        return finished_by(committer, app, stop=stop)

    fed = app.open_feeders(choice, replay).run(streams, finish=finish, stop=stop)
    if fed.work is not None:
        app.events.emit(worked(fed.work))
    return fed


def _is_to_enrich(app: Lakeray) -> bool:
    return app.settings.feed.enrich and app.reader.enriched_is_stale(project=app.project())


def _new_failures(app: Lakeray, reports: Sequence[StreamReport]) -> list[RunRecord]:
    """What streams without work failed at, where it is not what the record says already.

    A run without any work takes no lease for it, and writes nothing (P3).
    """
    records = records_of(reports, at=app.clock.now())
    return not_told(records, {run.stream: run for run in app.reader.runs(each=1)}) if records else []


def _note(app: Lakeray, committer: Committer, records: Sequence[RunRecord]) -> None:
    """Keep what the run did. What it did stands, if that fails."""
    try:
        committer.note_runs(records)
    except LakerayError as error:
        app.events.emit(Noted(message=f"the run is not on record: {error}"))


def overview(app: Lakeray, *, enriched: Sequence[str]) -> Overview:
    """What there is to know of the command's streams; a storage that does not answer is said in it, not raised.

    Args:
        enriched: names of the enriched models.

    Raises:
        CatalogError: the catalog does not answer.
    """
    reader = app.reader
    snapshot, tables, arrivals = app.planning_snapshot(), reader.tables(), reader.arrivals()
    runs, warned = {run.stream: run for run in reader.runs(each=1)}, reader.row_warnings()

    def of(
        name: StreamName,
        planned: Plan | None,
        failure: LakerayError | None,
        *,
        books: PlanningSnapshot | RunReader = snapshot,
        expect_every: timedelta | None = None,
    ) -> StreamOverview:
        own = [item for item in warned if item.table == name.processed_table]
        registered, newest = reader.totals(name)
        return StreamOverview(
            stream=name,
            cursor=books.cursor(name),
            plan=planned,
            is_waiting=planned is not None and is_waiting(planned),
            registered_files=registered,
            registered_snapshot=newest,
            quarantined=sum(1 for entry in books.quarantined(name) if entry.status in _QUARANTINED),
            last_batch=reader.last_batch(name),
            landing=tables.get(("staging", name.landing_table)),
            processed=tables.get(("main", name.processed_table)),
            kept_files=reader.kept_files(name),
            replaced=reader.replaced_files(name),
            now=app.clock.now(),
            rows_without_key=sum(item.rows for item in own if item.kind == "without_key"),
            cursor_breaks=sum(item.rows for item in own if item.kind == "cursor_breaks"),
            left_out=sum(books.contract_notes(name).left_out.values()),
            last_run=runs.get(name),
            arrivals=arrivals.get(name, ()),
            expect_every=expect_every,
            error=None if failure is None else str(failure),
        )

    states = [
        of(stream.name, *_planned(app, stream, snapshot), expect_every=stream.expect_every) for stream in app.streams()
    ]
    states += [of(item.name, None, item.error, books=reader) for item in app.settings.refused]
    built = {name: tables.get(("main", name)) for name in enriched}
    return Overview(
        lake=snapshot.lake_id(),
        catalog=app.catalog,
        storage=app.settings.storage.url,
        env=app.settings.env,
        streams=sorted(states, key=lambda state: state.stream),
        enriched={name: None if table is None else table.rows for name, table in built.items()},
    )


def _planned(
    app: Lakeray, stream: StreamSettings, snapshot: PlanningSnapshot
) -> tuple[Plan | None, LakerayError | None]:
    """What there is to take in, and why it cannot be told or would not be taken in."""
    planned: Plan | None = None
    try:
        rules = app.rules(stream)
        planned = plan_stream(rules, replace(app.planning_ports(), reader=snapshot), everything=True)
        return planned, refusal_of(app, rules, planned, snapshot=snapshot)
    except LakerayError as error:
        return planned, error


def _is_releasable(app: Lakeray, snapshot: PlanningSnapshot) -> bool:
    return app.reader.releasable(older_than=_grace_until(app), keep_from=snapshot.oldest_waiting())


def _release(app: Lakeray, committer: Committer) -> None:
    """Let DuckLake snapshots go whose grace period is over, and the objects that none of them shows any more (P13)."""
    deleted = committer.expire(older_than=_grace_until(app))
    if deleted:
        app.events.emit(FilesCleaned(stream="*", files=0, rows=0, objects_deleted=len(deleted)))


def _grace_until(app: Lakeray) -> datetime:
    return app.clock.now() - timedelta(days=app.settings.retention.snapshot_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What looking at one stream found."""

    stream: StreamSettings
    planned: Plan | None = None
    """None when the storage could not be listed."""
    work: frozenset[Work] = frozenset()
    error: LakerayError | None = None

    @property
    def files(self) -> int:
        """How many files there are to take in."""
        return 0 if self.planned is None else self.planned.files


def _look(app: Lakeray, stream: StreamSettings, snapshot: PlanningSnapshot, *, today: date) -> _Looked:
    if not app.has_model(stream.name):
        return _Looked(stream=stream, error=missing_model(stream.name))
    rules = app.rules(stream)
    ports = PlanningPorts(store=app.store, reader=snapshot, today=today, generation_of=app.generation_of)
    try:
        planned = plan_stream(rules, ports)
        standing = replace(standing_of(rules, snapshot), is_claimed=_is_claimed(app, rules, snapshot, planned))
    except LakerayError as error:
        if error.exit_code != 1:
            raise
        return _Looked(stream=stream, error=error)
    refused, replacing = missing_of(rules, ports, planned), replacing_of(rules, snapshot, planned)
    if refused is not None and not rules.accept_empty:
        return _Looked(stream=stream, planned=planned, error=refused)
    work = work_of(
        planned,
        standing,
        contract=rules.contract,
        on_vanished=vanished_policy(rules, refused),
        replaced=replaced_keys(rules, ports, planned),
        is_replaceable=replacing is not None and not replacing.outside,
    )
    return _Looked(stream=stream, planned=planned, work=work)


def _is_claimed(app: Lakeray, rules: Rules, reader: RunReader | PlanningSnapshot, planned: Plan) -> bool:
    """Whether there is nothing to claim: the prefix has the lake's claim, or the lake deletes nothing of it (P13).

    Raises:
        PrefixOwnedError: another lake deletes the stream's objects, and so would this one.
    """
    if rules.raw.raw is RawPolicy.KEEP:
        return True
    owner = owner_of(reader, catalog=app.catalog)
    claimed = is_claimed(app.store, rules.layout.root, planned.claims, owner=owner, take_over=rules.take_over)
    return claimed or reader.cursor(rules.stream).path is None


def refusal_of(
    app: Lakeray, rules: Rules, planned: Plan, *, snapshot: PlanningSnapshot | None = None
) -> LakerayError | None:
    """Why a feed would not begin with what was planned; None when it would. Writes nothing.

    Args:
        snapshot: the bookkeeping that it was planned by; None asks anew.
    """
    if not app.has_model(rules.stream):
        return missing_model(rules.stream)
    reader = snapshot or app.reader
    missing = missing_of(rules, replace(app.planning_ports(), reader=reader), planned)
    if missing is not None and not rules.accept_empty:
        return missing
    try:
        _is_claimed(app, rules, reader, planned)
    except PrefixOwnedError as owned:
        return owned
    return None


def standing_of(rules: Rules, snapshot: PlanningSnapshot) -> Standing:
    """Where the stream stands, as the bookkeeping says it."""
    stream = rules.stream
    return Standing(
        landing=snapshot.landing_names(stream),
        is_merged=snapshot.pending_transform(stream) is None,
        oldest_merged_day=snapshot.oldest_merged_day(stream),
        clean_before=clean_before(snapshot.cursor(stream), retention_days=rules.retention_days),
    )


def _idle(found: _Looked) -> StreamReport:
    progress = StreamProgress(found.stream.name)
    if found.planned is not None:
        progress.saw(found.planned)
    if found.error is not None:
        return progress.report(StreamStatus.FAILED, seconds=0.0, error=found.error.as_dict())
    assert found.planned is not None
    status = StreamStatus.WAITING if is_waiting(found.planned) else StreamStatus.NOTHING_NEW
    return progress.report(status, seconds=0.0, error=None)


def _is_worth_telling(report: StreamReport) -> bool:
    """Whether the log says something of a stream without work."""
    return report.error is not None or bool(report.too_late or report.changed or report.vanished)
