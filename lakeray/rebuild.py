"""One rebuild of one stream, top to bottom: its tables become what its config says (docs/adr/0025-rebuild.md).

1. the processed table is made anew of its own rows, and of landing's where rows are compared in another way: one
   DuckLake snapshot, in which the key is noted too
2. where a landing column gets another type, its files leave landing, to be registered anew; then it is changed, for it
   has no rows
3. files that were rejected for their types are looked at again
4. the stream is fed

Cut off anywhere, the same command goes on: each step finds by itself whether it is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from lakeray.feed import Ports, StreamFeed
from lakeray.planning import Rules, missing_of, owner_of, plan_stream
from lakeray.ports.catalog import RunReader
from lakeray.steps import ownership, rebuild
from lakeray.values.errors import LakerayError
from lakeray.values.events import LandingChanged, TableRebuilt
from lakeray.values.model import (
    Contract,
    LedgerEntry,
    MergedBy,
    RawPolicy,
    Rebuild,
    RebuildCounts,
    RejectReason,
    Removal,
    StreamReport,
    StreamStatus,
)

_CHUNK = 1000
"""Files that leave landing together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildPlan:
    """What a rebuild of one stream would do. Making it writes nothing."""

    change: Rebuild
    counts: RebuildCounts
    merged_through: int
    """Rows of landing up to this DuckLake snapshot are in the processed table (inclusive)."""
    landing: tuple[LedgerEntry, ...]
    """Live files that are registered anew."""
    rejected: tuple[str, ...]
    """Keys of files that were rejected for their types, and are looked at again."""


def plan_rebuild(rules: Rules, reader: RunReader) -> RebuildPlan:
    """What differs between the stream's config and its tables, and what a rebuild would make of the rows.

    Raises:
        ContractError: there is no cast from what a column is to what it should be.
        CatalogError: the catalog failed, or landing cannot be read.
    """
    stream = rules.stream
    change = rebuild.plan_rebuild(
        stream,
        rules.contract,
        landing=reader.landing_columns(stream) or {},
        processed=reader.processed_columns(stream),
        noted=reader.contract_notes(stream).merged_by,
    )
    mark = reader.cursor(stream).transformed_snapshot
    counts = reader.rebuild_counts(change, merged_through=mark)
    if counts.merging and not change.is_needed:
        change = replace(change, repeats_key=True)
        counts = reader.rebuild_counts(change, merged_through=mark)
    live = reader.registered(stream, first=date.min, last=date.max) if change.landing else ()
    held = reader.quarantined(stream) if change.is_needed else ()
    return RebuildPlan(
        change=change,
        counts=counts,
        merged_through=mark,
        landing=tuple(live),
        rejected=tuple(
            entry.key for entry in held if entry.reason == RejectReason.TYPE_CHANGED and entry.status == "rejected"
        ),
    )


def rebuild_stream(rules: Rules, ports: Ports, reader: RunReader, *, allow_loss: bool) -> StreamReport:
    """Make the stream's tables what its config says, and feed it. A failure is reported: it stops no other stream.

    Args:
        allow_loss: values that do not fit their new type become NULL, and rows without the new key go.
    """
    try:
        _rebuild(rules, ports, reader, allow_loss=allow_loss)
    except LakerayError as failure:
        return StreamReport(stream=rules.stream, status=StreamStatus.FAILED, error=failure.as_dict())
    return StreamFeed(rules, ports).report()


def _rebuild(rules: Rules, ports: Ports, reader: RunReader, *, allow_loss: bool) -> None:
    planned = plan_rebuild(rules, reader)
    change = planned.change
    rebuild.refuse_loss(change, planned.counts, allow_loss=allow_loss)
    _require_place(rules, ports, change)
    if change.has_processed and (change.processed or change.orders_anew):
        built = ports.committer.rebuild(change, merged_through=planned.merged_through)
        ports.events.emit(
            TableRebuilt(stream=str(change.stream), rows=built.rows_affected, seconds=round(built.seconds, 3))
        )
    # What was left out of a file may come in now, with records that the processed table has without it.
    left_out = {item.key for item in reader.left_out_files(change.stream)} if planned.landing else set()
    for replaces in (False, True):
        for files in _chunks([entry for entry in planned.landing if (entry.key in left_out) is replaces]):
            ports.committer.reregister(change.stream, files, reason=Removal.REBUILD, replaces=replaces)
    for done in ports.committer.ensure_landing(change.stream, rules.contract) if change.landing else ():
        ports.events.emit(LandingChanged(stream=str(change.stream), change=done))
    if planned.rejected:
        ports.committer.set_quarantine(planned.rejected, status="retry")


def _require_place(rules: Rules, ports: Ports, change: Rebuild) -> None:
    """See that the stream could be fed here: what leaves landing comes back from the objects (P3, P13).

    Raises:
        NotThereError: so much of what was taken in is missing that the place is rather the wrong one.
        PrefixOwnedError: another lake deletes the stream's objects.
    """
    noted = change.noted
    by = rules.contract if noted is None else _merged_by(rules.contract, noted)
    looked = plan_stream(replace(rules, contract=by), ports.planning_ports())
    missing = missing_of(rules, ports.planning_ports(), looked)
    if missing is not None and not rules.accept_empty:
        raise missing
    if rules.raw.raw is not RawPolicy.KEEP:
        owner = owner_of(ports.reader, catalog=ports.catalog)
        ownership.is_claimed(ports.store, rules.layout.root, looked.claims, owner=owner, take_over=rules.take_over)


def _merged_by(contract: Contract, noted: MergedBy) -> Contract:
    return replace(
        contract, primary_key=noted.primary_key, newest_first=noted.newest_first, cursor_type=noted.cursor_type
    )


def _chunks(files: Sequence[LedgerEntry]) -> Iterator[Sequence[LedgerEntry]]:
    for at in range(0, len(files), _CHUNK):
        yield files[at : at + _CHUNK]
