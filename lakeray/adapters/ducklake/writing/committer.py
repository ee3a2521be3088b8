"""The only writer of the catalog, holding the lease's token (P10)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import duckdb

from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.catalog.attempts import AnswerLost
from lakeray.adapters.ducklake.duckdb_errors import first_line
from lakeray.adapters.ducklake.writing import compaction_guard
from lakeray.adapters.ducklake.writing.bookkeeping import ensure_bookkeeping
from lakeray.adapters.ducklake.writing.drop import drop_stream
from lakeray.adapters.ducklake.writing.extension_writer import RawStore
from lakeray.adapters.ducklake.writing.fenced import fenced
from lakeray.adapters.ducklake.writing.forget import forget, forget_to_register
from lakeray.adapters.ducklake.writing.landing import Landing, LandingDdl
from lakeray.adapters.ducklake.writing.merge_records import insert_peaks, insert_runs, set_row_group
from lakeray.adapters.ducklake.writing.recent_origins import RecentOrigins
from lakeray.adapters.ducklake.writing.registration import Registration, quarantine_rows
from lakeray.adapters.ducklake.writing.retention import DeletesRaw, Retention
from lakeray.ports.time import Clock
from lakeray.ports.transformer import Transformer
from lakeray.values.casts import cast_sql
from lakeray.values.column_types import quoted
from lakeray.values.enriched import EVERYTHING, EnrichedMarks, EnrichOrder
from lakeray.values.errors import CatalogError, DamageError, LakerayError, TransformError
from lakeray.values.faults import Fault, FaultPoint, no_fault
from lakeray.values.model import (
    BuildResult,
    Cast,
    CommitOutcome,
    CommitRequest,
    Contract,
    Landed,
    LedgerEntry,
    Merged,
    Peak,
    PendingTransform,
    QuarantineStatus,
    Rebuild,
    Rejected,
    Removal,
    RunRecord,
    StreamName,
    Unreadable,
)

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.catalog.writer import CatalogWriter

RENEW_AFTER = 50
"""Commits of one DuckDB. DuckLake keeps 10 kB of each snapshot that it saw, 170 kB where a table has 635 leaf columns,
until its DuckDB is closed; opening another takes 50 ms."""
_AGAIN = "Run the command again"
_STOPPED = "When it repeats: a process that is stopped in the middle of a commit keeps the catalog locked; end it"
_ADVANCE = (
    "UPDATE lakehouse.meta.feeder_cursors SET transformed_snapshot = greatest(transformed_snapshot, ?), updated_at = ? "
    "WHERE source = ? AND stream = ?"
)


Owned = Callable[[str, StreamName, Collection[str]], Collection[str]]
"""Of keys of a stream those whose objects the lake of an id may delete."""


def _owns_all(_lake: str, _stream: StreamName, keys: Collection[str]) -> Collection[str]:
    return keys


class Store(RawStore, DeletesRaw, Protocol):
    """The part of the object store that the committer needs."""


class Rereads(Protocol):
    """Reads registered files where their end is a verdict."""

    def unreadable(self, entry: LedgerEntry, landing: Mapping[str, str]) -> Unreadable | None:
        """Why the landing columns of the file cannot be read, when the reason is the file itself."""


class DuckLakeCommitter:
    """The ``Committer`` port. Make one only while holding the lease; it takes a new fencing token."""

    def __init__(
        self,
        backend: Backend,
        *,
        holder: str,
        clock: Clock,
        store: Store,
        transformer: Transformer,
        landing_ddl: LandingDdl,
        rereads: Rereads,
        fault: Fault = no_fault,
        writer: str = "auto",
        row_group_bytes: int = 0,
        owned: Owned = _owns_all,
    ) -> None:
        """Open the lake.

        Args:
            owned: which of a stream's raw objects the lake may delete; asked before it does.
            writer: ``auto``, ``catalog`` or ``extension``: who registers (``lake.writer``).
            row_group_bytes: what a thread collects before it writes a row group of a table in ``main``; 0 leaves it.
        """
        self._backend = backend
        self._clock = clock
        self._store = store
        self._transformer = transformer
        self._landing_ddl = landing_ddl
        self._fault = fault
        self._writes_by = writer
        self._row_group_bytes = row_group_bytes
        self._owned = owned
        self._commits = 0
        self._connection = self._connect()
        if ensure_bookkeeping(self._connection):
            self._connection.close()
            self._connection = self._connect()
        compaction_guard.guard(self._connection)
        self._token = self._take_token(holder)
        self._queries = backend.queries()
        self._rereads = rereads
        self._build()
        self._origins = RecentOrigins(lambda item: self._registration.path(item))

    def close(self) -> None:
        """Let the catalog go."""
        self._queries.close()
        self._let_go()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = connect(self._backend, read_only=False)
        if self._row_group_bytes:
            set_row_group(connection, self._row_group_bytes)
        return connection

    def _build(self) -> None:
        """Make what works on the connection."""
        connection, token, store, fault = self._connection, self._token, self._store, self._fault
        self._writer = None if self._writes_by == "extension" else self._open_writer()
        self._registration = Registration(
            connection,
            token=token,
            store=store,
            fault=fault,
            writer=self._writer,
            writer_only=self._writes_by == "catalog",
        )
        self._retention = Retention(
            connection,
            token=token,
            store=store,
            fault=fault,
            queries=self._queries,
            owned=lambda stream, keys: self._owned(self.lake_id, stream, keys),
            writer=self._writer,
        )
        self._landing = Landing(connection, token=token, ddl=self._landing_ddl)

    def _let_go(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._connection.close()

    def _renewed(self) -> None:
        """Work on another DuckDB, now and then: one keeps what DuckLake read of each snapshot as long as it lives."""
        self._commits += 1
        if self._commits % RENEW_AFTER:
            return
        fresh = self._connect()
        self._let_go()
        self._connection = fresh
        self._build()

    @functools.cached_property
    def lake_id(self) -> str:
        """The lake's id, made once with its catalog."""
        return str(self._query(sql.load("ducklake/lake_id"), [])[0][0])

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._token

    def ensure_landing(self, stream: StreamName, contract: Contract) -> Sequence[str]:
        """Create the landing table or add its missing columns; see what the processed table is merged by."""
        return self._landing.ensure(stream, contract, at=self._clock.now())

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """Register one batch (P7, P8)."""
        outcome: CommitOutcome = _only(self.commit_group([request]))
        return outcome

    def commit_group(self, requests: Sequence[CommitRequest]) -> Sequence[CommitOutcome | LakerayError]:
        """Register the batches, in one DuckLake snapshot where the catalog writer can (P7, P8)."""
        self._renewed()
        together = self._registration.commit_together(requests, at=self._clock.now())
        outcomes = [together.get(request.commit_id) or self._registered(request) for request in requests]
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Landed):
                self._origins.registered(outcome.request or request, snapshot=outcome.snapshot)
        return outcomes

    def read_back(self, commit_id: str) -> Landed | None:
        """Whether the commit is in the catalog (P9)."""
        return self._registration.read_back(commit_id)

    def transform(self, pending: PendingTransform) -> BuildResult:
        """Run dbt on exactly these rows (P12)."""
        built: BuildResult = _only(self.transform_group([pending]))
        return built

    def transform_group(self, pending: Sequence[PendingTransform]) -> Sequence[BuildResult | LakerayError]:
        """Run dbt once, on exactly these rows (P12)."""
        lost = {asked.stream: error for asked in pending if (error := self._lost(asked)) is not None}
        sound = [asked for asked in pending if asked.stream not in lost]
        built = iter(self._transformed(sound) if sound else ())
        return [lost.get(asked.stream) or next(built) for asked in pending]

    def _transformed(self, pending: Sequence[PendingTransform]) -> Sequence[BuildResult | LakerayError]:
        ends = {end for asked in pending for end in (asked.from_snapshot, asked.to_snapshot)}
        rows = self._query(
            "SELECT snapshot_id FROM lakehouse.snapshots() WHERE snapshot_id IN (SELECT unnest(?))", [list(ends)]
        )
        # table_insertions needs both ends unexpired; a replay may reach further back than they last.
        there = {row[0] for row in rows}
        expired = {asked.stream for asked in pending if not {asked.from_snapshot, asked.to_snapshot} <= there}
        pending = [self._origins.completed(asked) for asked in pending]
        outcomes = self._transformer.run_group(pending, by_rowscan=expired, token=self._token)
        again = {
            asked.stream
            for asked, outcome in zip(pending, outcomes, strict=True)
            if isinstance(outcome, TransformError) and asked.stream not in expired and self._lost_files(asked)
        }
        if not again:
            return outcomes
        # What a replay merges again may have left landing since, and storage too: the rest is merged all the same.
        rest = [asked for asked in pending if asked.stream in again]
        ended = iter(self._transformer.run_group(rest, by_rowscan=again, token=self._token))
        return [next(ended) if asked.stream in again else old for asked, old in zip(pending, outcomes, strict=True)]

    def _lost_files(self, asked: PendingTransform) -> bool:
        """Whether files that these snapshots registered left landing: `table_insertions` reads them all the same."""
        if asked.generation is not None:
            return False
        stream = asked.stream
        values = [stream.source, stream.stream, asked.from_snapshot, asked.to_snapshot]
        return bool(self._query(sql.load("ducklake/removed_between"), values)[0][0])

    def _lost(self, asked: PendingTransform) -> LakerayError | None:
        """Why the rows of some files cannot be told: other files hold them by now. Of all files it does not matter."""
        paths = self._query(sql.load("ducklake/lost_files"), [list(asked.paths)]) if asked.paths else []
        if not paths:
            return None
        return DamageError(
            f"{asked.stream}: files that are to be merged by themselves are not in the landing table any more",
            found=paths[0][0],
            todo="Nothing was merged. Somebody merged files of the landing table: run `lakeray doctor`",
        )

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """Move transformed_through; never back (P11). The records of the merges are in the same DuckLake snapshot."""
        _only(self.advance_group([Merged(pending=pending, peaks=tuple(peaks))]))

    def advance_group(self, merged: Sequence[Merged]) -> Sequence[LakerayError | None]:
        """Move the streams' transformed_through in one DuckLake snapshot; never back (P11)."""
        self._fault(FaultPoint.AFTER_TRANSFORM)
        message = ", ".join(f"{item.pending.stream}: transformed through {item.pending.to_snapshot}" for item in merged)
        at = self._clock.now()
        try:
            with self._fenced(message) as cursor:
                for item in merged:
                    stream = item.pending.stream
                    cursor.execute(_ADVANCE, [item.pending.to_snapshot, at, stream.source, stream.stream])
                    insert_peaks(cursor, stream, item.peaks, at=at)
        except (duckdb.Error, AnswerLost) as error:
            failed = CatalogError(message, found=first_line(error), todo=_AGAIN)
            return [failed] * len(merged)
        except LakerayError as error:
            return [error] * len(merged)
        for item in merged:
            self._origins.merged(item.pending)
        return [None] * len(merged)

    def remember(self, stream: StreamName, peaks: Sequence[Peak]) -> None:
        """Keep the records of merges without moving a mark (P5)."""
        message = f"{stream}: ran out of memory"
        try:
            with self._fenced(message) as cursor:
                insert_peaks(cursor, stream, peaks, at=self._clock.now())
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(message, found=first_line(error), todo=_AGAIN) from error

    def rewind(self, stream: StreamName, *, to_snapshot: int) -> None:
        """Move transformed_through back, for ``replay`` alone (P11)."""
        self._write(
            f"{stream}: replay from snapshot {to_snapshot}",
            "UPDATE lakehouse.meta.feeder_cursors SET transformed_snapshot = least(transformed_snapshot, ?), "
            "updated_at = ? WHERE source = ? AND stream = ?",
            [to_snapshot, self._clock.now(), stream.source, stream.stream],
        )

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal) -> int:
        """Take whole files out of the landing table (P13)."""
        return self._retention.remove(stream, files, reason=reason, at=self._clock.now())

    def forget(
        self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: Removal
    ) -> int:
        """Take files whose bytes are gone out of the catalog, whatever their objects are now (P14)."""
        return forget(
            self._connection,
            token=self._token,
            stream=stream,
            paths=paths,
            entries=entries,
            reason=reason,
            at=self._clock.now(),
        )

    def reregister(self, stream: StreamName, entries: Sequence[LedgerEntry], *, reason: Removal, replaces: bool) -> int:
        """Take files out of the landing table that the next commits, or the next feed, register anew."""
        rows = forget_to_register(
            self._connection,
            token=self._token,
            stream=stream,
            entries=entries,
            reason=reason,
            replaces=replaces,
            at=self._clock.now(),
        )
        self._fault(FaultPoint.AFTER_FORGET)
        return rows

    def rebuild(self, change: Rebuild, *, merged_through: int) -> BuildResult:
        """Make the processed table anew, in one DuckLake snapshot."""
        stream = change.stream
        plan = {
            "to": merged_through if change.orders_anew else None,
            "there": _as_sql(change.processed),
            "landing": _as_sql(change.landing),
            "note": [stream.source, stream.stream, json.dumps(change.key), json.dumps(change.newest_first)],
            "cursor_type": _cursor_type_to_note(change),
        }
        built = self._transformer.run_rebuild(stream, key=change.key, plan=plan, token=self._token)
        self._fault(FaultPoint.AFTER_REBUILD)
        return built

    def note_existing(self, stream: StreamName, etags: Mapping[str, str]) -> None:
        """Remember what the stream's first plan lists, unless that is remembered already (P13)."""
        import pyarrow as pa  # a million texts as values of a statement take DuckDB minutes

        listed = pa.table({"file_key": list(etags.keys()), "etag": list(etags.values())})
        message = f"{stream}: {len(etags)} file(s) were there before the first batch"
        try:
            with self._fenced(message) as cursor:
                cursor.register("listed", listed)
                cursor.execute(sql.load("ducklake/insert_existing"), {"source": stream.source, "stream": stream.stream})
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(message, found=first_line(error), todo=_AGAIN) from error

    def refuse_left_out(self, stream: StreamName, reasons: Mapping[str, str]) -> None:
        """Note why files cannot be registered with the fields that were left out."""
        named = {"source": stream.source, "stream": stream.stream}
        message = f"{stream}: fields of {len(reasons)} file(s) stay left out"
        try:
            with self._fenced(message) as cursor:
                for key, refused in reasons.items():
                    cursor.execute(sql.load("ducklake/refuse_left_out"), {**named, "key": key, "refused": refused})
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(message, found=first_line(error), todo=_AGAIN) from error

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> Unreadable | None:
        """Why the file cannot be read, when the reason is the file itself (P6)."""
        columns = self._query(sql.load("ducklake/columns"), ["staging", stream.landing_table])
        return self._rereads.unreadable(entry, {row[0]: row[1] for row in columns})

    def quarantine(
        self,
        stream: StreamName,
        rejected: Sequence[Rejected],
        *,
        status: QuarantineStatus = QuarantineStatus.REJECTED,
    ) -> None:
        """Record files that were taken in as rejected (P6), or what is in their place as waiting (P14)."""
        named = {"source": stream.source, "stream": stream.stream}
        rows = {**named, **quarantine_rows(rejected), "status": str(status), "seen_at": self._clock.now()}
        try:
            with self._fenced(f"{stream}: {len(rejected)} file(s) {status}") as cursor:
                cursor.execute(sql.load("ducklake/delete_quarantine"), {**named, "keys": rows["keys"]})
                cursor.execute(sql.load("ducklake/insert_quarantine"), rows)
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(f"{stream}: the quarantine", found=first_line(error), todo=_AGAIN) from error

    def note_runs(self, records: Sequence[RunRecord]) -> None:
        """Keep what a run did, in one DuckLake snapshot."""
        if not records:
            return
        message = f"run: {', '.join(f'{item.stream} {item.outcome}' for item in records)}"
        try:
            with self._fenced(message) as cursor:
                insert_runs(cursor, records)
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError("the record of the run", found=first_line(error), todo=_AGAIN) from error

    def drop_stream(self, stream: StreamName) -> None:
        """Drop the stream's tables and its bookkeeping; its raw files stay."""
        drop_stream(self._connection, token=self._token, stream=stream)

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        """Expire old DuckLake snapshots and clean up (P13)."""
        return self._retention.expire(older_than=older_than, dry_run=dry_run)

    def enrich(self, order: EnrichOrder = EVERYTHING) -> BuildResult:
        """Build the enriched models whose inputs or code changed since they were last built, or the selected ones."""
        processed: dict[str, int] = dict(self._query(sql.load("ducklake/streams_marks"), []))
        marks = EnrichedMarks.of(self._query(sql.load("ducklake/enriched_marks"), []))
        if not order.select and not order.full_refresh and not marks.are_behind(processed, project=order.project):
            return BuildResult(models=(), rows_affected=0, seconds=0.0)
        built = self._transformer.run_enriched(
            moved=list(processed) if order.full_refresh else marks.moved(processed),
            processed=list(processed),
            token=self._token,
            order=order,
            noted=marks.noted,
        )
        after = marks.after(order, processed=processed, built=built.models, codes=built.codes)
        if not after:
            return built
        gone = [] if order.select else sorted(marks.codes.keys() - built.codes.keys())
        try:
            with self._fenced("enriched models built") as cursor:
                cursor.execute(
                    "DELETE FROM lakehouse.meta.enriched_marks WHERE model IN (SELECT unnest(?))", [[*after, *gone]]
                )
                for model, text in after.items():
                    cursor.execute(
                        "INSERT INTO lakehouse.meta.enriched_marks VALUES (?, ?, ?)", [model, text, self._clock.now()]
                    )
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(
                "the enriched models are built, their mark is not written", found=first_line(error), todo=_AGAIN
            ) from error
        return built

    def set_quarantine(self, keys: Sequence[str], *, status: str) -> Sequence[str]:
        """Mark quarantined files ``retry`` or ``ignored``."""
        rows = self._query(
            "SELECT file_key FROM lakehouse.meta.quarantine WHERE file_key IN (SELECT unnest(?))", [list(keys)]
        )
        found = [row[0] for row in rows]
        if found:
            self._write(
                f"quarantine: {status}",
                "UPDATE lakehouse.meta.quarantine SET status = ? WHERE file_key IN (SELECT unnest(?))",
                [status, found],
            )
        return found

    def _registered(self, request: CommitRequest) -> CommitOutcome | LakerayError:
        try:
            return self._registration.commit(request, at=self._clock.now())
        except LakerayError as error:
            return error

    def _open_writer(self) -> CatalogWriter:
        # Arrow and numpy: a command that commits nothing does not pay for them.
        from lakeray.adapters.ducklake.catalog.writer import CatalogWriter

        session = self._backend.session(self._connection)
        return CatalogWriter(session, token=self._token, connection=self._connection, fault=self._fault)

    def _take_token(self, holder: str) -> int:
        with self._connection.cursor() as cursor:
            try:
                cursor.execute("BEGIN TRANSACTION")
                row = cursor.execute("SELECT max(token) FROM lakehouse.meta.committer").fetchone()
                token = 1 + (row[0] if row is not None and row[0] is not None else 0)
                cursor.execute("DELETE FROM lakehouse.meta.committer")
                cursor.execute(
                    "INSERT INTO lakehouse.meta.committer VALUES (?, ?, ?, 0)", [token, holder, self._clock.now()]
                )
                cursor.execute("COMMIT")
            except duckdb.Error as error:
                raise CatalogError(
                    "no fencing token could be taken", found=first_line(error), todo=f"{_AGAIN}. {_STOPPED}"
                ) from error
        return token

    def _fenced(self, message: str) -> Any:
        return fenced(self._connection, token=self._token, message=message)

    def _write(self, message: str, statement: str, values: list[Any]) -> None:
        try:
            with self._fenced(message) as cursor:
                cursor.execute(statement, values)
        except (duckdb.Error, AnswerLost) as error:
            raise CatalogError(message, found=first_line(error), todo=_AGAIN) from error

    def _query(self, statement: str, values: list[Any]) -> list[tuple[Any, ...]]:
        try:
            with self._connection.cursor() as cursor:
                return cursor.execute(statement, values).fetchall()
        except duckdb.Error as error:
            raise CatalogError("reading the lake's bookkeeping failed", found=first_line(error), todo=_AGAIN) from error


def _as_sql(casts: Sequence[Cast]) -> dict[str, str]:
    """By column, its value in the wanted type, NULL where it does not fit."""
    sql_of = {cast.column: cast_sql(quoted(cast.column), cast.found, cast.wanted) for cast in casts}
    return {column: value for column, value in sql_of.items() if value is not None}


def _cursor_type_to_note(change: Rebuild) -> tuple[str, str | None] | None:
    """The cursor and what it is compared as, None for its own type; nothing when what was kept of it stays."""
    if not change.newest_first or change.cursor_type is None:
        return None
    return change.newest_first[0], change.cursor_type if change.notes_cursor_type else None


def _only(answers: Sequence[Any]) -> Any:
    (answer,) = answers
    if isinstance(answer, LakerayError):
        raise answer
    return answer
