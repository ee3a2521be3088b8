"""Reading the lake's bookkeeping through DuckLake. Needs no lease, and waits for no writer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.duckdb_errors import first_line, lacks_bookkeeping, lacks_column
from lakeray.adapters.ducklake.reading import rebuild_counts
from lakeray.adapters.ducklake.reading.file_generations import file_generations
from lakeray.adapters.ducklake.reading.inlined_books import InlinedBooks
from lakeray.adapters.ducklake.reading.planning_snapshot import (
    BookkeepingSnapshot,
    contract_notes,
    left_out_of,
    peak_of,
    quarantine_entry,
    run_of,
)
from lakeray.adapters.ducklake.sql.earlier import in_duckdb
from lakeray.ports.catalog import ContractNotes, Known
from lakeray.values.column_types import quoted
from lakeray.values.enriched import EnrichedMarks
from lakeray.values.errors import CatalogError, NoLakeError
from lakeray.values.model import (
    Cursor,
    FileGenerations,
    LastBatch,
    LedgerEntry,
    LeftOut,
    LiveFile,
    Peak,
    PendingTransform,
    QuarantineEntry,
    Rebuild,
    RebuildCounts,
    RegisteredPath,
    Removal,
    RowWarning,
    RunRecord,
    StreamName,
    TableHealth,
)

if TYPE_CHECKING:
    import duckdb


_ASKED = 1000
"""Keys that are asked about by name, at most."""


class DuckLakeReader:
    """The ``CatalogReader`` port, for any number of threads. A lake that does not exist yet reads as an empty one."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._queries = backend.queries()
        self._books = InlinedBooks() if backend.keeps_rows_as_text else None
        self._opening = Lock()

    def close(self) -> None:
        """Let the catalog go."""
        self._queries.close()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def lake_id(self) -> str | None:
        """The lake's id."""
        rows = self._rows("lake_id", [])
        return str(rows[0][0]) if rows else None

    def planning_snapshot(
        self, streams: Sequence[StreamName], *, since_of: Callable[[Cursor], date | None]
    ) -> BookkeepingSnapshot:
        """The bookkeeping of these streams at this moment, each from the day that ``since_of`` its cursor says."""
        return BookkeepingSnapshot(streams, fetch=self._rows, since_of=since_of)

    def cursor(self, stream: StreamName) -> Cursor:
        """The stream's cursor and marks."""
        rows = self._rows("cursor", [stream.source, stream.stream])
        if not rows:
            return Cursor(stream=stream)
        path, transformed, updated_at = rows[0]
        return Cursor(stream=stream, path=path, transformed_snapshot=transformed or 0, updated_at=_utc(updated_at))

    def known(self, stream: StreamName, *, since: date | None) -> Mapping[str, Known]:
        """The ledger from a day on, by key."""
        rows = self._rows("known", {**_named(stream), "since": since})
        return {key: Known(etag=etag, size_bytes=size, live=live) for key, etag, size, live in rows}

    def known_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, Known]:
        """The ledger of these keys."""
        rows = self._rows("known_among", {**_named(stream), "keys": list(keys)})
        return {key: Known(etag=etag, size_bytes=size, live=live) for key, etag, size, live in rows}

    def quarantined(self, stream: StreamName | None) -> Sequence[QuarantineEntry]:
        """The record of rejected files."""
        named = {"source": None, "stream": None} if stream is None else _named(stream)
        return [quarantine_entry(row[2:]) for row in self._rows("quarantined", named)]

    def peaks(self, stream: StreamName) -> Sequence[Peak]:
        """What the newest merges needed; nothing in a lake that an earlier version made, until a committer opens it."""
        return [peak_of(row) for row in self._rows("peaks", [stream.source, stream.stream])]

    def generations(self, stream: StreamName) -> Mapping[str, FileGenerations]:
        """Of which generations the rows of the stream's live files are, by key (P16)."""
        return file_generations(self._rows, stream)

    def all_peaks(self) -> list[tuple[str, Peak]]:
        """Every merge that is on record, the oldest first, with its stream's name."""
        return [(row[0], peak_of(row[1:])) for row in self._rows("all_peaks", [])]

    def contract_notes(self, stream: StreamName) -> ContractNotes:
        """What was noted of the contract that the stream's tables were made by."""
        return contract_notes(self._rows).get(stream, ContractNotes())

    def left_out_files(self, stream: StreamName) -> Sequence[LeftOut]:
        """The live files of which fields were left out."""
        return [left_out_of(row) for row in self._rows("left_out", _named(stream))]

    def streams(self) -> Sequence[StreamName]:
        """The streams of which files were taken in."""
        return sorted(StreamName(row[0], row[1]) for row in self._rows("all_cursors", []))

    def processed_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The processed table's columns and types."""
        rows = self._rows("columns", ["main", stream.processed_table])
        return dict(rows) if rows else None

    def landing_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The landing table's columns and types."""
        rows = self._rows("columns", ["staging", stream.landing_table])
        return dict(rows) if rows else None

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet (P12)."""
        mark = self.cursor(stream).transformed_snapshot
        rows = self._rows("pending_transform", [stream.source, stream.stream, mark])
        if not rows or rows[0][0] is None:
            return None
        return PendingTransform(stream=stream, from_snapshot=rows[0][0], to_snapshot=rows[0][1])

    def cleanable(self, stream: StreamName, *, before: date) -> Sequence[LedgerEntry]:
        """Live, transformed files of days before ``before`` (P13)."""
        mark = self.cursor(stream).transformed_snapshot
        return self._entries("cleanable", [stream.source, stream.stream, before, mark])

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of a range of days."""
        return self._entries("registered", [stream.source, stream.stream, first, last])

    def existing_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, str]:
        """What the stream's first plan listed of these keys, and under which ETags (P13)."""
        if len(keys) > _ASKED:  # a list of a million texts takes DuckDB longer than the table
            wanted = set(keys)
            return {key: etag for key, etag in self._rows("existing", _named(stream)) if key in wanted}
        return dict(self._rows("existing_among", {**_named(stream), "keys": list(keys)})) if keys else {}

    def kept_files(self, stream: StreamName) -> int:
        """How many files left landing whose objects stay."""
        return self._removed(stream, Removal.KEPT)

    def replaced_files(self, stream: StreamName) -> tuple[int, int]:
        """How many files newer generations have replaced, and how many rows these files brought (P16)."""
        if not self._removed(stream, Removal.REPLACED):
            return 0, 0
        ((files, rows),) = self._rows("replaced_files", {**_named(stream), "reason": str(Removal.REPLACED)})
        return files, rows

    def _removed(self, stream: StreamName, reason: Removal) -> int:
        rows = self._rows("kept_files", {**_named(stream), "reason": str(reason)})
        return rows[0][0] if rows else 0

    def totals(self, stream: StreamName) -> tuple[int, int | None]:
        """How many files were ever taken in, and the newest snapshot that registered one."""
        rows = self._rows("totals", [stream.source, stream.stream])
        return (rows[0][0], rows[0][1]) if rows else (0, None)

    def last_batch(self, stream: StreamName) -> LastBatch | None:
        """The newest batch."""
        rows = self._rows("last_batch", [stream.source, stream.stream])
        if not rows:
            return None
        batch_id, commit_id, snapshot, files, count, size, at = rows[0]
        return LastBatch(
            batch_id=batch_id,
            commit_id=commit_id,
            snapshot=snapshot,
            files=files,
            rows=count,
            size_bytes=size,
            committed_at=_utc(at),
            registered_by=self._registered_by(snapshot),
        )

    def _registered_by(self, snapshot: int) -> str | None:
        rows = self._rows("registered_by", [snapshot])
        extra: dict[str, str] = json.loads(rows[0][0]) if rows and rows[0][0] else {}
        return extra.get("registered_by")

    def history(self, key: str) -> Sequence[LedgerEntry]:
        """Every time the key was taken in, oldest first."""
        return self._entries("history", [key])

    def enriched_is_stale(self, *, project: str = "") -> bool:
        """Whether a processed table, or the dbt project, is another one since the enriched models were last built."""
        return self._enriched_marks().are_behind(self.processed_marks(), project=project)

    def processed_marks(self) -> dict[str, int]:
        """transformed_through of every stream that has one."""
        return dict(self._rows("streams_marks", []))

    def releasable(self, *, older_than: datetime, keep_from: int | None) -> bool:
        """Whether clean-up has something to release: it was cut off, or its grace period has ended since (P13, P15).

        Args:
            older_than: DuckLake snapshots from then on are kept.
            keep_from: DuckLake snapshots from this one on are kept; None when nobody waits for any.
        """
        unread = self._enriched_marks().keep_from(self.processed_marks())
        first = min(keep_from or 2**62, unread or 2**62)
        rows = self._rows("expirable_from_to", {"older_than": older_than, "keep_from": first})
        if not rows:
            return False
        scheduled, oldest, kept = rows[0]
        if scheduled or oldest is None or kept <= oldest:
            return bool(scheduled)
        return bool(self._rows("shown_only_before", [kept])[0][0])

    def row_warnings(self) -> Sequence[RowWarning]:
        """What merges had to say of rows; nothing in a lake of an earlier version until a committer opens it."""
        rows = self._rows("row_warnings", [])
        return [RowWarning(table=table, kind=kind, path=path, rows=count) for table, kind, path, count in rows]

    def landing_paths(self, stream: StreamName) -> Sequence[RegisteredPath]:
        """The live data files of the landing table, as the catalog has them."""
        rows = self._rows("landing_paths", [stream.landing_table])
        return [RegisteredPath(path=path, times=times, rows=int(count)) for path, times, count in rows]

    def data_file_paths(self) -> Sequence[str]:
        """Every path that the catalog knows of a file, absolute or relative to its table."""
        return [row[0] for row in self._rows("data_file_paths", [])]

    def live_files_below(self, place: str) -> Sequence[LiveFile]:
        """The live files of every table that are kept below DATA_PATH."""
        return [
            LiveFile(schema=row[0], table=row[1], path=row[2])
            for row in self._rows("live_files_below", {"place": place})
        ]

    def catalog_version(self) -> str | None:
        """DuckLake's catalog format; None when there is no lake yet."""
        rows = self._fetch("SELECT value FROM lakehouse.options() WHERE option_name = 'version'", [])
        return str(rows[0][0]) if rows else None

    def rebuild_counts(self, change: Rebuild, *, merged_through: int) -> RebuildCounts:
        """What a rebuild would do to the rows that are there."""
        stream = change.stream
        places = [("staging", stream.landing_table), ("main", stream.processed_table)]
        places.append(("main", f"{stream.processed_table}__tombstones"))
        tables = {table: [row[0] for row in self._rows("columns", [schema, table])] for schema, table in places}
        return rebuild_counts.count(
            change, tables=tables, ask=lambda statement: self._fetch(statement, []), merged_through=merged_through
        )

    def runs(self, *, each: int) -> Sequence[RunRecord]:
        """What is on record of runs, the newest first; nothing in a lake of an earlier version until it is fed."""
        return [run_of(row) for row in self._rows("runs", {"each": each})]

    def arrivals(self) -> Mapping[StreamName, Sequence[datetime]]:
        """When the files of each stream that were taken in had come, to the minute."""
        found: dict[StreamName, list[datetime]] = {}
        for source, stream, minute in self._rows("arrivals", []):
            found.setdefault(StreamName(source, stream), []).append(datetime.fromisoformat(f"{minute}:00+00:00"))
        return found

    def tables(self) -> Mapping[tuple[str, str], TableHealth]:
        """Every table and view of ``staging`` and ``main``.

        Its rows by its files, where these are all: DuckLake's own count looks through the files of every table.
        """
        return {
            (schema, table): TableHealth(
                rows=int(rows) if all_of_them else self._counted(schema, table),
                data_files=data_files,
                delete_files=delete_files,
                dead_rows=dead_rows,
            )
            for schema, table, rows, all_of_them, data_files, delete_files, dead_rows in self._rows("tables", [])
        }

    def _counted(self, schema: str, table: str) -> int:
        return int(self._fetch(f"SELECT count(*) FROM lakehouse.{quoted(schema)}.{quoted(table)}", [])[0][0])

    def _enriched_marks(self) -> EnrichedMarks:
        return EnrichedMarks.of(self._rows("enriched_marks", []))

    def _entries(self, name: str, values: list[Any]) -> Sequence[LedgerEntry]:
        return [_entry(row) for row in self._rows(name, values)]

    def _rows(self, name: str, values: list[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        rows = self._queries.rows(name, values)
        return self._fetch(sql.load(f"ducklake/{name}"), values) if rows is None else rows

    def _fetch(self, statement: str, values: list[Any] | dict[str, Any]) -> list[tuple[Any, ...]]:
        if not self._is_there():
            return []
        assert self._connection is not None
        import duckdb

        try:
            with self._connection.cursor() as cursor:
                rows = None if self._books is None else self._books.rows(cursor, statement, values)
                return cursor.execute(statement, values).fetchall() if rows is None else rows
        except duckdb.Error as error:
            if lacks_bookkeeping(error):
                return []  # the first committer is about to make it
            earlier = in_duckdb(statement) if lacks_column(error) else statement
            if earlier != statement:
                return self._fetch(earlier, values)
            raise CatalogError(
                "reading the lake's bookkeeping failed", found=first_line(error), todo="Run the command again"
            ) from error

    def _is_there(self) -> bool:
        with self._opening:
            return self._connection is not None or self._opened()

    def _opened(self) -> bool:
        if not self._backend.exists():
            return False
        try:
            self._connection = connect(self._backend, read_only=True)
        except NoLakeError:
            return False
        return True


def _named(stream: StreamName) -> dict[str, Any]:
    return {"source": stream.source, "stream": stream.stream}


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


def _entry(row: tuple[Any, ...]) -> LedgerEntry:
    key, etag, size, rows, day, batch_id, commit_id, snapshot, path, taken_at, removed_at, because = row
    return LedgerEntry(
        key=key,
        etag=etag,
        size_bytes=size,
        rows=rows,
        day=day,
        batch_id=batch_id,
        commit_id=commit_id,
        snapshot=snapshot,
        registered_path=path,
        taken_at=_utc(taken_at),
        removed_at=None if removed_at is None else _utc(removed_at),
        removed_because=because,
    )
