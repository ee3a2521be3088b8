"""One feed of one stream, top to bottom, in the protocol's order (docs/protocol.md)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta

from lakeray.ports.catalog import CatalogReader, PlanningReader
from lakeray.ports.committer import Committer
from lakeray.ports.events import EventSink
from lakeray.ports.execution import Executor
from lakeray.ports.storage import ObjectStore
from lakeray.ports.time import Clock
from lakeray.steps import advance, clean, commit, discover, merge, plan, set_aside, split
from lakeray.steps.progress import StreamProgress
from lakeray.values.column_types import parse_type
from lakeray.values.errors import DataError, LakerayError, TransformError
from lakeray.values.events import (
    BatchCommitted,
    FileRejected,
    FilesCleaned,
    LandingChanged,
    Noted,
    ObjectsDropped,
    StreamFinished,
    StreamPlanned,
    StreamStarted,
    transformed,
)
from lakeray.values.faults import Fault, FaultPoint, no_fault
from lakeray.values.keys import file_day
from lakeray.values.model import (
    Accepted,
    Batch,
    Budget,
    Column,
    Contract,
    Cursor,
    Discovery,
    ObjectPolicy,
    PendingTransform,
    Plan,
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
    max_batches: int | None = None
    adaptive: bool = True
    """Whether the memory factor follows what the stream's merges were measured to need."""
    on_changed: ObjectPolicy = ObjectPolicy.REPORT
    on_vanished: ObjectPolicy = ObjectPolicy.REPORT


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

    def planning_ports(self) -> PlanningPorts:
        """The ports that looking and planning need."""
        return PlanningPorts(store=self.store, reader=self.reader)


def plan_stream(rules: Rules, ports: PlanningPorts, *, everything: bool = False) -> Plan:
    """Discover and plan; writes nothing (P2–P5).

    Args:
        everything: list the whole prefix, so that files too late for a feed are counted; else from the horizon on.
            What vanished is told from the horizon on in both cases: `doctor` compares everything.
    """
    since = horizon_of(rules, ports.reader.cursor(rules.stream))
    found = discover.sort_out(
        discover.list_since(ports.store, rules.stream, since=None if everything else since),
        known=ports.reader.known(rules.stream, since=since),
        quarantine=ports.reader.quarantined(rules.stream),
        since=since,
        looked_since=since,
        head=ports.store.head,
        known_among=functools.partial(ports.reader.known_among, rules.stream) if everything else None,
    )
    return _packed(rules, ports, found)


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


def horizon_of(rules: Rules, cursor: Cursor) -> date | None:
    """The oldest day whose new files are taken in (P4)."""
    return discover.horizon(cursor, lookback_days=rules.lookback_days, retention_days=rules.retention_days)


def plan_replay(rules: Rules, ports: PlanningPorts, *, first: date, last: date) -> Plan:
    """Plan what a replay takes in: new, too late or rejected files of the days ``first`` to ``last``, inclusive."""
    found = discover.sort_out(
        discover.list_since(ports.store, rules.stream, since=first),
        known=ports.reader.known(rules.stream, since=first),
        quarantine=[entry for entry in ports.reader.quarantined(rules.stream) if entry.status == "ignored"],
        since=None,
        looked_since=first,
    )
    chosen = tuple(file for file in found.new if first <= file_day(file) <= last)
    return _packed(rules, ports, replace(found, new=chosen))


def replay_stream(rules: Rules, ports: Ports, *, first: date, last: date) -> StreamReport:
    """Take a range of days in again, on purpose: what was never taken in is; what was is merged again (P4, P11)."""

    def look_again() -> Plan:
        taken = ports.reader.registered(rules.stream, first=first, last=last)
        if taken:
            ports.committer.rewind(rules.stream, to_snapshot=min(entry.snapshot for entry in taken) - 1)
        return plan_replay(rules, ports.planning_ports(), first=first, last=last)

    return _reported(rules, ports, look_again)


def feed_stream(rules: Rules, ports: Ports) -> StreamReport:
    """Take one stream in, once, to the end. A failure is reported, never raised: it stops no other stream."""
    return _reported(rules, ports, lambda: plan_stream(rules, ports.planning_ports()))


def _reported(rules: Rules, ports: Ports, plan_now: Callable[[], Plan]) -> StreamReport:
    started_s = ports.clock.monotonic_s()
    ports.events.emit(StreamStarted(stream=str(rules.stream)))
    tally = StreamProgress(rules.stream, budget=rules.budget, adaptive=rules.adaptive, events=ports.events)
    try:
        status = _take_in(rules, ports, tally, plan_now)
        error = None
    except LakerayError as failure:
        status, error = StreamStatus.FAILED, failure.as_dict()
    report = tally.report(status, seconds=ports.clock.monotonic_s() - started_s, error=error)
    ports.events.emit(
        StreamFinished(
            stream=str(rules.stream),
            status=status,
            batches=report.batches,
            files=report.files,
            rows=report.rows,
            quarantined=report.quarantined,
            seconds=report.seconds,
            error_kind=error["kind"] if error else "",
            error=f"{error['about']}: {error['found']}" if error else "",
        )
    )
    return report


def _take_in(rules: Rules, ports: Ports, tally: StreamProgress, plan_now: Callable[[], Plan]) -> StreamStatus:
    for change in ports.committer.ensure_landing(rules.stream, rules.contract):
        ports.events.emit(LandingChanged(stream=str(rules.stream), change=change))
    if _has_object_policy(rules):  # P14: before dbt, which cannot read what has changed
        tally.worked |= _settle_objects(plan_now(), rules, ports)
    set_aside.finish(rules.stream, reader=ports.reader, committer=ports.committer)  # P6, P15
    tally.worked |= _transform(rules, ports, tally)  # P12: first what an earlier run left
    planned = plan_now()  # P2, P3, P4
    ports.fault(FaultPoint.AFTER_DISCOVER)
    _tell_plan(planned, ports)
    plan.refuse_oversize(planned, oversize_policy=rules.oversize_policy)  # P5
    validated = ports.executor.validate(
        planned.batches, contract=_effective_contract(rules, ports), ahead=rules.budget.max_in_flight
    )
    settled = ports.reader.pending_transform(rules.stream) is None  # else a replay has moved the mark back
    with closing(validated) as checked:  # whatever ends this: what is validated ahead ends here, in this thread
        for batch, verdicts in _fitting(checked, rules):  # P5, P6
            ports.fault(FaultPoint.AFTER_VALIDATE)
            registered = _commit(batch, verdicts, rules, ports, tally)  # P1, P7–P11
            ports.fault(FaultPoint.AFTER_REGISTER)
            if ports.stop():
                return StreamStatus.INTERRUPTED
            if registered is not None or not settled:
                _transform(rules, ports, tally, registered=registered if settled else None)  # P11, P12
                settled = True
            ports.fault(FaultPoint.AFTER_ADVANCE)
            if ports.stop():
                return StreamStatus.INTERRUPTED
    tally.worked |= _transform(rules, ports, tally)  # P12: what a replay rewound
    _clean(rules, ports, tally)  # P13
    return StreamStatus.OK if tally.worked else StreamStatus.NOTHING_NEW


def _has_object_policy(rules: Rules) -> bool:
    return rules.on_changed is not ObjectPolicy.REPORT or rules.on_vanished is not ObjectPolicy.REPORT


def _settle_objects(planned: Plan, rules: Rules, ports: Ports) -> bool:
    """Handle registered objects that changed or vanished, by policy; says whether any were dropped."""
    dropped = False
    for policy, keys, what in (
        (rules.on_changed, [change.file.key for change in planned.changed], "changed"),
        (rules.on_vanished, list(planned.vanished), "vanished"),
    ):
        if not keys or policy is ObjectPolicy.REPORT:
            continue
        if policy is ObjectPolicy.FAIL:
            raise DataError(
                f"{rules.stream}: {len(keys)} registered object(s) {what}; the first is {keys[0]}",
                expected="the objects that were taken in",
                todo=f"feed.on_{what} says fail; report lets the stream go on, drop takes their rows out of landing",
            )
        entries = [entry for key in keys for entry in ports.reader.history(key) if entry.removed_at is None]
        paths = [entry.registered_path for entry in entries]
        rows = ports.committer.forget(rules.stream, paths=paths, entries=entries, reason=what)
        ports.events.emit(ObjectsDropped(stream=str(rules.stream), what=what, files=len(paths), rows=rows))
        dropped = True
    return dropped


def _fitting(checked: Iterator[split.Checked], rules: Rules) -> Iterator[split.Checked]:
    return split.by_memory(checked, budget=rules.budget, oversize_policy=rules.oversize_policy, identify=plan.batch_id)


def _commit(
    batch: Batch, verdicts: tuple[Verdict, ...], rules: Rules, ports: Ports, tally: StreamProgress
) -> PendingTransform | None:
    """Register the batch's good files; says what dbt has to merge of them."""
    cursor = ports.reader.cursor(rules.stream)
    started_s = ports.clock.monotonic_s()
    request = commit.prepare(
        batch,
        verdicts,
        id=commit.commit_id(batch, at=ports.clock.now(), unique=ports.new_id()),
        cursor=cursor,
        cursor_path=advance.next_path(
            cursor,
            (item.file.key for item in verdicts if isinstance(item, Accepted)),
            until=ports.clock.now().date() + timedelta(days=1),
        ),
        landing=ports.reader.landing_columns(rules.stream) or {},
        token=ports.committer.token,
    )
    landed, read_back = commit.settle(ports.committer, request)
    taken = landed.request or request
    for rejected in taken.rejected:
        ports.events.emit(
            FileRejected(
                stream=str(rules.stream), key=rejected.file.key, reason=rejected.reason, detail=rejected.detail
            )
        )
    for accepted in taken.files:
        if accepted.ignored:
            ports.events.emit(
                Noted(message=f"{accepted.file.key}: no place in the landing table for {', '.join(accepted.ignored)}")
            )
    tally.add(files=len(taken.files), size_bytes=taken.size_bytes, rows=taken.rows, rejected=len(taken.rejected))
    tally.merging.loads[landed.snapshot] = merge.MergeSize(
        files=len(taken.files), rows=taken.rows, size_bytes=taken.size_bytes, projected_bytes=batch.projected_bytes
    )
    ports.events.emit(
        BatchCommitted(
            stream=str(rules.stream),
            batch_id=batch.id,
            commit_id=request.commit_id,
            snapshot=landed.snapshot,
            files=len(taken.files),
            rows=taken.rows,
            size_bytes=taken.size_bytes,
            seconds=ports.clock.monotonic_s() - started_s,
            read_back=read_back,
            registered_by=landed.registered_by,
        )
    )
    if not taken.files:
        return None
    return PendingTransform(stream=rules.stream, from_snapshot=landed.snapshot, to_snapshot=landed.snapshot)


def _transform(
    rules: Rules, ports: Ports, tally: StreamProgress, *, registered: PendingTransform | None = None
) -> bool:
    try:
        done = merge.catch_up(
            rules.stream,
            marks=ports.reader,
            committer=ports.committer,
            merging=tally.merging,
            registered=registered,
        )
    except TransformError as failed:
        aside = set_aside.set_aside(
            rules.stream,
            failed,
            reader=ports.reader,
            committer=ports.committer,
            events=ports.events,
            stop=ports.stop,
        )
        if not aside:
            raise
        tally.quarantined += aside
        done = merge.catch_up(rules.stream, marks=ports.reader, committer=ports.committer, merging=tally.merging)
    for event in (event for piece in done for event in transformed(*piece)):
        ports.events.emit(event)
    return bool(done)


def _clean(rules: Rules, ports: Ports, tally: StreamProgress) -> None:
    planned = clean.plan_clean(
        rules.stream,
        cursor=ports.reader.cursor(rules.stream),
        reader=ports.reader,
        retention_days=rules.retention_days,
    )
    if not planned.files:
        return
    rows = ports.committer.remove(rules.stream, planned.files, reason="retention")
    ports.events.emit(FilesCleaned(stream=str(rules.stream), files=len(planned.files), rows=rows, objects_deleted=0))
    tally.cleaned += len(planned.files)
    tally.worked = True


def _effective_contract(rules: Rules, ports: Ports) -> Contract:
    """The contract with the columns that earlier files added to the landing table."""
    known = {column.name.lower() for column in rules.contract.columns}
    landing = ports.reader.landing_columns(rules.stream) or {}
    added = tuple(
        Column(name=name, type=parse_type(kind)) for name, kind in landing.items() if name.lower() not in known
    )
    return replace(rules.contract, columns=rules.contract.columns + added)


def _tell_plan(planned: Plan, ports: Ports) -> None:
    ports.events.emit(
        StreamPlanned(
            stream=str(planned.stream),
            batches=len(planned.batches),
            files=planned.files,
            size_bytes=planned.size_bytes,
            too_late=len(planned.too_late),
            skipped=len(planned.skipped),
            changed=len(planned.changed),
            vanished=len(planned.vanished),
            oversize=len(planned.oversize),
        )
    )
