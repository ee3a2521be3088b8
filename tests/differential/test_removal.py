"""Taking whole files out of landing: the catalog writer leaves what DuckLake's own DELETE leaves, and reads nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lakeray.values.errors import DamageError, LeaseLostError
from lakeray.values.model import LedgerEntry, Removal, StreamName
from tests.differential.compare import same_catalogs, table_id
from tests.differential.lakes import Twins, WrittenLake
from tests.differential.test_found_faults import counts, found, landed, parquet

EVER = datetime(2100, 1, 1, tzinfo=UTC)


def three_batches(pair: Twins) -> StreamName:
    return landed(pair, *([parquet(a=[f"{number}", "y"], b=[number, 2])] * 2 for number in range(3)))


def of_batch(pair: Twins, lake: WrittenLake, stream: StreamName, number: int) -> list[LedgerEntry]:
    return [entry for at in range(2) for entry in lake.reader.history(pair.key(stream, f"{number}-{at}"))]


def removed(pair: Twins, stream: StreamName, number: int, *, reason: Removal = Removal.RETENTION) -> set[int]:
    return {
        lake.committer.remove(stream, of_batch(pair, lake, stream, number), reason=reason)
        for lake in pair.lakes.values()
    }


def last_changes(lake: WrittenLake) -> set[str]:
    (found,) = lake.rows(
        "SELECT changes_made FROM __ducklake_metadata_lakehouse.ducklake_snapshot_changes "
        "ORDER BY snapshot_id DESC LIMIT 1"
    )
    return set(found[0].split(","))


def shown(lake: WrittenLake, stream: StreamName) -> list[tuple[Any, ...]]:
    return lake.rows(f"SELECT * FROM lakehouse.staging.{stream.landing_table} ORDER BY ALL")


def test_a_column_named_filename_is_not_asked_which_rows_leave(own_pair: Twins) -> None:
    batches = [[parquet(FileName=[f"{number}", "y"], rowid=[number, 2])] * 2 for number in range(3)]
    stream = landed(own_pair, *batches)
    for number, left in ((0, 8), (1, 4)):
        assert removed(own_pair, stream, number) == {4}
        mine, theirs = (shown(lake, stream) for lake in own_pair.lakes.values())
        assert mine == theirs and len(mine) == left
    for lake in own_pair.lakes.values():
        named = lake.rows(f"SELECT filename, rowid FROM lakehouse.staging.{stream.landing_table} ORDER BY ALL")
        assert named == [("2", 2), ("2", 2), ("y", 2), ("y", 2)]


def test_both_ways_leave_the_same_catalog_and_the_same_books(own_pair: Twins) -> None:
    stream = three_batches(own_pair)
    assert removed(own_pair, stream, 0) == {4}
    same_catalogs(own_pair, stream)
    mine, theirs = (shown(lake, stream) for lake in own_pair.lakes.values())
    assert mine == theirs and len(mine) == 8
    for lake in own_pair.lakes.values():
        entries = of_batch(own_pair, lake, stream, 0)
        assert {entry.removed_because for entry in entries} == {"retention"}
        assert {known.live for known in lake.reader.known(stream, since=None).values()} == {True, False}
    # The catalog writer names the table that it asked to delete from, though no row of it is about these files.
    changes = last_changes(own_pair.catalog) - {f"inlined_delete:{_table_of_books(own_pair.catalog, 'left_out')}"}
    assert changes == {f"deleted_from_table:{table_id(own_pair.catalog, stream)}", *_books(own_pair.catalog)}
    assert changes <= last_changes(own_pair.extension)  # its fence touches the lease's row, too


def _books(lake: WrittenLake) -> set[str]:
    return {f"inlined_insert:{_table_of_books(lake, 'removals')}"}


def _table_of_books(lake: WrittenLake, name: str) -> int:
    ((number,),) = lake.stored("ducklake_table", f"table_name = '{name}'", "table_id")
    return int(number)


def test_files_that_are_kept_leave_both_catalogs(own_pair: Twins) -> None:
    stream = three_batches(own_pair)
    assert removed(own_pair, stream, 0, reason=Removal.KEPT) == {4}
    same_catalogs(own_pair, stream)
    for lake in own_pair.lakes.values():
        paths = {lake.raw.url(own_pair.key(stream, f"0-{at}")) for at in range(2)}
        assert not paths & set(lake.reader.data_file_paths())
        assert len(shown(lake, stream)) == 8


def test_older_snapshots_still_show_what_was_taken_out_until_they_are_expired(own_pair: Twins) -> None:
    stream = three_batches(own_pair)
    before = max(row[0] for row in own_pair.catalog.rows("SELECT snapshot_id FROM lakehouse.snapshots()"))
    removed(own_pair, stream, 0)
    ((rows,),) = own_pair.catalog.rows(
        f"SELECT count(*) FROM lakehouse.staging.{stream.landing_table} AT (VERSION => {before})"
    )
    assert rows == 12
    for lake in own_pair.lakes.values():
        pending = lake.reader.pending_transform(stream)
        assert pending is not None
        lake.committer.advance(pending)  # what waits for dbt keeps its snapshots
    lost = [set(lake.committer.expire(older_than=EVER)) for lake in own_pair.lakes.values()]
    assert lost[0] == lost[1] == {own_pair.catalog.raw.url(own_pair.key(stream, f"0-{at}")) for at in range(2)}
    same_catalogs(own_pair, stream)
    assert found(own_pair, stream, "true") == {8}
    removed(own_pair, stream, 1)
    assert found(own_pair, stream, "true") == {4}


def test_no_file_is_read_for_it(pair: Twins) -> None:
    stream = three_batches(pair)
    for number in range(3):
        for at in range(2):
            pair.catalog.raw.delete(pair.key(stream, f"{number}-{at}"))
    files = of_batch(pair, pair.catalog, stream, 1)
    assert pair.catalog.committer.remove(stream, files, reason=Removal.RETENTION) == 4
    live = f"table_id = {table_id(pair.catalog, stream)} AND end_snapshot IS NULL"
    assert len(pair.catalog.stored("ducklake_data_file", live)) == 4


def test_a_file_that_somebody_deleted_rows_of_is_not_taken_out(pair: Twins) -> None:
    stream = three_batches(pair)
    lake = pair.catalog
    lake.rows(f"DELETE FROM lakehouse.staging.{stream.landing_table} WHERE b = 1 AND filename LIKE '%/1-0.parquet'")
    with pytest.raises(DamageError):
        lake.committer.remove(stream, of_batch(pair, lake, stream, 1), reason=Removal.RETENTION)
    assert counts(lake, stream, "true") == 11


def test_a_committer_that_lost_the_lease_takes_nothing_out(own_pair: Twins) -> None:
    stream = three_batches(own_pair)
    lake = own_pair.catalog
    old, files = lake.committer, of_batch(own_pair, lake, stream, 0)
    lake.reopen()
    with pytest.raises(LeaseLostError):
        old.remove(stream, files, reason=Removal.RETENTION)
    assert counts(lake, stream, "true") == 12
