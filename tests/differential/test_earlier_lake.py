"""A lake whose removals do not say whether their keys may return: read as it is, brought up to date by a committer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from lakeray.ports.catalog import Known
from lakeray.values.model import Landed, LedgerEntry, Removal, StreamName
from tests.differential.lakes import Twins, WrittenLake
from tests.differential.test_found_faults import CONTRACT, landed, parquet
from tests.differential.test_removal import of_batch

EVER = datetime(2100, 1, 1, tzinfo=UTC)
COLUMNS = "source, stream, file_key, etag, registered_snapshot, reason, removed_at"


def made_earlier(lake: WrittenLake) -> None:
    """The removals as versions before key_may_return kept them."""
    lake.rows("BEGIN TRANSACTION")
    lake.rows(
        "CREATE TABLE lakehouse.meta.older (source VARCHAR, stream VARCHAR, file_key VARCHAR, etag VARCHAR, "
        "registered_snapshot BIGINT, reason VARCHAR, removed_at TIMESTAMP WITH TIME ZONE)"
    )
    lake.rows(f"INSERT INTO lakehouse.meta.older SELECT {COLUMNS} FROM lakehouse.meta.removals")
    lake.rows("DROP TABLE lakehouse.meta.removals")
    lake.rows("ALTER TABLE lakehouse.meta.older RENAME TO removals")
    lake.rows("COMMIT")
    lake.reader.close()
    lake.reader = lake.reread()


def filled(pair: Twins) -> StreamName:
    """Three batches: one behind the retention, one whose files vanished, one that is live."""
    stream = landed(pair, *([parquet(a=[f"{number}", "y"], b=[number, 2])] * 2 for number in range(3)))
    for lake in pair.lakes.values():
        lake.committer.remove(stream, of_batch(pair, lake, stream, 0), reason=Removal.RETENTION)
        gone = of_batch(pair, lake, stream, 1)
        paths = [entry.registered_path for entry in gone]
        lake.committer.forget(stream, paths=paths, entries=gone, reason=Removal.VANISHED)
    return stream


def reads(lake: WrittenLake, stream: StreamName) -> tuple[Any, ...]:
    """What discovery and clean-up ask of the removals."""
    known = lake.reader.known(stream, since=None)
    snapshot = lake.reader.planning_snapshot([stream], since_of=lambda _: None)
    assert dict(snapshot.known(stream, since=None)) == dict(known)
    keys = [*sorted(known), "unknown"]
    assert dict(lake.reader.known_among(stream, keys)) == dict(known)
    return dict(known), list(lake.reader.registered(stream, first=date.min, last=date.max))


def test_it_reads_alike_before_and_after_a_committer_opened_it(own_pair: Twins) -> None:
    stream = filled(own_pair)
    for lake in own_pair.lakes.values():
        current = reads(lake, stream)
        assert {key[-11:-8]: entry.live for key, entry in _known(current).items()} == {
            "0-0": False,
            "0-1": False,
            "2-0": True,
            "2-1": True,
        }
        made_earlier(lake)
        assert reads(lake, stream) == current
        lake.committer = lake.reopen()
        assert reads(lake, stream) == current
        stored = lake.rows("SELECT DISTINCT reason, key_may_return FROM lakehouse.meta.removals ORDER BY ALL")
        assert stored == [("retention", False), ("vanished", True)]
        snapshots = len(lake.stored("ducklake_snapshot"))
        lake.committer = lake.reopen()
        assert len(lake.stored("ducklake_snapshot")) == snapshots + 1  # the token's, and no other


def _known(found: tuple[Any, ...]) -> Mapping[str, Known]:
    known: Mapping[str, Known] = found[0]
    return known


def test_the_catalog_writer_goes_on_and_an_open_reader_sees_it(own_pair: Twins) -> None:
    stream = filled(own_pair)
    lake = own_pair.catalog
    made_earlier(lake)
    before = live(lake, stream)  # by a reader that stays open
    lake.committer = lake.reopen()
    lake.committer.remove(stream, of_batch(own_pair, lake, stream, 2), reason=Removal.RETENTION)
    assert (len(before), live(lake, stream)) == (2, [])
    back = own_pair.put(own_pair.key(stream, "1-0"), parquet(a=["0", "y"], b=[1, 2]))
    taken = lake.take_in(stream, CONTRACT, [back])
    assert isinstance(taken, Landed) and taken.registered_by == "catalog writer"
    assert [entry.key for entry in live(lake, stream)] == [back.key]


def live(lake: WrittenLake, stream: StreamName) -> list[LedgerEntry]:
    return list(lake.reader.registered(stream, first=date.min, last=date.max))
