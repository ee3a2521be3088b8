"""P10: a committer whose token is stale writes nothing, by whichever of its port's methods it tries."""

from __future__ import annotations

import copy
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest

from lakeray.ports.committer import Committer, GroupCommitter
from lakeray.steps.commit import refusal
from lakeray.values.errors import LakerayError, LeaseLostError
from lakeray.values.model import (
    CommitRequest,
    LeaseIs,
    LedgerEntry,
    Merged,
    MergedBy,
    MergeEnd,
    Peak,
    PendingTransform,
    Rebuild,
    Refused,
    Rejected,
    RejectReason,
    Removal,
    RunRecord,
    StreamName,
    StreamStatus,
)
from tests.contract.lakes import CONTRACT, EVER, InMemory, Lake, OnDisk
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, row

OTHER = StreamName("shop", "refunds")
GONE, MERGED, PENDING, NEW, BAD = (key_for(date(2026, 3, day)) for day in (1, 2, 3, 4, 5))
PEAK = Peak(
    from_snapshot=1,
    to_snapshot=1,
    files=1,
    rows=1,
    size_bytes=1,
    projected_bytes=1,
    peak_bytes=1,
    fixed_bytes=1,
    limit_bytes=1,
    end=MergeEnd.MERGED,
)
BY_VALUE = Rebuild(
    stream=STREAM,
    key=("pk", "value"),
    newest_first=CONTRACT.newest_first,
    noted=MergedBy(primary_key=CONTRACT.primary_key, newest_first=CONTRACT.newest_first),
)
RUN = RunRecord(
    stream=STREAM,
    at=datetime(2026, 3, 5, tzinfo=UTC),
    outcome=StreamStatus.OK,
    batches=1,
    files=1,
    rows=1,
    size_bytes=1,
    quarantined=0,
    seconds=1.0,
    error=None,
)
READS = {"token", "read_back", "unreadable"}
"""What the port has besides its writes."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A lake in which every write of the port has something to do, and what each is given."""

    lake: Lake
    request: CommitRequest
    pending: PendingTransform
    merged: Sequence[LedgerEntry]
    bad: Rejected


WRITES: Mapping[str, Callable[[Any, Prepared], object]] = {
    "ensure_landing": lambda committer, _: committer.ensure_landing(OTHER, CONTRACT),
    "commit": lambda committer, at: committer.commit(at.request),
    "commit_group": lambda committer, at: committer.commit_group([at.request]),
    "transform": lambda committer, at: committer.transform(at.pending),
    "transform_group": lambda committer, at: committer.transform_group([at.pending]),
    "advance": lambda committer, at: committer.advance(at.pending, peaks=[PEAK]),
    "advance_group": lambda committer, at: committer.advance_group([Merged(pending=at.pending, peaks=(PEAK,))]),
    "remember": lambda committer, _: committer.remember(STREAM, [PEAK]),
    "rewind": lambda committer, _: committer.rewind(STREAM, to_snapshot=0),
    "remove": lambda committer, at: committer.remove(STREAM, at.merged, reason=Removal.RETENTION),
    "forget": lambda committer, at: committer.forget(
        STREAM, paths=[at.lake.store.url(MERGED)], entries=at.merged, reason=Removal.VANISHED
    ),
    "quarantine": lambda committer, at: committer.quarantine(STREAM, [at.bad]),
    "expire": lambda committer, _: committer.expire(older_than=EVER),
    "note_existing": lambda committer, _: committer.note_existing(OTHER, {"shop/refunds/kept.parquet": "etag"}),
    "enrich": lambda committer, _: committer.enrich(),
    "reregister": lambda committer, at: committer.reregister(
        STREAM, at.merged, reason=Removal.REREGISTER, replaces=True
    ),
    "refuse_left_out": lambda committer, _: committer.refuse_left_out(STREAM, {MERGED: "no place for it"}),
    "rebuild": lambda committer, at: committer.rebuild(BY_VALUE, merged_through=at.pending.from_snapshot - 1),
    "note_runs": lambda committer, _: committer.note_runs([RUN]),
    "drop_stream": lambda committer, _: committer.drop_stream(STREAM),
    "set_quarantine": lambda committer, _: committer.set_quarantine([BAD], status="ignored"),
}


@pytest.fixture(scope="module", params=["memory", "extension", "catalog"])
def at(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """One for all writes of a kind of lake: what writes nothing leaves it as it was."""
    if request.param == "memory":
        yield prepared(InMemory())
        return
    folder = tmp_path_factory.mktemp("fence") / "lake"
    opened = OnDisk(folder, request.getfixturevalue("extension_directory"), writer=request.param)
    yield prepared(opened)
    opened.close()


@pytest.fixture(scope="module")
def newer(at: Prepared) -> Committer:
    """The committer that took over."""
    return at.lake.reopen()


def prepared(lake: Lake) -> Prepared:
    """One file has left landing and waits for its deletion, one is merged, one is not, one is new, one is bad."""
    lake.committer.ensure_landing(STREAM, CONTRACT)
    for number, key in enumerate((GONE, MERGED, PENDING, NEW)):
        lake.put(key, row(number))
    lake.take_in(GONE, MERGED)
    lake.merge()
    lake.committer.remove(STREAM, registered(lake, GONE), reason=Removal.RETENTION)
    lake.take_in(PENDING)
    bad = Rejected(file=lake.put(BAD, row(9)), reason=RejectReason.CORRUPT, detail="a bad page")
    lake.committer.quarantine(STREAM, [bad])
    pending = lake.reader.pending_transform(STREAM)
    assert pending is not None
    return Prepared(lake=lake, request=lake.request(NEW), pending=pending, merged=registered(lake, MERGED), bad=bad)


def registered(lake: Lake, key: str) -> list[LedgerEntry]:
    entries = lake.reader.registered(STREAM, first=date.min, last=date.max)
    return [entry for entry in entries if entry.key == key]


def everything(lake: Lake) -> object:
    """All that a write could change: the catalog's rows, the lake's own files, the raw objects."""
    if isinstance(lake, InMemory):
        return copy.deepcopy((lake.catalog.snapshots, lake.catalog.scheduled)), lake.keys()
    assert isinstance(lake, OnDisk)
    with closing(sqlite3.connect(f"file:{lake._root / 'catalog.sqlite'}?mode=ro", uri=True)) as catalog:
        rows = list(catalog.iterdump())
    own = {path: path.read_bytes() for path in (lake._root / "lake").rglob("*") if path.is_file()}
    return rows, own, lake.keys()


def attempt(name: str, committer: Committer, at: Prepared) -> None:
    """Write; a failure that is a value, of a group's one item or a refused commit, is raised."""
    answer = WRITES[name](committer, at)
    (only,) = answer if name.endswith("_group") and isinstance(answer, Sequence) else (answer,)
    if isinstance(only, Refused):
        assert isinstance(only.requirement, LeaseIs)
        raise refusal(at.request, only)
    if isinstance(only, LakerayError):
        raise only


def test_every_method_of_the_port_is_a_read_or_tried_here() -> None:
    methods = {name for port in (Committer, GroupCommitter) for name in vars(port) if not name.startswith("_")}
    assert methods == READS | WRITES.keys()


@pytest.mark.parametrize("name", WRITES)
def test_a_stale_committer_writes_nothing(name: str, at: Prepared, newer: Committer) -> None:
    stale = at.lake.committer
    assert newer.token > stale.token
    before = everything(at.lake)
    with pytest.raises(LeaseLostError):
        attempt(name, stale, at)
    assert everything(at.lake) == before


def test_a_write_of_the_newer_one_is_seen(at: Prepared, newer: Committer) -> None:
    before = everything(at.lake)
    newer.remember(STREAM, [PEAK])
    assert everything(at.lake) != before
