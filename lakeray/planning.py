"""What a look at one stream finds, and what a feed would do about it. Writes nothing; commands ask it, too."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from lakeray.ports.catalog import CatalogReader, ContractNotes, KnowsLake, PlanningReader
from lakeray.ports.storage import ObjectStore
from lakeray.steps import (
    clean,
    discover,
    generations,
    merge,
    overview,
    ownership,
    plan,
    presence,
    rebuild,
    reregister,
)
from lakeray.values.errors import DataError, NotThereError
from lakeray.values.keys import file_day
from lakeray.values.layouts import Layout
from lakeray.values.model import (
    Budget,
    CleanPlan,
    Contract,
    Cursor,
    Discovery,
    FileGenerations,
    LedgerEntry,
    LeftOut,
    ObjectPolicy,
    Plan,
    QuarantineEntry,
    QuarantineStatus,
    SourceFile,
    StreamName,
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
    """The id of a lake whose claims are replaced."""
    max_batches: int | None = None
    adaptive: bool = True
    """Whether the memory factor follows what the stream's merges were measured to need."""
    on_changed: ObjectPolicy = ObjectPolicy.REPORT
    on_vanished: ObjectPolicy = ObjectPolicy.REPORT
    accept_empty: bool = False
    """The operator says that what is missing is gone for good: it is forgotten, whatever ``on_vanished`` says (P3)."""
    overwrites: bool = False
    """The stream's syncs delete what earlier ones wrote: that is gone as it should be."""
    path: Layout | None = None
    """Where the stream's raw objects lie; None for the layout of its name."""

    @property
    def layout(self) -> Layout:
        """Where the stream's raw objects lie."""
        return self.path or Layout.of(self.stream)


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """A range of days, both inclusive."""

    first: date
    last: date


HasModel = Callable[[StreamName], bool]
"""Whether somebody merges the stream: whether dbt's project has its model."""


def every_model(_stream: StreamName) -> bool:
    """Each stream has a model."""
    return True


def missing_model(stream: StreamName) -> DataError:
    """What is said of a stream that nobody merges."""
    return DataError(
        f"{stream}: dbt has no model of it; nothing was taken in",
        expected=f"a model {stream.processed_table}",
        found="none of this name",
        todo="`lakeray generate` writes it, and the landing DDL",
    )


GenerationOf = Callable[[SourceFile], int | None]
"""The newest generation of an object's rows, by its footer; None when it does not say. Raises ``StorageError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningPorts:
    """The ports that looking and planning need; no lease."""

    store: ObjectStore
    reader: PlanningReader
    today: date
    """UTC."""
    generation_of: GenerationOf


def plan_stream(rules: Rules, ports: PlanningPorts, *, everything: bool = False, back_to: date | None = None) -> Plan:
    """Discover and plan; writes nothing (P2–P5).

    Args:
        back_to: look at least from this day on.
        everything: list the whole prefix, so that every file too late for a feed is counted; else from the day of
            ``view_of`` on, and of the older files what there is room for.
            What vanished is told from that day on in both cases: `doctor` compares everything.
    """
    cursor, notes = ports.reader.cursor(rules.stream), ports.reader.contract_notes(rules.stream)
    merged = cursor.transformed_snapshot > 0
    rebuild.refuse_other_key(rules.stream, rules.contract, noted=notes.merged_by, merged=merged)
    unsettled = _unsettled(rules, ports.reader, notes)
    watch = reregister.Watch(unsettled)
    view = view_of(rules, cursor, today=ports.today)
    view = view if view is None or back_to is None else min(view, back_to)
    known, held = ports.reader.known(rules.stream, since=view), _held(rules, ports.reader)
    known_among = functools.partial(ports.reader.known_among, rules.stream)
    claims: list[SourceFile] = []
    newest = overview.Newest()
    listed = discover.list_since(ports.store, rules.layout, since=None if everything else view, older=discover.OLDER)
    files = discover.without_claims(listed, into=claims)
    found = discover.sort_out(
        watch.passing(newest.passing(files) if everything else files),
        known=known,
        quarantine=held,
        since=horizon_of(rules, cursor),
        looked_since=view,
        head=ports.store.head,
        known_among=known_among,
        asked_at_most=None if everything else discover.OLDER,
        layout=rules.layout,
    )
    unfinished = reregister.unfinished(held, known_among)
    planned = replace(_packed(rules, ports, found), claims=tuple(claims), unfinished=unfinished, newest_at=newest.at)
    if unsettled:
        anew = _packed(rules, ports, Discovery(new=watch.as_registered(ports.store.head)))
        planned = replace(planned, reregister=anew.batches)
    if cursor.path is not None or known:
        return planned
    return replace(planned, existing=found.new + found.skipped)  # nothing was taken in yet: P13


def _held(rules: Rules, reader: PlanningReader) -> list[QuarantineEntry]:
    """The record of rejected files, without those that wait for a decision which the policy has made."""
    held = reader.quarantined(rules.stream)
    return [
        entry for entry in held if entry.status != QuarantineStatus.WAITS or rules.on_changed is not ObjectPolicy.DROP
    ]


def _unsettled(rules: Rules, reader: PlanningReader, notes: ContractNotes) -> dict[str, LeftOut]:
    """The live files that hold values the contract has a place for now, by key."""
    return reregister.waiting(rules.contract, notes.left_out, lambda: reader.left_out_files(rules.stream))


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
    """The lake as its claims say it; without an id before there is a lake, and so nobody's claim is its own."""
    return ownership.Owner(lake=reader.lake_id() or "", catalog=catalog)


def horizon_of(rules: Rules, cursor: Cursor) -> date | None:
    """The oldest day whose new files are taken in (P4)."""
    return discover.horizon(cursor, lookback_days=rules.lookback_days, retention_days=rules.retention_days)


def view_of(rules: Rules, cursor: Cursor, *, today: date) -> date | None:
    """The day from which a feed looks (P4)."""
    return discover.view_from(horizon_of(rules, cursor), today=today, lookback_days=rules.lookback_days)


def vanished_policy(rules: Rules, refused: NotThereError | None) -> ObjectPolicy:
    """What happens to vanished files: what is refused and accepted all the same is gone for good (P3)."""
    return rules.on_vanished if refused is None else ObjectPolicy.DROP


def missing_of(rules: Rules, ports: PlanningPorts, planned: Plan) -> NotThereError | None:
    """Why the listing that the plan was made from is not believed; None when it is (P3)."""
    place = ports.store.url(rules.layout.root)
    if presence.missing(planned, place=place) is None:
        return None
    return presence.missing(planned, place=place, replaced=replaced_keys(rules, ports, planned))


def replaced_keys(rules: Rules, ports: PlanningPorts, planned: Plan) -> frozenset[str]:
    """The vanished keys that something newer explains: they are no loss, and no policy is about them (P3, P14, P16).

    Raises:
        StorageError: the newest of the new files was to be asked for its generation, and storage does not answer.
    """
    if not planned.vanished:
        return frozenset()
    by_day = presence.replaced(planned, overwrites=rules.overwrites)
    if by_day.issuperset(planned.vanished):
        return by_day
    live = ports.reader.generations(rules.stream)
    explained = by_day | generations.older(live, gone=planned.vanished)
    new = [file for batch in planned.batches for file in batch.files]
    if new and not explained.issuperset(planned.vanished):
        newest = ports.generation_of(max(new, key=lambda file: file.last_modified))
        explained |= generations.older(live, gone=planned.vanished, newest=newest)
    return explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacing:
    """A generation that is whole, and what keeps older rows in place all the same."""

    replacement: generations.Replacement
    outside: tuple[SourceFile, ...]
    """Listed files that are not taken in: until they are, nothing leaves."""


def replacing_of(
    rules: Rules, reader: PlanningReader, planned: Plan, *, lost: Mapping[str, FileGenerations] | None = None
) -> Replacing | None:
    """Which generation has taken the place of older ones by what a look found, and by what is live now (P16).

    Args:
        lost: files that are no longer live because they had gone.
    """
    if not planned.vanished and not lost:
        return None
    live = reader.generations(rules.stream)
    lost = {key: file for key, file in (lost or {}).items() if key not in live}
    found = generations.replaced({**live, **lost}, gone={*planned.vanished, *lost}, overwrites=rules.overwrites)
    if found is None:
        return None
    held = reader.quarantined(rules.stream)
    ignored = {entry.key for entry in held if entry.status == QuarantineStatus.IGNORED}
    return Replacing(replacement=found, outside=generations.outside(planned, live, ignored=ignored))


_NOT_REPLAYED = (QuarantineStatus.IGNORED, QuarantineStatus.WAITS)


def plan_replay(rules: Rules, ports: PlanningPorts, *, days: Days) -> Plan:
    """Plan what a replay takes in: new, too late or rejected files of the days."""
    claims: list[SourceFile] = []
    listed = discover.list_since(ports.store, rules.layout, since=days.first)
    found = discover.sort_out(
        discover.without_claims(listed, into=claims),
        known=ports.reader.known(rules.stream, since=days.first),
        quarantine=[entry for entry in _held(rules, ports.reader) if entry.status in _NOT_REPLAYED],
        since=None,
        looked_since=days.first,
        layout=rules.layout,
    )
    chosen = tuple(file for file in found.new if days.first <= file_day(file) <= days.last)
    return replace(_packed(rules, ports, replace(found, new=chosen)), claims=tuple(claims))


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


def plan_clean(rules: Rules, *, reader: CatalogReader, store: ObjectStore) -> CleanPlan:
    """What clean-up takes out of the stream's landing table now; writes nothing.

    A file with left-out fields that have a place by now stays until they are in (P13).
    """

    def held(files: Sequence[LedgerEntry]) -> Collection[str]:
        unsettled = _unsettled(rules, reader, reader.contract_notes(rules.stream)) if files else {}
        return reregister.held(files, unsettled, store.head)

    return clean.plan_clean(
        rules.stream,
        cursor=reader.cursor(rules.stream),
        reader=reader,
        retention_days=rules.retention_days,
        raw=rules.raw,
        held=held,
    )
