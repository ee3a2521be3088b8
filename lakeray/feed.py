"""One feed of one stream, top to bottom, in the protocol's order (docs/protocol.md)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from lakeray.ports.catalog import CatalogReader, KnowsLake, PlanningReader
from lakeray.ports.committer import Committer
from lakeray.ports.events import EventSink
from lakeray.ports.execution import Executor
from lakeray.ports.storage import ObjectStore
from lakeray.ports.time import Clock
from lakeray.steps import advance, clean, commit, discover, merge, ownership, plan, set_aside, split
from lakeray.steps.progress import StreamProgress
from lakeray.steps.work import lacks_columns
from lakeray.values.column_types import parse_type
from lakeray.values.errors import DataError, LakerayError, TransformError
from lakeray.values.events import (
    BatchCommitted,
    Event,
    FileRejected,
    FilesCleaned,
    LandingChanged,
    Noted,
    ObjectsDropped,
    StreamFinished,
    StreamPlanned,
    StreamStarted,
    TransformSplit,
    transformed,
)
from lakeray.values.faults import Fault, FaultPoint, no_fault
from lakeray.values.keys import file_day
from lakeray.values.model import (
    Accepted,
    Batch,
    Budget,
    BuildResult,
    CleanPlan,
    Column,
    CommitRequest,
    Contract,
    Cursor,
    Discovery,
    Landed,
    ObjectPolicy,
    PendingTransform,
    Plan,
    RawPolicy,
    Removal,
    SourceFile,
    StreamName,
    StreamReport,
    StreamStatus,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a feed of one stream obeys; the stream's contract included."""

    stream: StreamName
    contract: Contract
    budget: Budget
    oversize_policy: str
    lookback_days: int
    retention_days: int
    raw: clean.RawRules = field(default_factory=clean.RawRules)
    """Whose raw objects clean-up may delete."""
    take_over: str | None = None
    """The id of a lake whose marks are replaced."""
    max_batches: int | None = None
    adaptive: bool = True
    """Whether the memory factor follows what the stream's merges were measured to need."""
    on_changed: ObjectPolicy = ObjectPolicy.REPORT
    on_vanished: ObjectPolicy = ObjectPolicy.REPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A range of days, both inclusive."""

    first: date
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningPorts:
    """The ports that looking and planning need; no lease."""

    store: ObjectStore
    reader: PlanningReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """All the ports of a feed."""

    store: ObjectStore
    reader: CatalogReader
    clock: Clock
    events: EventSink
    committer: Committer
    executor: Executor
    new_id: Callable[[], str]
    """A short text, another one at each call, for commit ids."""
    stop: Callable[[], bool]
    """Whether the operator asked to stop; asked between steps, never inside a commit."""
    fault: Fault = no_fault
    catalog: str = ""
    """Where the lake's catalog is, for the people who meet its marks."""

    def planning_ports(self) -> PlanningPorts:
        """The ports that looking and planning need."""
        return PlanningPorts(store=self.store, reader=self.reader)


def plan_stream(rules: Rules, ports: PlanningPorts, *, everything: bool = False) -> Plan:
    """Discover and plan; writes nothing (P2–P5).

    Args:
        everything: list the whole prefix, so that files too late for a feed are counted; else from the horizon on.
            What vanished is told from the horizon on in both cases: `doctor` compares everything.
    """
    cursor = ports.reader.cursor(rules.stream)
    since = horizon_of(rules, cursor)
    known = ports.reader.known(rules.stream, since=since)
    marks: list[SourceFile] = []
    listed = discover.list_since(ports.store, rules.stream, since=None if everything else since)
    found = discover.sort_out(
        discover.without_marks(listed, into=marks),
        known=known,
        quarantine=ports.reader.quarantined(rules.stream),
        since=since,
        looked_since=since,
        head=ports.store.head,
        known_among=functools.partial(ports.reader.known_among, rules.stream) if everything else None,
    )
    planned = replace(_packed(rules, ports, found), marks=tuple(marks))
    if cursor.path is not None or known:
        return planned
    return replace(planned, existing=found.new + found.skipped)  # nothing was taken in yet: P13


def _packed(rules: Rules, ports: PlanningPorts, found: Discovery) -> Plan:
    # Nothing new, nothing to pack: a feed that finds nothing does not ask what earlier merges needed.
    peaks = ports.reader.peaks(rules.stream) if found.new else ()
    return plan.make_plan(
        rules.stream,
        found,
        budget=rules.budget,
        oversize_policy=rules.oversize_policy,
        max_batches=rules.max_batches,
        factor=merge.factor_of(peaks, adaptive=rules.adaptive),
    )


def owner_of(reader: KnowsLake, *, catalog: str) -> ownership.Owner:
    """The lake as its marks say it; without an id before there is a lake, and so nobody's mark is its own."""
    return ownership.Owner(lake=reader.lake_id() or "", catalog=catalog)


def horizon_of(rules: Rules, cursor: Cursor) -> date | None:
    """The oldest day whose new files are taken in (P4)."""
    return discover.horizon(cursor, lookback_days=rules.lookback_days, retention_days=rules.retention_days)


def plan_replay(rules: Rules, ports: PlanningPorts, *, days: Days) -> Plan:
    """Plan what a replay takes in: new, too late or rejected files of the days."""
    marks: list[SourceFile] = []
    listed = discover.list_since(ports.store, rules.stream, since=days.first)
    found = discover.sort_out(
        discover.without_marks(listed, into=marks),
        known=ports.reader.known(rules.stream, since=days.first),
        quarantine=[entry for entry in ports.reader.quarantined(rules.stream) if entry.status == "ignored"],
        since=None,
        looked_since=days.first,
    )
    chosen = tuple(file for file in found.new if days.first <= file_day(file) <= days.last)
    return replace(_packed(rules, ports, replace(found, new=chosen)), marks=tuple(marks))


class Stopped(Exception):
    """The operator asked to stop; what was committed stays, the rest comes with the next run."""


class StreamFeed:
    """One feed of one stream: ``run`` is the protocol. With ``replay``, the feed of a range of days, on purpose."""

    def __init__(self, rules: Rules, ports: Ports, *, replay: Days | None = None) -> None:
        self._rules = rules
        self._ports = ports
        self._replay = replay
        self._progress = StreamProgress(rules.stream)
        self._merging = merge_budget(rules, ports.events)
        self._is_merged = False

    def run(self) -> None:
        """The protocol: take the stream in, once, to the end.

        Raises:
            Stopped: the operator asked to stop.
            LakerayError: something failed; what was committed stays.
        """
        self._rewind()  # P4, P11: what a replay takes in again
        self._widen_landing()
        self._settle_objects()  # P14: before dbt, which cannot read what has changed
        self._finish_setting_aside()  # P6, P15
        self._merge()  # P12: first what an earlier run left
        planned = self._plan()  # P2, P3, P4, P5
        with closing(self._validated(planned)) as checked:  # whatever ends this ends what is validated ahead
            for batch, verdicts in self._fitting(checked):  # P5, P6
                registered = self._commit(batch, verdicts)  # P1, P7–P11
                self._merge_registered(registered)  # P11, P12
        self._merge()  # P12: what a replay rewound
        self._clean()  # P13

    def report(self) -> StreamReport:
        """Run, and say how it went. A failure is reported, never raised: it stops no other stream."""
        started_s = self._ports.clock.monotonic_s()
        self._emit(StreamStarted(stream=str(self._rules.stream)))
        error: dict[str, str] | None = None
        try:
            self.run()
            status = StreamStatus.OK if self._progress.worked else StreamStatus.NOTHING_NEW
        except Stopped:
            status = StreamStatus.INTERRUPTED
        except LakerayError as failure:
            status, error = StreamStatus.FAILED, failure.as_dict()
        report = self._progress.report(status, seconds=self._ports.clock.monotonic_s() - started_s, error=error)
        self._emit(_finished(report))
        return report

    def _reached(self, point: FaultPoint) -> None:
        """The one checkpoint: a test may end the process here, the operator the feed."""
        self._ports.fault(point)
        if self._ports.stop():
            raise Stopped

    def _rewind(self) -> None:
        if self._replay is None:
            return
        stream, days = self._rules.stream, self._replay
        taken = self._ports.reader.registered(stream, first=days.first, last=days.last)
        if taken:
            self._ports.committer.rewind(stream, to_snapshot=min(entry.snapshot for entry in taken) - 1)

    def _look(self) -> Plan:
        ports = self._ports.planning_ports()
        if self._replay is None:
            return plan_stream(self._rules, ports)
        return plan_replay(self._rules, ports, days=self._replay)

    def _widen_landing(self) -> None:
        landing = self._ports.reader.landing_columns(self._rules.stream)
        if lacks_columns(landing, self._rules.contract):
            self._make_landing()

    def _make_landing(self) -> None:
        for change in self._ports.committer.ensure_landing(self._rules.stream, self._rules.contract):
            self._progress.worked = True
            self._emit(LandingChanged(stream=str(self._rules.stream), change=change))

    def _settle_objects(self) -> None:
        """Handle registered objects that changed or vanished, by policy.

        Raises:
            DataError: there are some, and the policy is to fail.
        """
        rules = self._rules
        if {rules.on_changed, rules.on_vanished} == {ObjectPolicy.REPORT}:
            return
        planned = self._look()
        self._settle(rules.on_changed, [change.file.key for change in planned.changed], what=Removal.CHANGED)
        self._settle(rules.on_vanished, list(planned.vanished), what=Removal.VANISHED)

    def _settle(self, policy: ObjectPolicy, keys: Sequence[str], *, what: Removal) -> None:
        if not keys or policy is ObjectPolicy.REPORT:
            return
        stream = self._rules.stream
        if policy is ObjectPolicy.FAIL:
            raise DataError(
                f"{stream}: {len(keys)} registered object(s) {what}; the first is {keys[0]}",
                expected="the objects that were taken in",
                todo=f"feed.on_{what} says fail; report lets the stream go on, drop takes their rows out of landing",
            )
        entries = [entry for key in keys for entry in self._ports.reader.history(key) if entry.removed_at is None]
        paths = [entry.registered_path for entry in entries]
        rows = self._ports.committer.forget(stream, paths=paths, entries=entries, reason=what)
        self._progress.worked = True
        self._emit(ObjectsDropped(stream=str(stream), what=what, files=len(paths), rows=rows))

    def _finish_setting_aside(self) -> None:
        set_aside.finish(self._rules.stream, reader=self._ports.reader, committer=self._ports.committer)

    def _plan(self) -> Plan:
        """What is to be taken in.

        Raises:
            OversizeError: a file does not fit, and the policy is to refuse it.
            PrefixOwnedError: another lake deletes the stream's objects.
        """
        planned = self._look()
        self._reached(FaultPoint.AFTER_DISCOVER)
        leaving = leaving_of(self._rules, planned, reader=self._ports.reader, now=self._ports.clock.now())
        self._emit(_planned(planned, leaving))
        plan.refuse_oversize(planned, oversize_policy=self._rules.oversize_policy)
        self._own(planned)
        self._note_existing(planned)
        return planned

    def _own(self, planned: Plan) -> None:
        """See that nobody else deletes the stream's objects, or say who does where this lake deletes none (P13).

        Raises:
            PrefixOwnedError: another lake deletes them, and so would this one.
        """
        rules, store = self._rules, self._ports.store
        owner = owner_of(self._ports.reader, catalog=self._ports.catalog)
        if rules.raw.raw is RawPolicy.KEEP:
            for key, other in ownership.others(store, planned.marks, owner=owner):
                self._emit(Noted(message=f"{rules.stream}: {other} deletes the objects below {store.url(key)}"))
            return
        if not planned.batches and self._ports.reader.cursor(rules.stream).path is None:
            return  # nothing is there to be deleted one day, and perhaps the prefix is misspelt
        if ownership.claim_stream(store, rules.stream, planned.marks, owner=owner, take_over=rules.take_over):
            self._progress.worked = True
            self._reached(FaultPoint.AFTER_MARKED)

    def _note_existing(self, planned: Plan) -> None:
        """Remember what the first plan lists, before anything of it is taken in: those objects are the user's (P13)."""
        stream, existing = self._rules.stream, planned.existing
        if self._replay is not None and self._ports.reader.cursor(stream).path is None:
            existing = plan_stream(self._rules, self._ports.planning_ports()).existing  # a replay lists some days only
        if planned.batches and existing:
            self._ports.committer.note_existing(stream, {file.key: file.etag for file in existing})
            self._reached(FaultPoint.AFTER_NOTED)

    def _validated(self, planned: Plan) -> Generator[split.Checked, None, None]:
        if planned.batches:
            self._make_landing()
        self._is_merged = self._ports.reader.pending_transform(self._rules.stream) is None
        return self._ports.executor.validate(
            planned.batches, contract=self._effective_contract(), ahead=self._rules.budget.max_in_flight
        )

    def _fitting(self, checked: Iterator[split.Checked]) -> Iterator[split.Checked]:
        rules = self._rules
        fitting = split.by_memory(
            checked, budget=rules.budget, oversize_policy=rules.oversize_policy, identify=plan.batch_id
        )
        for batch, verdicts in fitting:
            self._reached(FaultPoint.AFTER_VALIDATE)
            yield batch, verdicts

    def _commit(self, batch: Batch, verdicts: tuple[Verdict, ...]) -> PendingTransform | None:
        """Register the batch's good files; says what dbt has to merge of them."""
        started_s = self._ports.clock.monotonic_s()
        request = self._request(batch, verdicts)
        landed, read_back = commit.settle(self._ports.committer, request)
        taken = landed.request or request
        self._account(batch, taken, landed)
        self._emit(
            BatchCommitted(
                stream=str(self._rules.stream),
                batch_id=batch.id,
                commit_id=request.commit_id,
                snapshot=landed.snapshot,
                files=len(taken.files),
                rows=taken.rows,
                size_bytes=taken.size_bytes,
                seconds=self._ports.clock.monotonic_s() - started_s,
                read_back=read_back,
                registered_by=landed.registered_by,
            )
        )
        self._reached(FaultPoint.AFTER_REGISTER)
        if not taken.files:
            return None
        return PendingTransform(stream=self._rules.stream, from_snapshot=landed.snapshot, to_snapshot=landed.snapshot)

    def _request(self, batch: Batch, verdicts: tuple[Verdict, ...]) -> CommitRequest:
        reader, now = self._ports.reader, self._ports.clock.now()
        cursor = reader.cursor(self._rules.stream)
        accepted = (item.file.key for item in verdicts if isinstance(item, Accepted))
        return commit.prepare(
            batch,
            verdicts,
            id=commit.commit_id(batch, at=now, unique=self._ports.new_id()),
            cursor=cursor,
            cursor_path=advance.next_path(cursor, accepted, until=now.date() + timedelta(days=1)),
            landing=reader.landing_columns(self._rules.stream) or {},
            token=self._ports.committer.token,
        )

    def _account(self, batch: Batch, taken: CommitRequest, landed: Landed) -> None:
        stream = str(self._rules.stream)
        for rejected in taken.rejected:
            self._emit(
                FileRejected(stream=stream, key=rejected.file.key, reason=rejected.reason, detail=rejected.detail)
            )
        for accepted in taken.files:
            if accepted.ignored:
                names = ", ".join(accepted.ignored)
                self._emit(Noted(message=f"{accepted.file.key}: no place in the landing table for {names}"))
        self._progress.add(
            files=len(taken.files), size_bytes=taken.size_bytes, rows=taken.rows, rejected=len(taken.rejected)
        )
        self._merging.loads[landed.snapshot] = merge.MergeSize(
            files=len(taken.files),
            rows=taken.rows,
            size_bytes=taken.size_bytes,
            projected_bytes=batch.projected_bytes,
        )

    def _merge_registered(self, registered: PendingTransform | None) -> None:
        if registered is not None or not self._is_merged:
            self._merge(registered if self._is_merged else None)
            self._is_merged = True
        self._reached(FaultPoint.AFTER_ADVANCE)

    def _merge(self, registered: PendingTransform | None = None) -> None:
        """Merge what is registered and not merged; files that nobody can read are set aside first, if that is why."""
        try:
            done = self._caught_up(registered)
        except TransformError as failed:
            aside = self._set_aside(failed)
            if not aside:
                raise
            self._progress.quarantined += aside
            done = self._caught_up(None)
        for event in (event for piece in done for event in transformed(*piece)):
            self._progress.worked = True
            self._emit(event)

    def _caught_up(self, registered: PendingTransform | None) -> list[tuple[PendingTransform, BuildResult]]:
        return merge.catch_up(
            self._rules.stream,
            marks=self._ports.reader,
            committer=self._ports.committer,
            merging=self._merging,
            registered=registered,
        )

    def _set_aside(self, failed: TransformError) -> int:
        return set_aside.set_aside(
            self._rules.stream,
            failed,
            reader=self._ports.reader,
            committer=self._ports.committer,
            events=self._ports.events,
            stop=self._ports.stop,
        )

    def _clean(self) -> None:
        stream = self._rules.stream
        planned = plan_clean(self._rules, reader=self._ports.reader)
        if not planned.files:
            return
        rows = remove(planned, self._ports.committer)
        kept = len(planned.kept)
        self._emit(FilesCleaned(stream=str(stream), files=len(planned.files), rows=rows, objects_deleted=0, kept=kept))
        self._progress.cleaned += len(planned.files)
        self._progress.kept += kept
        self._progress.worked = True

    def _effective_contract(self) -> Contract:
        """The contract with the columns that earlier files added to the landing table."""
        contract = self._rules.contract
        known = {column.name.lower() for column in contract.columns}
        landing = self._ports.reader.landing_columns(self._rules.stream) or {}
        added = tuple(
            Column(name=name, type=parse_type(kind)) for name, kind in landing.items() if name.lower() not in known
        )
        return replace(contract, columns=contract.columns + added)

    def _emit(self, event: Event) -> None:
        self._ports.events.emit(event)


def leaving_of(rules: Rules, planned: Plan, *, reader: CatalogReader, now: datetime) -> clean.Leaving:
    """What will leave landing when the plan is taken in, and of it the objects that storage loses in the end (P13)."""
    return clean.foresee(
        planned,
        cursor=reader.cursor(rules.stream),
        reader=reader,
        retention_days=rules.retention_days,
        raw=rules.raw,
        until=now.date() + timedelta(days=1),
    )


def plan_clean(rules: Rules, *, reader: CatalogReader) -> CleanPlan:
    """What clean-up takes out of the stream's landing table now; writes nothing."""
    return clean.plan_clean(
        rules.stream,
        cursor=reader.cursor(rules.stream),
        reader=reader,
        retention_days=rules.retention_days,
        raw=rules.raw,
    )


def remove(planned: CleanPlan, committer: Committer) -> int:
    """Take the planned files out of landing, each for its reason; returns the rows that went (P13)."""
    rows = 0
    for files, reason in ((planned.deleted, Removal.RETENTION), (planned.kept, Removal.KEPT)):
        if files:
            rows += committer.remove(planned.stream, files, reason=reason)
    return rows


def merge_budget(rules: Rules, events: EventSink) -> merge.MergeBudget:
    """How the stream's merges are cut; a merge that ran out of memory is told to ``events``."""

    def tell(piece: PendingTransform, then: str) -> None:
        events.emit(
            TransformSplit(
                stream=str(piece.stream),
                from_snapshot=piece.from_snapshot,
                to_snapshot=piece.to_snapshot,
                files=len(piece.paths),
                then=then,
            )
        )

    return merge.MergeBudget(budget=rules.budget, adaptive=rules.adaptive, tell=tell)


def _finished(report: StreamReport) -> StreamFinished:
    error = report.error
    return StreamFinished(
        stream=str(report.stream),
        status=report.status,
        batches=report.batches,
        files=report.files,
        rows=report.rows,
        quarantined=report.quarantined,
        seconds=report.seconds,
        error_kind=error["kind"] if error else "",
        error=f"{error['about']}: {error['found']}" if error else "",
    )


def _planned(planned: Plan, leaving: clean.Leaving) -> StreamPlanned:
    return StreamPlanned(
        stream=str(planned.stream),
        batches=len(planned.batches),
        files=planned.files,
        size_bytes=planned.size_bytes,
        too_late=len(planned.too_late),
        skipped=len(planned.skipped),
        changed=len(planned.changed),
        vanished=len(planned.vanished),
        oversize=len(planned.oversize),
        leaving=leaving.files,
        deleting=leaving.deleted,
    )
