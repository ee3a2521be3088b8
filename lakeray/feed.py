"""One feed of one stream, top to bottom, in the protocol's order (docs/protocol.md)."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta

from lakeray.planning import (
    Days,
    GenerationOf,
    HasModel,
    PlanningPorts,
    Rules,
    every_model,
    leaving_of,
    missing_model,
    missing_of,
    owner_of,
    plan_clean,
    plan_replay,
    plan_stream,
    replaced_keys,
    replacing_of,
    vanished_policy,
)
from lakeray.ports.catalog import CatalogReader
from lakeray.ports.committer import Committer
from lakeray.ports.events import EventSink
from lakeray.ports.execution import Executor
from lakeray.ports.storage import ObjectStore
from lakeray.ports.time import Clock
from lakeray.steps import (
    advance,
    clean,
    commit,
    discover,
    generations,
    merge,
    ownership,
    plan,
    presence,
    reregister,
    set_aside,
    split,
    validate,
)
from lakeray.steps.progress import StreamProgress
from lakeray.steps.work import lacks_columns
from lakeray.values.errors import DataError, LakerayError, NotThereError, TransformError, TransformMemoryError
from lakeray.values.events import (
    BatchCommitted,
    Event,
    FieldsLeftOut,
    FileRejected,
    FilesCleaned,
    FilesReregistered,
    GenerationReplaced,
    LandingChanged,
    Noted,
    ObjectsDropped,
    StreamFinished,
    StreamPlanned,
    StreamStarted,
    TransformSplit,
    model_runs,
    transformed,
)
from lakeray.values.faults import Fault, FaultPoint, no_fault
from lakeray.values.keys import file_day
from lakeray.values.model import (
    Accepted,
    Batch,
    BuildResult,
    Changed,
    CleanPlan,
    CommitRequest,
    Contract,
    FileGenerations,
    Landed,
    LedgerEntry,
    ObjectPolicy,
    PendingTransform,
    Plan,
    QuarantineStatus,
    RawPolicy,
    Rejected,
    RejectReason,
    Removal,
    SourceFile,
    StreamName,
    StreamReport,
    StreamStatus,
    Verdict,
)
from lakeray.values.type_growth import shown


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
    generation_of: GenerationOf
    has_model: HasModel = every_model
    fault: Fault = no_fault
    catalog: str = ""
    """Where the lake's catalog is, for the people who meet its claims."""

    def planning_ports(self) -> PlanningPorts:
        """The ports that looking and planning need."""
        today = self.clock.now().date()
        return PlanningPorts(store=self.store, reader=self.reader, today=today, generation_of=self.generation_of)


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
        self._rewound = False
        self._looked: Plan | None = None
        self._missing: NotThereError | None = None
        self._lost: dict[str, FileGenerations] = {}
        """Files that were gone before dbt could read them, and were forgotten: they tell of newer generations, too."""

    def run(self) -> None:
        """The protocol: take the stream in, once, to the end.

        Raises:
            Stopped: the operator asked to stop.
            LakerayError: something failed; what was committed stays.
        """
        self._require_model()
        self._require_excluded()
        self._require_presence()  # P3: nothing is written for a listing that is not believed
        self._rewind()  # P4, P11: what a replay takes in again
        self._widen_landing()
        self._settle_objects()  # P14: before dbt, which cannot read what has changed
        self._finish_setting_aside()  # P6, P15
        self._finish_taking_out()  # P15
        self._reread_left()  # P6: what an earlier run may have ended at
        self._merge()  # P12: first what an earlier run left
        planned = self._plan()  # P2, P3, P4, P5
        self._reregister(planned)  # P13: before clean-up takes them out
        with closing(self._validated(planned)) as checked:  # whatever ends this ends what is validated ahead
            for batch, verdicts in self._fitting(checked):  # P5, P6
                registered = self._commit(batch, verdicts)  # P1, P7–P11
                self._merge_registered(registered)  # P11, P12
        self._merge()  # P12: what a replay rewound
        self._replace_older(planned)  # P16: while clean-up has not taken away what tells it
        self._clean()  # P13

    def report(self) -> StreamReport:
        """Run, and say how it went. A failure is reported, never raised: it stops no other stream."""
        started_s = self._ports.clock.monotonic_s()
        self._emit(StreamStarted(stream=str(self._rules.stream)))
        error: dict[str, str] | None = None
        try:
            self.run()
            status = self._status()
        except Stopped:
            status = StreamStatus.INTERRUPTED
        except LakerayError as failure:
            status, error = StreamStatus.FAILED, failure.as_dict()
        report = self._progress.report(status, seconds=self._ports.clock.monotonic_s() - started_s, error=error)
        self._emit(finished(report))
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
            self._rewound = self._ports.reader.pending_transform(stream) is None
            self._ports.committer.rewind(stream, to_snapshot=min(entry.snapshot for entry in taken) - 1)

    def _status(self) -> StreamStatus:
        if self._progress.worked:
            return StreamStatus.OK
        is_waiting = self._looked is not None and presence.is_waiting(self._looked)
        return StreamStatus.WAITING if is_waiting else StreamStatus.NOTHING_NEW

    def _look(self) -> Plan:
        """What storage has; once, until this feed changes what it is compared with."""
        if self._looked is None:
            ports = self._ports.planning_ports()
            if self._replay is None:
                self._looked = plan_stream(self._rules, ports)
            else:
                self._looked = plan_replay(self._rules, ports, days=self._replay)
            self._progress.saw(self._looked)
        return self._looked

    def _widen_landing(self) -> None:
        landing = self._ports.reader.landing_columns(self._rules.stream)
        if lacks_columns(landing, self._rules.contract):
            self._make_landing()

    def _make_landing(self) -> None:
        for change in self._ports.committer.ensure_landing(self._rules.stream, self._rules.contract):
            self._progress.worked = True
            self._emit(LandingChanged(stream=str(self._rules.stream), change=change))

    def _require_model(self) -> None:
        """See that somebody merges what is registered.

        Raises:
            DataError: dbt has no model of the stream.
        """
        if not self._ports.has_model(self._rules.stream):
            raise missing_model(self._rules.stream)

    def _require_excluded(self) -> None:
        """See that the tables hold nothing of what is never taken.

        Raises:
            ContractError: they do.
        """
        rules = self._rules
        if rules.contract.excluded:
            landing = self._ports.reader.landing_columns(rules.stream) or {}
            validate.require_excluded(rules.stream, rules.contract, landing)

    def _require_presence(self) -> None:
        """Look, and believe what is listed.

        Raises:
            NotThereError: so much of what was taken in is missing that the place is rather the wrong one.
        """
        self._missing = missing_of(self._rules, self._ports.planning_ports(), self._look())
        if self._missing is not None and not self._rules.accept_empty:
            raise self._missing

    def _settle_objects(self) -> None:
        """Handle registered objects that changed or vanished, by policy.

        Raises:
            DataError: there are some, and the policy is to fail.
        """
        planned = self._look()
        self._settle_changed(planned.changed)
        policy = vanished_policy(self._rules, self._missing)
        if planned.vanished and policy is not ObjectPolicy.REPORT:
            replaced = replaced_keys(self._rules, self._ports.planning_ports(), planned)
            gone = [key for key in planned.vanished if key not in replaced]
            if gone:
                self._require_policy(policy, gone, what="vanished")
                self._forget(gone, what=Removal.VANISHED)

    def _settle_changed(self, changed: Sequence[Changed]) -> None:
        """What was registered leaves landing; what is there now waits for an operator, or is a new file."""
        if not changed:
            return
        keys = [change.file.key for change in changed]
        self._require_policy(self._rules.on_changed, keys, what="changed")
        if self._rules.on_changed is ObjectPolicy.REPORT:
            held = [_waiting(change) for change in changed]
            # Before the file is forgotten: cut off in between, the next feed finds it changed again and goes on. The
            # other way round the new object would be taken in without a word.
            self._ports.committer.quarantine(self._rules.stream, held, status=QuarantineStatus.WAITS)
            for item in held:
                self._emit(_rejected(self._rules.stream, item))
        self._forget(keys, what=Removal.CHANGED)

    def _require_policy(self, policy: ObjectPolicy, keys: Sequence[str], *, what: str) -> None:
        if policy is ObjectPolicy.FAIL:
            raise DataError(
                f"{self._rules.stream}: {len(keys)} registered object(s) {what}; the first is {keys[0]}",
                expected="the objects that were taken in",
                todo=f"feed.on_{what} says fail; report lets the stream go on, drop takes their rows out of landing",
            )

    def _finish_taking_out(self) -> None:
        """Files that a run was cut off from taking out of landing: they come in again, as it began to (P15)."""
        keys = self._look().unfinished
        if keys:
            self._leave_landing(keys, what=Removal.REREGISTER)

    def _leave_landing(self, keys: Sequence[str], *, what: Removal) -> tuple[int, int]:
        """Returns how many files and rows went."""
        stream, gone = self._rules.stream, frozenset(keys)
        live = self._ports.reader.registered(stream, first=date.min, last=date.max)
        entries = [entry for entry in live if entry.key in gone]
        paths = [entry.registered_path for entry in entries]
        rows = self._ports.committer.forget(stream, paths=paths, entries=entries, reason=what)
        self._looked = None
        self._progress.worked = True
        return len(paths), rows

    def _forget(self, keys: Sequence[str], *, what: Removal) -> None:
        files, rows = self._leave_landing(keys, what=what)
        self._progress.forgot(keys, what=what)
        if what is Removal.REPLACED:
            return  # the caller tells it, with the rows of the processed table
        dropped = ObjectsDropped(stream=str(self._rules.stream), what=what, files=files, rows=rows, first=min(keys))
        self._emit(dropped)

    def _finish_setting_aside(self) -> None:
        finished = set_aside.finish(self._rules.stream, reader=self._ports.reader, committer=self._ports.committer)
        if finished:
            self._looked = None

    def _reread_left(self) -> None:
        """Read what an earlier run registered and did not merge, before dbt does: perhaps it ended that run.

        A run that ends by a page leaves no word of it. So what it would have merged next is read where an end is a
        verdict, whatever ended it. What is behind that has its turn when the mark has moved.
        """
        if self._rewound:
            return
        stream, ports = self._rules.stream, self._ports
        aside = set_aside.reread(
            stream,
            lambda: merge.first_files(stream, marks=ports.reader, merging=self._merging),
            committer=ports.committer,
            events=ports.events,
            stop=ports.stop,
        )
        if aside:
            self._progress.quarantined += aside
            self._looked = None

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
            for key, other in ownership.others(store, planned.claims, owner=owner):
                self._emit(Noted(message=f"{rules.stream}: {other} deletes the objects below {store.url(key)}"))
            return
        if not planned.batches and self._ports.reader.cursor(rules.stream).path is None:
            return  # nothing is there to be deleted one day, and perhaps the prefix is misspelt
        if ownership.claim_stream(store, rules.layout.root, planned.claims, owner=owner, take_over=rules.take_over):
            self._progress.worked = True
            self._reached(FaultPoint.AFTER_CLAIMED)

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
            self._agreeing(checked), budget=rules.budget, oversize_policy=rules.oversize_policy, identify=plan.batch_id
        )
        for batch, verdicts in fitting:
            self._reached(FaultPoint.AFTER_VALIDATE)
            yield batch, verdicts

    def _agreeing(self, checked: Iterator[split.Checked]) -> Iterator[split.Checked]:
        """The batches whose files agree with each other, and with landing as it is by now, on what they add to it."""
        changed = False
        for batch, verdicts in checked:
            if not changed and not any(isinstance(item, Accepted) and item.needs for item in verdicts):
                yield batch, verdicts
                continue
            changed = True
            landing = self._ports.reader.landing_columns(self._rules.stream) or {}
            agreed = commit.agree(verdicts, landing)
            if agreed.again:
                rest, terms = replace(batch, files=agreed.again), agreed.contract(self._rules.contract)
                ((_, second),) = self._ports.executor.validate([rest], contract=terms, ahead=1)
                agreed = commit.agree((*agreed.verdicts, *second), landing, columns=agreed.columns)
            yield batch, (*agreed.verdicts, *map(commit.unfit, agreed.again))

    def _reregister(self, planned: Plan) -> None:
        """Register files anew whose left-out fields have a place now; each leaves landing when it can come back."""
        if not planned.reregister:
            return
        self._make_landing()
        stream = self._rules.stream
        before = {item.key: item for item in self._ports.reader.left_out_files(stream)}
        ahead = self._rules.budget.max_in_flight
        checked = self._ports.executor.validate(planned.reregister, contract=self._effective_contract(), ahead=ahead)
        with closing(checked) as validated:
            for batch, verdicts in self._fitting(validated):
                anew, refused = reregister.sorted_out(verdicts, before)
                if refused:
                    self._ports.committer.refuse_left_out(stream, refused)
                if anew:
                    entries = self._live(anew)
                    self._ports.committer.reregister(stream, entries, reason=Removal.REREGISTER, replaces=True)
                    self._commit(replace(batch, files=tuple(item.file for item in anew)), anew, anew=True)
                self._progress.worked = True
                self._emit(FilesReregistered(stream=str(stream), files=len(anew), refused=len(refused)))
        self._merge()

    def _live(self, items: Sequence[Accepted]) -> list[LedgerEntry]:
        """The live ledger entries of files."""
        keys, days = {item.file.key for item in items}, [file_day(item.file) for item in items]
        entries = self._ports.reader.registered(self._rules.stream, first=min(days), last=max(days))
        return [entry for entry in entries if entry.key in keys]

    def _commit(self, batch: Batch, verdicts: tuple[Verdict, ...], *, anew: bool = False) -> PendingTransform | None:
        """Register the batch's good files; says what dbt has to merge of them.

        Args:
            anew: they were registered before, and count as that.
        """
        started_s = self._ports.clock.monotonic_s()
        request = self._request(batch, verdicts)
        landed, read_back = commit.settle(self._ports.committer, request)
        taken = landed.request or request
        self._account(batch, taken, landed, anew=anew)
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

    def _account(self, batch: Batch, taken: CommitRequest, landed: Landed, *, anew: bool) -> None:
        for rejected in taken.rejected:
            self._emit(_rejected(self._rules.stream, rejected))
        self._account_left_out(taken.files)
        if anew:
            self._progress.reregistered += len(taken.files)
        else:
            self._progress.add(
                files=len(taken.files), size_bytes=taken.size_bytes, rows=taken.rows, rejected=len(taken.rejected)
            )
        self._merging.loads[landed.snapshot] = merge.MergeSize(
            files=len(taken.files),
            rows=taken.rows,
            size_bytes=taken.size_bytes,
            projected_bytes=batch.projected_bytes,
        )

    def _account_left_out(self, files: Sequence[Accepted]) -> None:
        left_out = [item for item in files if item.left_out]
        if left_out:
            names = ", ".join(dict.fromkeys(shown(path) for item in left_out for path in item.left_out))
            self._emit(FieldsLeftOut(stream=str(self._rules.stream), files=len(left_out), fields=names))
            self._progress.left_out += len(left_out)

    def _merge_registered(self, registered: PendingTransform | None) -> None:
        if registered is not None or not self._is_merged:
            self._merge(registered if self._is_merged else None)
            self._is_merged = True
        self._reached(FaultPoint.AFTER_ADVANCE)

    def _merge(self, registered: PendingTransform | None = None) -> None:
        """Merge what is registered and not merged; files that nobody can read are set aside first, if that is why."""
        done = self._caught_up_or_set_aside(registered)
        for event in (event for piece in done for event in transformed(*piece)):
            self._progress.worked = True
            self._emit(event)
        if done:
            self._looked = None

    def _caught_up_or_set_aside(
        self, registered: PendingTransform | None
    ) -> list[tuple[PendingTransform, BuildResult]]:
        is_reread = False
        while True:
            try:
                return self._caught_up(registered)
            except TransformError as failed:
                registered = None
                if self._left_out_moved(failed):
                    continue
                aside = 0 if is_reread else self._set_aside(failed)
                is_reread = True
                self._progress.quarantined += aside
                if not aside and not self._left_out_moved(failed):  # again: reading them all takes its time
                    raise

    def _left_out_moved(self, failed: TransformError) -> bool:
        """Whether pending files changed or vanished since they were registered; they are out of the way now (P14).

        Raises:
            NotThereError: the listing that says so is not believed (P3).
        """
        ports = self._ports
        moved = set_aside.moved(
            self._rules.stream,
            failed,
            store=ports.store,
            list_since=lambda day: discover.list_since(ports.store, self._rules.layout, since=day),
            reader=ports.reader,
            events=ports.events,
        )
        self._require_listed(moved.looked)
        self._settle_changed(moved.changed)
        if moved.vanished:
            gone = [item.file.key for item in moved.vanished]
            self._require_explained(gone)
            # First the record: cut off in between, the next feed knows what is left to forget, and merges nothing less.
            ports.committer.quarantine(self._rules.stream, moved.vanished)
            self._forget(gone, what=Removal.VANISHED)
        return bool(moved.changed or moved.vanished)

    def _require_listed(self, looked: Plan | None) -> None:
        # Most of them may go while a feed runs, by a sync that overwrites; of none at all another place is likelier.
        ports = self._ports.planning_ports()
        refused = missing_of(self._rules, ports, looked) if looked is not None and not looked.listed_files else None
        if refused is not None and not self._rules.accept_empty:
            raise refused

    def _require_explained(self, gone: Sequence[str]) -> None:
        """Pending files are gone that dbt cannot read: by the policy, unless something newer explains it."""
        live = self._ports.reader.generations(self._rules.stream)
        self._lost.update({key: live[key] for key in gone if key in live})
        looked = replace(self._look(), vanished=tuple(gone))
        explained = presence.replaced(looked, overwrites=self._rules.overwrites) | generations.older(live, gone=gone)
        unexplained = [key for key in gone if key not in explained]
        if unexplained:
            self._require_policy(self._rules.on_vanished, unexplained, what="vanished")

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

    def _replace_older(self, planned: Plan) -> None:
        """Take rows of older generations out of the processed table, then their files out of landing (P16).

        Cut off in between, the next feed finds the same files gone, no row to take out, and ends the work.
        """
        planned = self._look_behind(planned)
        found = replacing_of(self._rules, self._ports.reader, planned, lost=self._lost)
        if found is None:
            return
        stream, generation = self._rules.stream, found.replacement.generation
        if found.outside or planned.postponed:
            self._emit(Noted(message=_held_back(stream, generation, found.outside, postponed=planned.postponed)))
            return
        built = self._replaced(planned, generation)
        if built is None:
            return
        self._reached(FaultPoint.AFTER_REPLACE)
        rows = sum(item.rows_affected for item in built)
        self._forget(found.replacement.gone, what=Removal.REPLACED)
        self._progress.replaced += rows
        files = len(found.replacement.gone)
        self._emit(GenerationReplaced(stream=str(stream), generation=generation, files=files, rows=rows))

    def _look_behind(self, planned: Plan) -> Plan:
        """A look that covers every live file. The feed's own does, but for what an earlier one left to clean up."""
        ports, reader = self._ports.planning_ports(), self._ports.reader
        if self._replay is not None:
            planned = plan_stream(self._rules, ports)
        if planned.looked_since is None:
            return planned
        behind = reader.cleanable(self._rules.stream, before=planned.looked_since)
        return plan_stream(self._rules, ports, back_to=min(entry.day for entry in behind)) if behind else planned

    def _replaced(self, planned: Plan, generation: int) -> list[BuildResult] | None:
        """What dbt did; None when an object has gone that it had to read: the next feed looks again."""
        stream = self._rules.stream
        live = self._ports.reader.registered(stream, first=date.min, last=date.max)
        snapshots = [entry.snapshot for entry in live]
        try:
            done = merge.replace_older(
                stream,
                generation=generation,
                snapshots=(min(snapshots), max(snapshots)),
                committer=self._ports.committer,
                merging=self._merging,
            )
        except TransformMemoryError:
            raise
        except TransformError:
            now = plan_stream(self._rules, self._ports.planning_ports(), back_to=planned.looked_since)
            if set(now.vanished) <= set(planned.vanished):
                raise
            self._emit(
                Noted(message=f"{stream}: more objects went meanwhile; the next feed replaces older generations")
            )
            return None
        for piece, built in done:
            for event in model_runs(built, stream=str(piece.stream)):
                self._emit(event)
        return [built for _, built in done]

    def _clean(self) -> None:
        stream = self._rules.stream
        planned = plan_clean(self._rules, reader=self._ports.reader, store=self._ports.store)
        if not planned.files:
            return
        rows = remove(planned, self._ports.committer)
        kept = len(planned.kept)
        self._emit(FilesCleaned(stream=str(stream), files=len(planned.files), rows=rows, objects_deleted=0, kept=kept))
        self._progress.cleaned += len(planned.files)
        self._progress.kept += kept
        self._progress.worked = True

    def _effective_contract(self) -> Contract:
        """The contract with the columns and fields that earlier files added to the landing table."""
        return validate.effective(self._rules.contract, self._ports.reader.landing_columns(self._rules.stream) or {})

    def _emit(self, event: Event) -> None:
        self._ports.events.emit(event)


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


def _waiting(change: Changed) -> Rejected:
    detail = (
        f"expected the object that was taken in, ETag {change.registered_etag}, found ETag {change.file.etag}: it was "
        "overwritten; `quarantine retry` takes the new one in"
    )
    return Rejected(file=change.file, reason=RejectReason.CHANGED, detail=detail)


def _held_back(stream: StreamName, generation: int, outside: Sequence[SourceFile], *, postponed: int) -> str:
    first = f", {outside[0].key} among them" if outside else ""
    return (
        f"{stream}: generation {generation} has replaced older ones; their rows stay until all that is listed is "
        f"taken in or ignored: {len(outside) + postponed} file(s) are not{first}"
    )


def _rejected(stream: StreamName, item: Rejected) -> FileRejected:
    return FileRejected(stream=str(stream), key=item.file.key, reason=item.reason, detail=item.detail)


def finished(report: StreamReport) -> StreamFinished:
    """The report as an event."""
    error = report.error
    return StreamFinished(
        stream=str(report.stream),
        status=report.status,
        batches=report.batches,
        files=report.files,
        rows=report.rows,
        quarantined=report.quarantined,
        too_late=report.too_late,
        changed=report.changed,
        vanished=report.vanished,
        replaced=report.replaced,
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
        changed=len(planned.changed) + len(planned.waiting),
        vanished=len(planned.vanished),
        oversize=len(planned.oversize),
        leaving=leaving.files,
        deleting=leaving.deleted,
    )
