"""Taking rows and objects out, through the catalog alone (P13)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import BookkeepingQueries
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost, CatalogFailed, NotProved, until_landed
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.adapters.ducklake.writing.forget import forget, insert_removals, leave_catalog, leave_landing, unschedule
from lakeray.values.column_types import quoted
from lakeray.values.enriched import EnrichedMarks
from lakeray.values.errors import CatalogError, DamageError
from lakeray.values.faults import Fault, FaultPoint
from lakeray.values.keys import is_registered_as_it_lies
from lakeray.values.model import LedgerEntry, Removal, SourceFile, StreamName
from lakeray.values.names import OWN_PREFIX, same_name

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog.writer import CatalogWriter

_CHUNK = 1000
"""Files per DuckLake snapshot, and per DELETE: DuckDB plans a longer list of names slowly."""
_ASIDE = quoted(f"{OWN_PREFIX}filename")
_LOOKS = 32
"""Objects that are looked up at once."""


class DeletesRaw(Protocol):
    """The part of the object store that clean-up needs."""

    def url(self, key: str) -> str:
        """What is registered for a raw object."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""

    def delete(self, key: str) -> None:
        """Delete one object; one that is gone already is no error."""


@dataclass(frozen=True, slots=True)
class _Scheduled:
    """A raw object whose registration is about to go."""

    path: str
    key: str
    etag: str
    size_bytes: int
    reason: str | None
    """Why its rows left landing; None when lakeray did not remove them."""
    source: str
    stream: str

    @property
    def is_raw(self) -> bool:
        """Whether the path is the object itself, and no converted copy of it."""
        return is_registered_as_it_lies(self.path, key=self.key)

    @property
    def may_go(self) -> bool:
        """Whether the raw object may be deleted: by its own removal, whatever else took it out of landing."""
        return self.reason == Removal.RETENTION


class Retention:
    """Removal and expiry on one connection, holding one fencing token."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        token: int,
        store: DeletesRaw,
        fault: Fault,
        queries: BookkeepingQueries,
        owned: Callable[[StreamName, Collection[str]], Collection[str]],
        writer: CatalogWriter | None = None,
    ) -> None:
        """Clean up.

        Args:
            owned: of a stream's keys those whose objects the lake may delete; asked before it does (P13).
            queries: what the catalog's database answers by itself; DuckLake is asked the rest.
            writer: takes files out of the catalog without reading them; None, and what it cannot, is for DuckLake.
        """
        self._owned = owned
        self._writer = writer
        self._queries = queries
        self._connection = connection
        self._token = token
        self._store = store
        self._fault = fault

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal, at: datetime) -> int:
        """Take whole files out of landing; returns the rows that went.

        Metadata only: every row of a file goes, so no delete file is written. By the catalog writer nothing is read.
        DuckLake's DELETE opens every file of the landing table; of those to go, one that vanished or was overwritten
        is forgotten instead, which needs no read (P14).

        Raises:
            DamageError: the landing table does not hold the rows that the ledger says; nothing was removed.
            CatalogError: the catalog failed.
        """
        removed = 0
        for chunk in _chunks(files):
            written = self._written(stream, chunk, reason=reason, at=at)
            if written is not None:
                removed += written
                continue
            try:
                removed += self._remove_chunk(stream, chunk, reason=reason, at=at)
            except (duckdb.Error, AnswerLost, DamageError) as error:
                intact, others = self._parted(chunk)
                if not others:
                    raise _cut_off(stream, error) from error
                paths = [entry.registered_path for entry in others]
                removed += forget(
                    self._connection,
                    token=self._token,
                    stream=stream,
                    paths=paths,
                    entries=others,
                    reason=reason,
                    at=at,
                )
                removed += self._remove_intact(stream, intact, reason=reason, at=at)
        self._fault(FaultPoint.AFTER_REMOVE)
        return removed

    def expire(self, *, older_than: datetime, dry_run: bool) -> list[str]:
        """Expire DuckLake snapshots that no consumer waits for, then let storage lose what none of them shows.

        Raises:
            DamageError: a path that is scheduled for deletion is still in use; nothing was deleted.
            LeaseLostError: another committer took over; nothing was expired.
            CatalogError: the catalog or the storage failed.
        """
        try:
            with self._connection.cursor() as cursor:
                return self._expire(cursor, older_than=older_than, dry_run=dry_run)
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(
                "expiring DuckLake snapshots failed", found=first_line(error), todo="Run `lakeray clean` again"
            ) from error

    def _written(
        self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal, at: datetime
    ) -> int | None:
        """The removal by the writer; None when it is for DuckLake's DELETE, which then says what is wrong, if anything.

        Raises:
            CatalogError: the catalog failed.
        """
        writer = self._writer
        if writer is None:
            return None
        try:
            return until_landed(lambda: writer.remove(stream, files, reason=reason, at=at))
        except NotProved:
            return None
        except (CatalogFailed, AnswerLost) as error:
            raise _cut_off(stream, error) from error

    def _remove_intact(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal, at: datetime) -> int:
        try:
            return self._remove_chunk(stream, files, reason=reason, at=at) if files else 0
        except (duckdb.Error, AnswerLost) as error:
            raise _cut_off(stream, error) from error

    def _remove_chunk(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal, at: datetime) -> int:
        paths = [entry.registered_path for entry in files]
        wanted = sum(entry.rows for entry in files)
        marks = ", ".join("?" for _ in paths)
        table = f"lakehouse.staging.{quoted(stream.landing_table)}"
        with fenced(self._connection, token=self._token, message=f"{stream}: {reason}, {len(files)} file(s)") as cursor:
            columns = cursor.execute(sql.load("ducklake/columns"), ["staging", stream.landing_table]).fetchall()
            hiding = [quoted(name) for name, _ in columns if same_name(name, "filename")]
            # A column of that name would be asked for the paths, and DELETE takes no names for a table's columns.
            for name in hiding:
                cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {name} TO {_ASIDE}")
            row = cursor.execute(f"DELETE FROM {table} WHERE filename IN ({marks})", paths).fetchone()
            for name in hiding:
                cursor.execute(f"ALTER TABLE {table} RENAME COLUMN {_ASIDE} TO {name}")
            found = 0 if row is None else int(row[0])
            if found != wanted:
                raise DamageError(
                    f"{stream}: the landing table and the ledger disagree about {len(files)} file(s)",
                    expected=f"{wanted:,} rows",
                    found=f"{found:,} rows",
                    todo="Nothing was removed. Run `lakeray doctor`",
                )
            insert_removals(cursor, stream, files, reason=reason, at=at)
        if reason is Removal.KEPT:  # cut off before this, the next expiry of ours lets them go
            stay = [
                path for path, entry in zip(paths, files, strict=True) if is_registered_as_it_lies(path, key=entry.key)
            ]
            leave_landing(self._connection, stream, stay)
        return found

    def _parted(self, files: Sequence[LedgerEntry]) -> tuple[list[LedgerEntry], list[LedgerEntry]]:
        """Entries whose registered bytes are as they were, and the others."""
        with ThreadPoolExecutor(_LOOKS) as pool:
            found = list(pool.map(lambda entry: self._store.head(entry.key), files))
        intact: list[LedgerEntry] = []
        others: list[LedgerEntry] = []
        for entry, now in zip(files, found, strict=True):
            same = now is not None and (now.etag, now.size_bytes) == (entry.etag, entry.size_bytes)
            converted = not is_registered_as_it_lies(entry.registered_path, key=entry.key)
            (intact if same or converted else others).append(entry)
        return intact, others

    def _expire(self, cursor: duckdb.DuckDBPyConnection, *, older_than: datetime, dry_run: bool) -> list[str]:
        keep = self._rows(cursor, "keep_from", [])
        keep_from = keep[0][0] if keep and keep[0][0] is not None else 2**62
        marks = EnrichedMarks.of(self._rows(cursor, "enriched_marks", []))
        unread = marks.keep_from(dict(self._rows(cursor, "streams_marks", [])))
        keep_from = keep_from if unread is None else min(keep_from, unread)
        named = {"older_than": older_than, "keep_from": keep_from}
        ((_, _, kept_from),) = self._rows(cursor, "expirable_from_to", named)
        # The oldest ones alone: where a clock went back, a younger snapshot may be due before an older one.
        snapshots = [number for (number,) in self._rows(cursor, "expirable", named) if number < kept_from]
        if not dry_run and (snapshots or self._rows(cursor, "anything_scheduled", [])):
            with fenced(self._connection, token=self._token, message="about to expire snapshots"):
                pass  # a stale committer stops here
        if snapshots and not dry_run:
            self._let_kept_go(cursor, kept_from=kept_from)
            self._fault(FaultPoint.BEFORE_EXPIRE)
            cursor.execute("CALL ducklake_expire_snapshots('lakehouse', versions => ?)", [snapshots])
            self._fault(FaultPoint.AFTER_EXPIRE)
        if not self._rows(cursor, "anything_scheduled", []):
            return []
        live = self._rows(cursor, "scheduled_and_live", [])
        if live:
            raise DamageError(
                "a file that is in use is scheduled for deletion",
                found=str(live[0][0]),
                todo="Nothing was deleted. Run `lakeray doctor`",
            )
        rows = cursor.execute("CALL ducklake_cleanup_old_files('lakehouse', dry_run => true, cleanup_all => true)")
        scheduled = [str(row[0]) for row in rows.fetchall()]
        if dry_run:
            stay = {item.path for item in self._raw_objects(cursor, scheduled) if self._stays(item)}
            return [path for path in scheduled if path not in stay]
        if not scheduled:
            return []
        return self._clean_up(cursor, scheduled)

    def _let_kept_go(self, cursor: duckdb.DuckDBPyConnection, *, kept_from: int) -> None:
        """Take raw objects that stay out of the catalog, when no DuckLake snapshot shows them from ``kept_from`` on.

        There are some where an earlier version removed them, or DuckLake's DELETE was cut off. Before the expiry: it
        schedules for deletion what it finds, and then anybody's clean-up deletes it. Cut off in between, the snapshots
        that are about to go show the files no more, and the next run goes on.
        """
        ended = self._rows(cursor, "shown_no_more", {"kept_from": kept_from})
        kept = {item.path for item in self._raw_objects(cursor, [path for _, path in ended]) if self._stays(item)}
        leave_catalog(cursor, [number for number, path in ended if path in kept])

    def _raw_objects(self, cursor: duckdb.DuckDBPyConnection, paths: Sequence[str]) -> list[_Scheduled]:
        return [_Scheduled(*row) for row in self._rows(cursor, "scheduled_raw", [list(paths)])] if paths else []

    def _stays(self, item: _Scheduled) -> bool:
        """Whether the path is a raw object that stays; a converted copy of one goes."""
        return item.is_raw and not item.may_go

    def _rows(
        self, cursor: duckdb.DuckDBPyConnection, name: str, values: list[Any] | dict[str, Any]
    ) -> list[tuple[Any, ...]]:
        rows = self._queries.rows(name, values)
        return cursor.execute(sql.load(f"ducklake/{name}"), values).fetchall() if rows is None else rows

    def _clean_up(self, cursor: duckdb.DuckDBPyConnection, scheduled: list[str]) -> list[str]:
        raw = self._raw_objects(cursor, scheduled)
        _spare_unremoved(cursor, raw)
        mine, foreign = self._parted_by_owner([item for item in raw if item.may_go])
        ours, others = self._still_ours(mine)
        spared = {item.path for item in (*others, *foreign) if item.is_raw}
        spared |= {item.path for item in raw if self._stays(item)}  # somebody else expired snapshots
        unschedule(cursor, sorted(spared))
        # Before DuckLake's own clean-up: cut off in between, the next run finds the same files scheduled.
        originals = [item.key for item in ours if not item.is_raw]
        for key in originals:
            self._store.delete(key)
        self._fault(FaultPoint.AFTER_ORIGINALS)
        cursor.execute("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")
        return [path for path in scheduled if path not in spared] + [self._store.url(key) for key in originals]

    def _parted_by_owner(self, scheduled: Sequence[_Scheduled]) -> tuple[list[_Scheduled], list[_Scheduled]]:
        """What this lake may delete, and what is another one's by now."""
        own: set[str] = set()
        for named in sorted({(item.source, item.stream) for item in scheduled}):
            keys = {item.key for item in scheduled if (item.source, item.stream) == named}
            own |= set(self._owned(StreamName(*named), keys))
        mine = [item for item in scheduled if item.key in own]
        return mine, [item for item in scheduled if item.key not in own]

    def _still_ours(self, scheduled: Sequence[_Scheduled]) -> tuple[list[_Scheduled], list[_Scheduled]]:
        """Objects that are still what was taken in, and keys that Airbyte has written anew: those are not ours."""
        with ThreadPoolExecutor(_LOOKS) as pool:
            found = list(pool.map(lambda item: self._store.head(item.key), scheduled))
        ours: list[_Scheduled] = []
        others: list[_Scheduled] = []
        for item, now in zip(scheduled, found, strict=True):
            same = now is None or (now.etag, now.size_bytes) == (item.etag, item.size_bytes)
            (ours if same else others).append(item)
        return ours, others


def _spare_unremoved(cursor: duckdb.DuckDBPyConnection, scheduled: Sequence[_Scheduled]) -> None:
    """Take off DuckLake's list what lakeray did not remove.

    Raises:
        DamageError: there was such a file.
    """
    paths = sorted(item.path for item in scheduled if item.reason is None)
    if not paths:
        return
    unschedule(cursor, paths)
    raise DamageError(
        f"{len(paths)} file(s) of landing were to be deleted, and lakeray did not remove them",
        found=paths[0],
        todo="They are off DuckLake's list, and nothing was deleted. Somebody merged files of a landing table, or "
        "deleted rows of it: run `lakeray doctor`",
    )


def _chunks(files: Sequence[LedgerEntry]) -> Iterator[Sequence[LedgerEntry]]:
    for at in range(0, len(files), _CHUNK):
        yield files[at : at + _CHUNK]


def _cut_off(stream: StreamName, error: BaseException) -> BaseException:
    if isinstance(error, DamageError):
        return error
    return CatalogError(
        f"{stream}: clean-up was cut off", found=first_line(error), todo="Run it again: it goes on from here"
    )
