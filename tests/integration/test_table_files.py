"""What a merge knows of a table's files, and the rows that it writes of deletes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakeray.adapters.ducklake.catalog.attempts import NotProved
from lakeray.adapters.ducklake.catalog.delete_rows import Deletes, WrittenList, steps
from lakeray.adapters.ducklake.catalog.session import Rows
from lakeray.adapters.ducklake.catalog.table_files import TableState, files_of, folder_of, touches

AT = datetime(2026, 3, 1, tzinfo=UTC)
NO_LIST = (None,) * 7
FOLDER = folder_of([("s3://lake/", "main/", 1, "t/", 1)])


def state(*files: tuple[object, ...], snapshot: int = 10) -> TableState:
    return TableState(table_id=3, snapshot=snapshot, schema_version=1, folder=FOLDER, files=files_of(files))


def test_a_change_is_of_the_table_whose_number_it_ends_with() -> None:
    assert touches("inserted_into_table:31,deleted_from_table:3", 3)
    assert touches("some_compaction_to_come:3", 3)
    assert not touches("inserted_into_table:31", 3)
    assert not touches('created_table:"main"."a,inserted_into_table:3"', 3)
    assert not touches("", 3)


def test_what_was_seen_holds_while_every_snapshot_since_is_known_and_about_other_tables() -> None:
    seen = state()
    assert seen.still_holds(10, [])
    assert seen.still_holds(12, [(11, "inserted_into_table:4"), (12, None)])
    assert not seen.still_holds(12, [(11, "inserted_into_table:4"), (12, "deleted_from_table:3")])
    assert not seen.still_holds(12, [(12, "inserted_into_table:4")])


@pytest.mark.parametrize(
    ("row", "full", "scheduled"),
    [
        (("/l/", "main/", 1, "t/", 1), "/l/main/t/x", ("main/t/x", True)),
        (("/l/", "/else/", 0, "t/", 1), "/else/t/x", ("/else/t/x", False)),
        (("/l/", "main/", 1, "/far/t/", 0), "/far/t/x", ("/far/t/x", False)),
    ],
)
def test_a_table_may_lie_outside_the_lakes_folder(
    row: tuple[object, ...], full: str, scheduled: tuple[str, bool]
) -> None:
    folder = folder_of([row])
    assert folder.place("x", is_relative=True) == full
    assert folder.scheduled("x", is_relative=True) == scheduled
    assert folder.scheduled("/own/x", is_relative=False) == ("/own/x", False)


def test_lists_that_are_not_ours_to_replace_are_refused() -> None:
    with pytest.raises(NotProved, match="puffin"):
        files_of([(1, "a", 1, 5, 9, "d", 1, "puffin", 1, 4, None)])
    with pytest.raises(NotProved, match="several delete lists"):
        files_of([(1, "a", 1, 5, 8, "d", 1, "parquet", 1, 4, None), (1, "a", 1, 5, 9, "e", 1, "parquet", 1, 4, 6)])


def test_a_list_that_replaces_one_is_there_since_the_first_and_the_old_one_waits_for_deletion() -> None:
    seen = state((1, "a", 1, 5, 8, "old", 1, "parquet", 1, 4, None), (2, "b", 1, 5, *NO_LIST), (5, "c", 1, 5, *NO_LIST))
    assert seen.files[1].deleted is not None
    assert not seen.files[1].deleted.has_snapshots
    deletes = Deletes(lists=[written(1, "new", 3), written(2, "first", 2)], ended=[5])
    found = steps(deletes, state=seen, snapshot=11, first_id=21, at=AT)
    removed, scheduled, rows, files, lists = found
    assert not isinstance(removed, Rows) and not isinstance(scheduled, Rows)
    assert removed[1] == [[8]]
    assert scheduled[1] == [8, "main/t/old", True, "2026-03-01 00:00:00+00"]
    assert isinstance(rows, Rows)
    columns = ("delete_file_id", "data_file_id", "begin_snapshot", "partial_max", "delete_count")
    assert [tuple(row[name] for name in columns) for row in rows.rows.to_pylist()] == [
        (21, 1, 4, 11, 3),
        (22, 2, 11, None, 2),
    ]
    assert not isinstance(files, Rows) and not isinstance(lists, Rows)
    assert files[1] == lists[1] == [11, [5]]


def test_nothing_is_written_of_no_deletes() -> None:
    assert steps(Deletes(), state=state(), snapshot=11, first_id=21, at=AT) == []
    assert not Deletes()


def written(of: int, path: str, count: int) -> WrittenList:
    return WrittenList(of=of, path=path, count=count, size_bytes=100, footer_bytes=50)
