"""The live files of a table that is merged into, and whether what was seen of them still holds. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakeray.adapters.ducklake.catalog.attempts import NotProved

_CHANGE = re.compile(r'(?:[^,"]|"(?:[^"]|"")*")+')
"""One of the changes of a snapshot: a name in it may hold commas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteList:
    """The positions of a file's rows that are deleted: a Parquet file, of which there is one live one a data file."""

    delete_file_id: int
    path: str
    """As the catalog has it."""
    is_relative: bool
    """Below the table's folder."""
    count: int
    begin_snapshot: int
    """The first snapshot that deleted rows of the file."""
    has_snapshots: bool
    """Whether it says of each position which snapshot deleted it; else ``begin_snapshot`` did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFile:
    """A live data file."""

    data_file_id: int
    path: str
    is_relative: bool
    rows: int
    deleted: DeleteList | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFolder:
    """Where a table's own files are."""

    lake: str
    """The lake's folder or prefix, with the slash at its end."""
    below: str | None
    """The table's below it, with the slash at its end; None when it is elsewhere."""
    full: str

    def place(self, path: str, *, is_relative: bool) -> str:
        """The full path of a file of the table's."""
        return self.full + path if is_relative else path

    def scheduled(self, path: str, *, is_relative: bool) -> tuple[str, bool]:
        """A path as the table of files to delete has it: relative to the lake's folder, where it is below it."""
        if is_relative and self.below is not None:
            return self.below + path, True
        return self.place(path, is_relative=is_relative), False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """A table as one DuckLake snapshot shows it."""

    table_id: int
    snapshot: int
    schema_version: int
    folder: TableFolder
    files: Mapping[int, TableFile]
    """By id."""

    def still_holds(self, head: int, changes: Sequence[tuple[Any, ...]]) -> bool:
        """Whether the table is as it was, by the changes of all snapshots since; a missing one may be anything."""
        seen = {number for number, _ in changes}
        if seen != set(range(self.snapshot + 1, head + 1)):
            return False
        return not any(touches(made or "", self.table_id) for _, made in changes)


def touches(changes_made: str, table_id: int) -> bool:
    """Whether changes of a snapshot are about a table's rows or files, whatever they are called."""
    return any(change.rpartition(":")[2].strip() == str(table_id) for change in _CHANGE.findall(changes_made))


def folder_of(rows: Sequence[tuple[Any, ...]]) -> TableFolder:
    """The answer of ``table_folder``."""
    lake, schema, schema_below, table, table_below = rows[0]
    if not table_below:
        return TableFolder(lake=lake, below=None, full=table)
    if not schema_below:
        return TableFolder(lake=lake, below=None, full=schema + table)
    return TableFolder(lake=lake, below=schema + table, full=lake + schema + table)


def files_of(rows: Sequence[tuple[Any, ...]]) -> dict[int, TableFile]:
    """The answer of ``table_files``, by id.

    Raises:
        NotProved: a list is of another kind than this code writes.
    """
    found: dict[int, TableFile] = {}
    for number, path, is_relative, count, *deleted in rows:
        if number in found:
            raise NotProved(f"data file {number} has several delete lists")
        found[number] = TableFile(
            data_file_id=number,
            path=path,
            is_relative=bool(is_relative),
            rows=count,
            deleted=None if deleted[0] is None else _list_of(deleted),
        )
    return found


def _list_of(row: Sequence[Any]) -> DeleteList:
    number, path, is_relative, kind, count, begin, newest = row
    if kind != "parquet":
        raise NotProved(f"delete list {number} is of the format {kind}")
    return DeleteList(
        delete_file_id=number,
        path=path,
        is_relative=bool(is_relative),
        count=count,
        begin_snapshot=begin,
        has_snapshots=newest is not None,
    )
