"""Compaction that somebody forced upon our tables, or that was never off, as in a lake of an earlier version (P13)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakeray.values.errors import DamageError
from lakeray.values.model import PendingTransform, Removal, StreamStatus
from tests.contract.lakes import CONTRACT, EVER, OnDisk
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, row
from tests.support.real.lake import Lake

A, B, C = (key_for(date(2026, 3, day)) for day in (1, 2, 3))
COMPACT_META = "CALL lakehouse.set_option('auto_compact', true, schema => 'meta')"
COMPACT_STAGING = "CALL lakehouse.set_option('auto_compact', true, schema => 'staging')"
COMPACT_LANDING = (
    f"CALL lakehouse.set_option('auto_compact', true, schema => 'staging', table_name => '{STREAM.landing_table}')"
)
FLUSH = "CALL ducklake_flush_inlined_data('lakehouse', schema_name => 'meta')"
MERGE = f"CALL ducklake_merge_adjacent_files('lakehouse', '{STREAM.landing_table}', schema => 'staging')"
EXPIRE = "CALL ducklake_expire_snapshots('lakehouse', older_than => now())"


class Worked:
    """A lake of two files, each in a DuckLake snapshot of its own, and a DuckDB of somebody else's."""

    def __init__(self, folder: Path, extension_directory: Path, *, writer: str) -> None:
        self.lake = OnDisk(folder, extension_directory, writer=writer)
        (folder / "extensions").symlink_to(extension_directory)
        self._plain = Lake(folder)
        self.lake.committer.ensure_landing(STREAM, CONTRACT)
        for number, key in enumerate((A, B)):
            self.lake.put(key, row(1, key, cursor=number), row(10 + number, key))
            self.lake.take_in(key)
        self.rows = self.lake.landing()

    def by_others(self, *statements: str) -> list[list[tuple[Any, ...]]]:
        """What each statement answers."""
        with self._plain.connection(read_only=False) as connection:
            return [connection.execute(statement).fetchall() for statement in statements]


@pytest.fixture(params=["catalog", "extension"])
def worked(request: pytest.FixtureRequest, tmp_path: Path, extension_directory: Path) -> Iterator[Worked]:
    found = Worked(tmp_path / "lake", extension_directory, writer=request.param)
    yield found
    found.lake.close()


def test_a_flushed_bookkeeping_is_for_ducklake_alone_from_then_on(worked: Worked) -> None:
    lake, before = worked.lake, worked.lake.state()[1:]
    assert worked.by_others(COMPACT_META, FLUSH)[1]
    assert lake.state()[1:] == before
    lake.put(C, row(1, C, cursor=7))
    report = lake.feed()
    if lake.writer == "catalog":
        assert report.error is not None and report.error["kind"] == "catalog"
        assert "was flushed" in report.error["found"] and "lake.writer=auto" in report.error["todo"]
        assert (lake.landing(), lake.reader.known(STREAM, since=None).keys()) == (worked.rows, {A, B})
        lake.writer = "auto"
        lake.committer = lake.reopen()
        report = lake.feed()
    assert report.status is StreamStatus.OK
    assert lake.landing() == sorted([*worked.rows, (1, C)])
    assert lake.processed()[1] == (7, C)


def test_the_next_committer_takes_compaction_away_again(worked: Worked) -> None:
    worked.by_others(COMPACT_META, COMPACT_STAGING, COMPACT_LANDING)
    worked.lake.reopen()
    assert worked.by_others(FLUSH, MERGE) == [[], []]


def test_raw_objects_whose_rows_somebody_merged_are_not_deleted(worked: Worked) -> None:
    lake = worked.lake
    lake.merge()
    assert worked.by_others(COMPACT_STAGING, MERGE)[1]
    with pytest.raises(DamageError, match="lakeray did not remove them"):
        lake.committer.expire(older_than=EVER)
    lake.committer.expire(older_than=EVER)
    assert lake.keys() == {A, B}
    assert lake.landing() == worked.rows


def test_the_retention_removes_no_row_that_somebody_moved(worked: Worked) -> None:
    lake = worked.lake
    lake.merge()
    worked.by_others(COMPACT_STAGING, MERGE)
    entries = lake.reader.registered(STREAM, first=date.min, last=date.max)
    with pytest.raises(DamageError, match="disagree"):
        lake.committer.remove(STREAM, entries, reason=Removal.RETENTION)
    assert lake.landing() == worked.rows
    assert lake.reader.registered(STREAM, first=date.min, last=date.max) == entries


@pytest.mark.parametrize("expired", [False, True])
def test_rows_that_somebody_moved_are_merged_once_and_none_is_left_out(worked: Worked, expired: bool) -> None:
    """By files they cannot be told any more: their names are gone. That is refused, for it would merge nothing."""
    lake = worked.lake
    worked.by_others(COMPACT_STAGING, MERGE, *([EXPIRE] if expired else []))
    pending = lake.reader.pending_transform(STREAM)
    assert pending is not None
    by_file = PendingTransform(
        stream=STREAM, from_snapshot=pending.from_snapshot, to_snapshot=pending.to_snapshot, paths=(lake.store.url(A),)
    )
    with pytest.raises(DamageError, match="doctor"):
        lake.committer.transform(by_file)
    assert lake.reader.pending_transform(STREAM) == pending
    lake.merge()
    assert lake.processed() == {1: (1, B), 10: (0, A), 11: (0, B)}
