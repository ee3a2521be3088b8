"""A lake in memory: every commit is a new immutable state, as every DuckLake snapshot is (P7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Self

from lakeray.ports.catalog import ContractNotes, Known
from lakeray.ports.time import Clock
from lakeray.values import requirements
from lakeray.values.column_types import ColumnType, parse_type
from lakeray.values.enriched import EVERYTHING, EnrichOrder
from lakeray.values.errors import (
    CatalogError,
    DamageError,
    LakerayError,
    LeaseLostError,
    StorageError,
    TransformError,
    TransformMemoryError,
)
from lakeray.values.faults import FaultPoint
from lakeray.values.keys import file_day, is_registered_as_it_lies
from lakeray.values.model import (
    UNKNOWN_GENERATION,
    Accepted,
    BuildResult,
    CommitOutcome,
    CommitRequest,
    Contract,
    Cursor,
    FileGenerations,
    Landed,
    LastBatch,
    LeaseIs,
    LedgerEntry,
    LeftOut,
    LiveFile,
    Merged,
    MergedBy,
    ModelRun,
    Peak,
    PendingTransform,
    QuarantineEntry,
    QuarantineStatus,
    Rebuild,
    RebuildCounts,
    Refused,
    RegisteredPath,
    Rejected,
    RejectReason,
    Removal,
    RowWarning,
    RunRecord,
    StreamName,
    TableHealth,
    Unknown,
    Unreadable,
)
from lakeray.values.names import folded
from lakeray.values.origins import origin_of
from lakeray.values.refusals import other_key, other_type
from lakeray.values.type_growth import FieldPath, covers, grows, merged
from tests.support.fakes.records import Row, generation_of, is_damaged, newest_of, plain, rows_of, stamped
from tests.support.fakes.store import MemoryStore

SET_ASIDE_POINTS = ("after_quarantine", "during_forget", "after_forget")
"""Where a process may end while it sets a file aside, or forgets one that changed."""
CRASH_POINTS = (*map(str, FaultPoint), "during_transform", "after_mark", "during_remove", "during_delete")
"""Where a process may end: the named points of production, and a few inside the lake."""


class Crash(BaseException):
    """The process ended here. What the catalog and the storage hold stays; everything else is gone."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A registered file."""

    stream: StreamName
    key: str
    etag: str
    path: str
    snapshot: int
    rows: int
    origin: str
    left_out: tuple[FieldPath, ...] = ()
    oldest: int = UNKNOWN_GENERATION
    newest: int = UNKNOWN_GENERATION


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that one DuckLake snapshot shows."""

    snapshot: int
    at: datetime
    token: int = 0
    tables: Mapping[StreamName, Mapping[str, str]] = field(default_factory=dict)
    files: tuple[DataFile, ...] = ()
    ledger: tuple[tuple[StreamName, LedgerEntry], ...] = ()
    batches: tuple[tuple[StreamName, LastBatch], ...] = ()
    quarantine: Mapping[tuple[StreamName, str], QuarantineEntry] = field(default_factory=dict)
    cursors: Mapping[StreamName, Cursor] = field(default_factory=dict)
    processed: Mapping[StreamName, Mapping[Any, Row]] = field(default_factory=dict)
    processed_types: Mapping[StreamName, Mapping[str, str]] = field(default_factory=dict)
    """The columns of the processed tables: landing's, until a rebuild is ahead of it."""
    built_from: Mapping[StreamName, int] = field(default_factory=dict)
    project: str | None = None
    """The dbt project's fingerprint when the enriched models were last built."""
    existing: Mapping[StreamName, Mapping[str, str]] = field(default_factory=dict)
    runs: tuple[RunRecord, ...] = ()
    """What each stream's first plan listed: key to ETag."""
    returnable: frozenset[tuple[StreamName, str, int]] = frozenset()
    """Removed ledger entries whose keys may return: the stream, the key and the snapshot that registered it."""
    peaks: tuple[tuple[StreamName, Peak], ...] = ()
    merged_by: Mapping[StreamName, MergedBy] = field(default_factory=dict)
    left_out: Mapping[tuple[StreamName, str], LeftOut] = field(default_factory=dict)
    anew: frozenset[tuple[StreamName, str]] = frozenset()
    """Files whose rows, registered anew, replace the very same records when they are merged."""


class MemoryCatalog:
    """What outlives a process: the snapshots, the paths that wait for their deletion, and the faults to come."""

    def __init__(self, *, at: datetime, name: str = "one") -> None:
        self.name = name
        self.lake_id: str | None = None
        """Made with the first committer, as a lake on disk is."""
        self.snapshots: dict[int, State] = {0: State(snapshot=0, at=at)}
        self.scheduled: list[str] = []
        self.crash_at: str | None = None
        self.dies_of_damage = False
        """Whether a page that cannot be read ends the process, and is no error."""
        """The next time this point is reached, the process ends."""
        self.lose_answer: str | None = None
        """The next commit's answer is lost: ``landed`` or ``not_landed``."""
        self.fail_transform = False
        self.fail_enrich = False
        self.fail_expire = False
        self.most_rows: int | None = None
        """A transform of more rows than this runs out of memory; a single file of more rows always does."""
        self.merges: list[PendingTransform] = []
        """Every transform that was tried."""
        self.storage_fails = False
        """Reading a registered file fails, whatever it is."""

    @property
    def head(self) -> State:
        """The newest snapshot."""
        return self.snapshots[max(self.snapshots)]

    def commit(self, at: datetime, **changes: Any) -> State:
        """The next state, all of it at once."""
        state = replace(self.head, snapshot=self.head.snapshot + 1, at=at, **changes)
        self.snapshots[state.snapshot] = state
        return state

    def frozen(self) -> MemoryCatalog:
        """What it shows at this moment."""
        copy = MemoryCatalog(at=self.head.at, name=self.name)
        copy.lake_id = self.lake_id
        copy.snapshots = dict(self.snapshots)
        return copy

    def forget_processed(self, stream: StreamName) -> None:
        """The processed table loses its rows."""
        self.commit(self.head.at, processed={**self.head.processed, stream: {}})

    def reach(self, point: str) -> None:
        """End the process when the test said so."""
        if self.crash_at == point:
            self.crash_at = None
            raise Crash(point)


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except LakerayError as error:
        return error


class MemoryLake:
    """The ``CatalogReader`` and ``Committer`` ports of one process. A new one fences the older ones (P10)."""

    def __init__(self, catalog: MemoryCatalog, *, store: MemoryStore, clock: Clock) -> None:
        self.catalog = catalog
        self._store = store
        self._clock = clock
        self._token = catalog.head.token + 1
        catalog.lake_id = catalog.name
        catalog.commit(clock.now(), token=self._token)

    @classmethod
    def reading(cls, catalog: MemoryCatalog, *, store: MemoryStore, clock: Clock) -> Self:
        """A reader: it takes no token, and so writes nothing."""
        lake = cls.__new__(cls)
        lake.catalog, lake._store, lake._clock, lake._token = catalog, store, clock, -1
        return lake

    # ---- reading ---------------------------------------------------------------------------------------------------

    def lake_id(self) -> str | None:
        """The lake's id."""
        return self.catalog.lake_id

    def cursor(self, stream: StreamName) -> Cursor:
        """The stream's cursor and marks."""
        return self.catalog.head.cursors.get(stream, Cursor(stream=stream))

    def known(self, stream: StreamName, *, since: date | None) -> Mapping[str, Known]:
        """The ledger from a day on, by key: of each key the newest, unless it was taken out again by policy."""
        newest_of = {entry.key: entry for entry in self._ledger(stream) if since is None or entry.day >= since}
        return {
            entry.key: Known(etag=entry.etag, size_bytes=entry.size_bytes, live=entry.removed_at is None)
            for entry in newest_of.values()
            if (stream, entry.key, entry.snapshot) not in self.catalog.head.returnable
        }

    def known_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, Known]:
        """The same of some keys, whatever their day."""
        everything = MemoryLake.known(self, stream, since=None)
        return {key: everything[key] for key in keys if key in everything}

    def quarantined(self, stream: StreamName | None) -> Sequence[QuarantineEntry]:
        """The record of rejected files."""
        found = [entry for (name, _), entry in self.catalog.head.quarantine.items() if stream in (None, name)]
        return sorted(found, key=lambda entry: entry.key)

    def peaks(self, stream: StreamName) -> Sequence[Peak]:
        """What the newest merges needed."""
        return [peak for name, peak in reversed(self.catalog.head.peaks) if name == stream][:20]

    def generations(self, stream: StreamName) -> Mapping[str, FileGenerations]:
        """Of which generations the live files are."""
        return {
            file.key: FileGenerations(etag=file.etag, rows=file.rows, oldest=file.oldest, newest=file.newest)
            for file in self._files(stream)
        }

    def contract_notes(self, stream: StreamName) -> ContractNotes:
        """What was noted of the contract that the stream's tables were made by."""
        files = Counter(item.fields for item in self.left_out_files(stream) if item.refused is None)
        return ContractNotes(merged_by=self.catalog.head.merged_by.get(stream), left_out=dict(files))

    def left_out_files(self, stream: StreamName) -> Sequence[LeftOut]:
        """The live files of which fields were left out."""
        found = [item for (name, _), item in self.catalog.head.left_out.items() if name == stream]
        return sorted(found, key=lambda item: item.key)

    def processed_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The processed table's columns and types."""
        return self.catalog.head.processed_types.get(stream)

    def landing_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The landing table's columns and types."""
        return self.catalog.head.tables.get(stream)

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What was not merged yet (P12)."""
        mark = self.cursor(stream).transformed_snapshot
        above = [entry.snapshot for entry in self._ledger(stream) if entry.snapshot > mark]
        return PendingTransform(stream=stream, from_snapshot=min(above), to_snapshot=max(above)) if above else None

    def cleanable(self, stream: StreamName, *, before: date) -> Sequence[LedgerEntry]:
        """Live, transformed files of days before ``before`` (P13)."""
        mark = self.cursor(stream).transformed_snapshot
        return [
            entry
            for entry in self._ledger(stream)
            if entry.removed_at is None and entry.day < before and entry.snapshot <= mark
        ]

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of a range of days."""
        return [e for e in self._ledger(stream) if e.removed_at is None and first <= e.day <= last]

    def existing_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, str]:
        """What the stream's first plan listed of these keys, and under which ETags."""
        listed = self.catalog.head.existing.get(stream, {})
        return {key: listed[key] for key in keys if key in listed}

    def kept_files(self, stream: StreamName) -> int:
        """How many files left landing whose objects stay."""
        return sum(1 for entry in self._ledger(stream) if entry.removed_because == Removal.KEPT)

    def replaced_files(self, stream: StreamName) -> tuple[int, int]:
        """How many files newer generations have replaced, and how many rows these files brought."""
        rows = [entry.rows for entry in self._ledger(stream) if entry.removed_because == Removal.REPLACED]
        return len(rows), sum(rows)

    def totals(self, stream: StreamName) -> tuple[int, int | None]:
        """How many files were ever taken in, and the newest snapshot that registered one."""
        entries = self._ledger(stream)
        return len(entries), max((entry.snapshot for entry in entries), default=None)

    def last_batch(self, stream: StreamName) -> LastBatch | None:
        """The newest batch."""
        return next((batch for name, batch in reversed(self.catalog.head.batches) if name == stream), None)

    def history(self, key: str) -> Sequence[LedgerEntry]:
        """Every time the key was taken in, oldest first."""
        return [entry for _, entry in self.catalog.head.ledger if entry.key == key]

    def enriched_is_stale(self, *, project: str = "") -> bool:
        """Whether a processed table moved since the enriched models were last built, or the dbt project is another."""
        marks = self._marks()
        return marks != dict(self.catalog.head.built_from) or bool(
            marks and project and project != self.catalog.head.project
        )

    def planning_snapshot(
        self, streams: Sequence[StreamName], *, since_of: Callable[[Cursor], date | None]
    ) -> MemorySnapshot:
        """The bookkeeping at this moment: later commits do not show in it."""
        return MemorySnapshot.reading(self.catalog.frozen(), store=self._store, clock=self._clock)

    def releasable(self, *, older_than: datetime, keep_from: int | None) -> bool:
        """Whether clean-up has something to release: a snapshot that alone shows a file, or a deletion cut off."""
        kept_from = min(keep_from if keep_from is not None else 2**62, self.catalog.head.snapshot)
        gone = [s for n, s in self.catalog.snapshots.items() if n < kept_from and s.at < older_than]
        kept = {file.path for state in self.catalog.snapshots.values() if state not in gone for file in state.files}
        return bool(self.catalog.scheduled) or any(file.path not in kept for state in gone for file in state.files)

    def row_warnings(self) -> Sequence[RowWarning]:
        """Nothing: its rows all have keys, and its cursors are numbers."""
        return []

    def landing_paths(self, stream: StreamName) -> Sequence[RegisteredPath]:
        """The live data files of the landing table."""
        paths = [file.path for file in self._files(stream)]
        rows = {file.path: file.rows for file in self._files(stream)}
        return [
            RegisteredPath(path=path, times=paths.count(path), rows=rows[path] * paths.count(path))
            for path in dict.fromkeys(paths)
        ]

    def data_file_paths(self) -> Sequence[str]:
        """Every path that a snapshot shows, or that waits for its deletion."""
        shown = {file.path for state in self.catalog.snapshots.values() for file in state.files}
        return sorted(shown.union(self.catalog.scheduled))

    def live_files_below(self, place: str) -> Sequence[LiveFile]:
        """None: what is in memory is kept below no DATA_PATH."""
        return []

    def catalog_version(self) -> str | None:
        """No catalog format: this one is in memory."""
        return "in memory"

    def runs(self, *, each: int) -> Sequence[RunRecord]:
        """What is on record of runs, the newest first."""
        newest = reversed(self.catalog.head.runs)
        seen: Counter[StreamName] = Counter()
        kept = []
        for record in newest:
            seen[record.stream] += 1
            if seen[record.stream] <= each:
                kept.append(record)
        return kept

    def arrivals(self) -> Mapping[StreamName, Sequence[datetime]]:
        """When the files had come that are registered now, to the minute."""
        found: dict[StreamName, set[datetime]] = {}
        for file in self.catalog.head.files:
            found.setdefault(file.stream, set()).add(datetime.fromisoformat(f"{file.origin[:16]}:00+00:00"))
        return {stream: sorted(minutes) for stream, minutes in found.items()}

    def tables(self) -> Mapping[tuple[str, str], TableHealth]:
        """Every landing and processed table; a processed one counts as one file."""
        head = self.catalog.head
        landing = {
            ("staging", name.landing_table): (sum(file.rows for file in self._files(name)), len(self._files(name)))
            for name in head.tables
        }
        merged = {("main", name.processed_table): (len(rows), 1) for name, rows in head.processed.items()}
        return {
            name: TableHealth(rows=rows, data_files=files, delete_files=0, dead_rows=0)
            for name, (rows, files) in (landing | merged).items()
        }

    def all_peaks(self) -> Sequence[tuple[str, Peak]]:
        """Every merge that is on record."""
        return [(str(name), peak) for name, peak in self.catalog.head.peaks]

    # ---- writing ---------------------------------------------------------------------------------------------------

    def commit_group(self, requests: Sequence[CommitRequest]) -> Sequence[CommitOutcome | LakerayError]:
        """Register the batches, one after the other."""
        return [_answer(lambda item=item: self.commit(item)) for item in requests]

    def transform_group(self, pending: Sequence[PendingTransform]) -> Sequence[BuildResult | LakerayError]:
        """Merge exactly these rows, one stream after the other."""
        return [_answer(lambda item=item: self.transform(item)) for item in pending]

    def advance_group(self, merged: Sequence[Merged]) -> Sequence[LakerayError | None]:
        """Move the streams' marks, one after the other."""
        return [_answer(lambda item=item: self.advance(item.pending, peaks=item.peaks)) for item in merged]

    @property
    def token(self) -> int:
        """The fencing token."""
        return self._token

    def close(self) -> None:
        """Nothing is open."""

    def ensure_landing(self, stream: StreamName, contract: Contract) -> Sequence[str]:
        """Create the landing table or add its missing columns; a column with rows never becomes another type."""
        have = self.landing_columns(stream)
        if have is None:
            self._put_table(stream, {column.name: str(column.type) for column in contract.columns})
            self._note_key(stream, contract)
            return [f"created staging.{stream.landing_table} with {len(contract.columns)} columns"]
        wanted = dict(have)
        for column in contract.columns:
            name = next((own for own in have if folded(own) == folded(column.name)), column.name)
            old = parse_type(have[name]) if name in have else column.type
            new = merged(old, column.type)
            if not grows(old, new) and (self._files(stream) or self._processed_needs(stream, name, old, new)):
                raise other_type(stream, column, found=str(old))
            wanted[name] = str(new)
        if wanted != have:
            self._put_table(stream, wanted)
        self._note_key(stream, contract)
        return [
            f"changed {stream.landing_table}.{name} to {kind}"
            if name in have
            else f"added {stream.landing_table}.{name} {kind}"
            for name, kind in wanted.items()
            if have.get(name) != kind
        ]

    def _processed_needs(self, stream: StreamName, name: str, old: ColumnType, new: ColumnType) -> bool:
        """Whether rows were merged under the old type."""
        kind = (self.processed_columns(stream) or {}).get(name)
        return bool(self.processed_rows(stream)) and kind is not None and _is_of(parse_type(kind), old, new)

    def _note_key(self, stream: StreamName, contract: Contract) -> None:
        wanted, noted = contract.merged_by, self.catalog.head.merged_by.get(stream)
        if noted is not None and noted.allows(wanted) and wanted.cursor_type in (None, noted.cursor_type):
            return
        if noted is not None and not noted.allows(wanted) and self.processed_rows(stream):
            raise other_key(stream, noted, wanted)
        self._write(merged_by={**self.catalog.head.merged_by, stream: wanted})

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """Register one batch: all of it becomes visible with one new state, or nothing (P7, P8).

        As the catalog writer, it does not look at the objects again: they are registered as they were validated.
        """
        self.catalog.reach("before_commit")
        refused = self._fenced_off() or requirements.first_unmet(request.requirements, self._found(request))
        if refused is not None:
            return refused
        lost, self.catalog.lose_answer = self.catalog.lose_answer, None
        if lost == "not_landed":
            return Unknown(commit_id=request.commit_id, cause="the connection broke")
        self._leave_history({self._path(item) for item in request.files})
        state = self._register(request)
        self.catalog.reach("after_commit")
        if lost == "landed":
            return Unknown(commit_id=request.commit_id, cause="the connection broke")
        return Landed(snapshot=state.snapshot, request=request)

    def read_back(self, commit_id: str) -> Landed | None:
        """Whether the commit is in the catalog (P9)."""
        batches = self.catalog.head.batches
        return next((Landed(snapshot=batch.snapshot) for _, batch in batches if batch.commit_id == commit_id), None)

    def transform(self, pending: PendingTransform) -> BuildResult:
        """Merge exactly the rows that these snapshots inserted, newest first; the mark does not move (P12)."""
        self._fence()
        if self.catalog.fail_transform:
            raise TransformError(f"{pending.stream}: dbt failed", found="a model that does not compile")
        self.catalog.merges.append(pending)
        if pending.generation is not None:
            return self._replace(pending, pending.generation)
        if self.catalog.most_rows is not None and self._rows_of(pending) > self.catalog.most_rows:
            raise TransformMemoryError(f"{pending.stream}: DuckDB ran out of memory", found="a limit of rows")
        before = self.catalog.head.processed.get(pending.stream, {})
        try:
            if any(is_damaged(self._store.read(file.key)) for file in self._pending_files(pending)):
                if self.catalog.dies_of_damage:
                    raise Crash("transform")
                raise TransformError(f"{pending.stream}: dbt failed", found="a file that cannot be read")
            after = newest_of(
                [*before.values(), *self._inserted(pending)], key=self._key(pending.stream), again=self._again(pending)
            )
        except (FileNotFoundError, ValueError, DamageError) as error:
            raise TransformError(f"{pending.stream}: dbt failed", found=str(error)) from error
        self.catalog.reach("during_transform")
        merged_anew = {(file.stream, file.key) for file in self._pending_files(pending)}
        if after != before or merged_anew & self.catalog.head.anew:
            self._write(
                processed={**self.catalog.head.processed, pending.stream: after},
                processed_types={
                    **self.catalog.head.processed_types,
                    pending.stream: self._merged_types(pending.stream),
                },
                anew=self.catalog.head.anew - merged_anew,
            )
        self.catalog.reach("after_transform")
        return BuildResult(models=(pending.stream.processed_table,), rows_affected=len(after), seconds=0.0)

    def _replace(self, pending: PendingTransform, generation: int) -> BuildResult:
        """Rows of older generations leave; of their keys what stays is merged again (P16)."""
        stream, (part, parts) = pending.stream, pending.part
        before = self.catalog.head.processed.get(stream, {})
        older = {key for key, row in before.items() if generation_of(row) < generation and key % parts == part}
        if self.catalog.most_rows is not None and len(older) > self.catalog.most_rows:
            raise TransformMemoryError(f"{stream}: DuckDB ran out of memory", found="a limit of rows")
        try:
            files = [file for file in self._files(stream) if file.newest >= generation]
            rows = [row for file in files for row in stamped(self._rows(file), file.origin)]
        except DamageError as error:
            raise TransformError(f"{stream}: dbt failed", found=str(error)) from error
        again = newest_of(row for row in rows if row["pk"] in older and generation_of(row) >= generation)
        self.catalog.reach("during_transform")
        if older:
            kept = {key: row for key, row in before.items() if key not in older}
            built_from = {name: at for name, at in self.catalog.head.built_from.items() if name != stream}
            processed = {**self.catalog.head.processed, stream: kept | again}
            self._write(processed=processed, built_from=built_from)
        left = len(older) - len(again)
        ran = ModelRun(name=stream.processed_table, kind="model", status="success", rows=left, seconds=0.0)
        return BuildResult(models=(ran.name,), rows_affected=left, seconds=0.0, runs=(ran,))

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """Move transformed_through; never back (P11)."""
        self._mark(
            pending.stream, max(self.cursor(pending.stream).transformed_snapshot, pending.to_snapshot), peaks=peaks
        )
        self.catalog.reach("after_mark")

    def remember(self, stream: StreamName, peaks: Sequence[Peak]) -> None:
        """Keep the records of merges."""
        self._write(peaks=self._with_peaks(stream, peaks))

    def note_runs(self, records: Sequence[RunRecord]) -> None:
        """Keep what a run did."""
        if records:
            self._write(runs=(*self.catalog.head.runs, *records))

    def rewind(self, stream: StreamName, *, to_snapshot: int) -> None:
        """Move transformed_through back, for ``replay`` alone (P11)."""
        self._mark(stream, min(self.cursor(stream).transformed_snapshot, to_snapshot))

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal) -> int:
        """Take whole files out of the landing table (P13); those that moved need not be there (P14)."""
        gone, rows = self._registered_rows(stream, files)
        intact = [entry for entry in files if self._is_intact(entry)]
        if rows != sum(entry.rows for entry in files):
            expected = sum(entry.rows for entry in intact)
            if len(intact) == len(files) or self._registered_rows(stream, intact)[1] != expected:
                raise DamageError(f"{stream}: landing and ledger disagree", expected=str(expected), found=str(rows))
        self.catalog.reach("during_remove")
        self._write(
            files=tuple(file for file in self.catalog.head.files if file not in gone),
            **self._without(stream, files, reason),
        )
        if reason is Removal.KEPT:
            stay = [e.registered_path for e in files if is_registered_as_it_lies(e.registered_path, key=e.key)]
            self._leave_history(stay)
        self.catalog.reach("after_remove")
        return rows

    def forget(
        self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: Removal
    ) -> int:
        """Take files whose bytes are gone out of every snapshot: none could read them any more (P14)."""
        self._fence()
        rows = sum(file.rows for file in self._files(stream) if file.path in paths)
        self._leave_history(paths)
        self.catalog.reach("during_forget")
        self._write(**self._without(stream, entries, reason))
        self.catalog.reach("after_forget")
        return rows

    def streams(self) -> Sequence[StreamName]:
        """The streams of which files were taken in."""
        return sorted(self.catalog.head.cursors)

    def drop_stream(self, stream: StreamName) -> None:
        """Forget the stream; its raw files leave every snapshot, so that nothing deletes them."""
        self._fence()
        raw = {entry.registered_path for entry in self._ledger(stream)} | {file.path for file in self._files(stream)}
        self._leave_history(raw)
        head = self.catalog.head
        mappings = ("tables", "cursors", "processed", "processed_types", "built_from", "existing", "merged_by")
        changes: dict[str, Any] = {
            name: {key: value for key, value in getattr(head, name).items() if key != stream} for name in mappings
        }
        for name in ("quarantine", "left_out"):
            changes[name] = {key: value for key, value in getattr(head, name).items() if key[0] != stream}
        for name in ("ledger", "batches", "peaks"):
            changes[name] = tuple(item for item in getattr(head, name) if item[0] != stream)
        for name in ("returnable", "anew"):
            changes[name] = frozenset(item for item in getattr(head, name) if item[0] != stream)
        changes["runs"] = tuple(item for item in head.runs if item.stream != stream)
        self._write(**changes)

    def note_existing(self, stream: StreamName, etags: Mapping[str, str]) -> None:
        """Remember what the stream's first plan lists, unless that is remembered already."""
        if stream not in self.catalog.head.existing:
            self._write(existing={**self.catalog.head.existing, stream: dict(etags)})

    def reregister(self, stream: StreamName, entries: Sequence[LedgerEntry], *, reason: Removal, replaces: bool) -> int:
        """Take files out of landing that are about to be registered anew."""
        now = self._clock.now()
        held = {(stream, entry.key): _retried(entry, reason, now) for entry in entries}
        anew = frozenset((stream, entry.key) for entry in entries) if replaces else frozenset()
        self._write(quarantine={**self.catalog.head.quarantine, **held}, anew=self.catalog.head.anew | anew)
        rows = self.forget(stream, paths=[e.registered_path for e in entries], entries=entries, reason=reason)
        self.catalog.reach("after_forget")
        return rows

    def refuse_left_out(self, stream: StreamName, reasons: Mapping[str, str]) -> None:
        """Note why files cannot be registered with the fields that were left out."""
        refused = {
            (name, key): replace(item, refused=reasons[key]) if name == stream and key in reasons else item
            for (name, key), item in self.catalog.head.left_out.items()
        }
        self._write(left_out=refused)

    def rebuild(self, change: Rebuild, *, merged_through: int) -> BuildResult:
        """Make the processed table anew from its own rows and landing's."""
        stream = change.stream
        again = [file for file in self._files(stream) if file.snapshot <= merged_through] if change.orders_anew else []
        landed = [row for file in again for row in stamped(self._rows(file), file.origin)]
        own = self.catalog.head.processed.get(stream, {}).values()
        after = newest_of([*own, *landed], key=change.key)
        kept = change.cursor_type if change.notes_cursor_type else None
        noted = MergedBy(primary_key=change.key, newest_first=change.newest_first, cursor_type=kept)
        types = dict(self.processed_columns(stream) or {}) | {
            cast.column: str(cast.wanted) for cast in change.processed
        }
        self._write(
            processed={**self.catalog.head.processed, stream: after},
            processed_types={**self.catalog.head.processed_types, stream: types},
            merged_by={**self.catalog.head.merged_by, stream: noted},
            built_from={},
        )
        self.catalog.reach("after_rebuild")
        return BuildResult(models=(stream.processed_table,), rows_affected=len(after), seconds=0.0)

    def rebuild_counts(self, change: Rebuild, *, merged_through: int) -> RebuildCounts:
        """What a rebuild would do to the rows that are there."""
        own = list(self.catalog.head.processed.get(change.stream, {}).values())
        keyed = [row for row in own if any(row.get(name) is not None for name in change.key)]
        return RebuildCounts(
            rows=len(own),
            merging=len(keyed) - len(newest_of(keyed, key=change.key)),
            added=0,
            without_key=len(own) - len(keyed),
            failing=(),
        )

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> Unreadable | None:
        """Why the file cannot be read, when the reason is the file itself (P6)."""
        if self.catalog.storage_fails:
            raise StorageError(f"reading {entry.key} failed")
        now = self._store.head(entry.key)
        as_taken_in = now is not None and now.etag == entry.etag
        if not as_taken_in or not is_damaged(self._store.read(entry.key)):
            return None
        return Unreadable(reason=RejectReason.CORRUPT, detail="expected pages that can be read, found others")

    def quarantine(
        self,
        stream: StreamName,
        rejected: Sequence[Rejected],
        *,
        status: QuarantineStatus = QuarantineStatus.REJECTED,
    ) -> None:
        """Record files that were taken in as rejected (P6), or what is in their place as waiting (P14)."""
        now = self._clock.now()
        held = {(stream, item.file.key): _quarantined(item, now, status=status) for item in rejected}
        self._write(quarantine={**self.catalog.head.quarantine, **held})
        self.catalog.reach("after_quarantine")

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        """Let old snapshots go, then the objects that no snapshot shows any more (P13)."""
        snapshots = self.catalog.snapshots
        keep_from = self._keep_from()
        gone = [number for number in snapshots if number < keep_from and snapshots[number].at < older_than]
        kept = {file.path for number, state in snapshots.items() if number not in gone for file in state.files}
        freed = sorted({file.path for number in gone for file in snapshots[number].files} - kept)
        freed = [path for path in freed if not self._is_kept(path)]
        if dry_run:
            return list(self.catalog.scheduled)
        self._fence()
        if self.catalog.fail_expire:
            raise CatalogError("expiring DuckLake snapshots failed", found="no answer")
        self.catalog.reach("before_expire")
        for number in gone:
            del snapshots[number]
        self.catalog.scheduled.extend(path for path in freed if path not in self.catalog.scheduled)
        self.catalog.reach("after_expire")
        deleted: list[str] = []
        for path in filter(self._is_as_taken_in, list(self.catalog.scheduled)):
            self._store.delete(self._store.key_of(path))
            deleted.append(path)
            self.catalog.reach("during_delete")
        self.catalog.scheduled.clear()
        return deleted

    def enrich(self, order: EnrichOrder = EVERYTHING) -> BuildResult:
        """Remember what the enriched models were built from."""
        if not order.select and not order.full_refresh and not self.enriched_is_stale(project=order.project):
            return BuildResult(models=(), rows_affected=0, seconds=0.0)
        if self.catalog.fail_enrich:
            raise TransformError("enriched: dbt failed", found="a model that does not compile")
        if not order.select:
            project = order.project or self.catalog.head.project
            self._write(built_from=self._marks(), project=project)
        ran = ModelRun(name="fct_sales", kind="model", status="success", rows=0, seconds=0.0)
        return BuildResult(models=(ran.name,), rows_affected=0, seconds=0.0, runs=(ran,))

    def set_quarantine(self, keys: Sequence[str], *, status: str) -> Sequence[str]:
        """Mark quarantined files ``retry`` or ``ignored``."""
        have = self.catalog.head.quarantine
        found = [key for key in keys if any(name == key for _, name in have)]
        if found:
            self._write(quarantine={at: replace(e, status=status) if e.key in found else e for at, e in have.items()})
        return found

    # ---- looking, for tests ----------------------------------------------------------------------------------------

    def landing_rows(self, stream: StreamName) -> list[Row]:
        """Every row of the landing table, read from storage as a scan would.

        Raises:
            DamageError: an object that the table needs is gone or another one.
        """
        return [row for file in self._files(stream) for row in self._rows(file)]

    def processed_rows(self, stream: StreamName) -> dict[Any, Row]:
        """The processed table, by key: each record as it was delivered."""
        return {pk: plain(record) for pk, record in self.merged_rows(stream).items()}

    def merged_rows(self, stream: StreamName) -> dict[Any, Row]:
        """The same, with what of their order the records do not carry."""
        return dict(self.catalog.head.processed.get(stream, {}))

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _without(self, stream: StreamName, gone: Sequence[LedgerEntry], reason: Removal) -> dict[str, Any]:
        """The ledger with these entries removed, and whether their keys may return."""
        ids = {(entry.key, entry.snapshot) for entry in gone}
        ledger = tuple(
            (name, replace(entry, removed_at=self._clock.now(), removed_because=str(reason)))
            if name == stream and (entry.key, entry.snapshot) in ids
            else (name, entry)
            for name, entry in self.catalog.head.ledger
        )
        free = {(stream, *each) for each in ids} if reason.key_may_return else set()
        keys = {(stream, entry.key) for entry in gone}
        left_out = {at: item for at, item in self.catalog.head.left_out.items() if at not in keys}
        return {"ledger": ledger, "returnable": self.catalog.head.returnable | free, "left_out": left_out}

    def _merged_types(self, stream: StreamName) -> dict[str, str]:
        """The processed table's columns after a merge: landing's, but for those that a rebuild made already."""
        own, landing = self.processed_columns(stream) or {}, self.landing_columns(stream) or {}
        return {
            name: kind if name not in own or grows(parse_type(own[name]), parse_type(kind)) else own[name]
            for name, kind in landing.items()
        }

    def _key(self, stream: StreamName) -> tuple[str, ...]:
        """What the processed table is merged by."""
        noted = self.catalog.head.merged_by.get(stream)
        return ("pk",) if noted is None else noted.primary_key

    def _again(self, pending: PendingTransform) -> set[str]:
        """The raw ids of records whose files were registered anew: what they hold now replaces them."""
        files = [file for file in self._pending_files(pending) if (file.stream, file.key) in self.catalog.head.anew]
        return {row["raw_id"] for file in files for row in self._rows(file)}

    def _ledger(self, stream: StreamName) -> list[LedgerEntry]:
        return [entry for name, entry in self.catalog.head.ledger if name == stream]

    def _files(self, stream: StreamName) -> list[DataFile]:
        return [file for file in self.catalog.head.files if file.stream == stream]

    def _registered_rows(self, stream: StreamName, files: Sequence[LedgerEntry]) -> tuple[list[DataFile], int]:
        paths = {entry.registered_path for entry in files}
        found = [file for file in self._files(stream) if file.path in paths]
        return found, sum(file.rows for file in found)

    def _is_intact(self, entry: LedgerEntry) -> bool:
        now = self._store.head(entry.key)
        return now is not None and (now.etag, now.size_bytes) == (entry.etag, entry.size_bytes)

    def _rows(self, file: DataFile) -> list[dict[str, Any]]:
        found = self._store.head(self._store.key_of(file.path))
        if found is None or found.etag != file.etag:
            raise DamageError(f"{file.key}: the landing table cannot be read", expected=file.etag, found=str(found))
        hidden = {path[0] for path in file.left_out}
        rows = rows_of(self._store.read(self._store.key_of(file.path)))
        return [{name: value for name, value in row.items() if name not in hidden} for row in rows]

    def _inserted(self, pending: PendingTransform) -> list[Row]:
        """The rows of the pending files."""
        return [row for file in self._pending_files(pending) for row in stamped(self._rows(file), file.origin)]

    def _pending_files(self, pending: PendingTransform) -> list[DataFile]:
        """As ``ducklake_table_insertions``: by snapshot, also what a later one removed; else what is live."""
        ends = (pending.from_snapshot, pending.to_snapshot)
        if not all(number in self.catalog.snapshots for number in ends) or self._lost_files(pending):
            files = self._files(pending.stream)
        else:
            shown = [state for number, state in self.catalog.snapshots.items() if ends[0] <= number <= ends[1]]
            files = list(dict.fromkeys(file for state in shown for file in state.files))
        return [
            file
            for file in files
            if file.stream == pending.stream
            and ends[0] <= file.snapshot <= ends[1]
            and (not pending.paths or file.path in pending.paths)
        ]

    def _lost_files(self, pending: PendingTransform) -> bool:
        """Whether storage lost what these snapshots registered and landing shows no more."""
        return any(
            entry.removed_at is not None and not self._is_intact(entry)
            for entry in self._ledger(pending.stream)
            if pending.from_snapshot <= entry.snapshot <= pending.to_snapshot
        )

    def _rows_of(self, pending: PendingTransform) -> int:
        return sum(file.rows for file in self._pending_files(pending))

    def _with_peaks(self, stream: StreamName, peaks: Sequence[Peak]) -> tuple[tuple[StreamName, Peak], ...]:
        return self.catalog.head.peaks + tuple((stream, peak) for peak in peaks)

    def _marks(self) -> dict[StreamName, int]:
        cursors = self.catalog.head.cursors
        return {name: at.transformed_snapshot for name, at in cursors.items() if at.transformed_snapshot > 0}

    def _keep_from(self) -> int:
        """The oldest snapshot that a transform still has to read, and never above the newest."""
        waiting = [self.pending_transform(name) for name in self.catalog.head.cursors]
        return min([item.from_snapshot for item in waiting if item is not None] + [self.catalog.head.snapshot])

    def _fence(self) -> None:
        found = self.catalog.head.token
        if found != self._token:
            raise LeaseLostError("the lease is lost", expected=f"fencing token {self._token}", found=f"token {found}")

    def _write(self, **changes: Any) -> State:
        self._fence()
        return self.catalog.commit(self._clock.now(), **changes)

    def _put_table(self, stream: StreamName, columns: Mapping[str, str]) -> None:
        self._write(tables={**self.catalog.head.tables, stream: dict(columns)})

    def _mark(self, stream: StreamName, snapshot: int, *, peaks: Sequence[Peak] = ()) -> None:
        moved = replace(self.cursor(stream), transformed_snapshot=snapshot, updated_at=self._clock.now())
        self._write(cursors={**self.catalog.head.cursors, stream: moved}, peaks=self._with_peaks(stream, peaks))

    def _fenced_off(self) -> Refused | None:
        held = requirements.State(token=self.catalog.head.token, cursor_path=None, columns={})
        return requirements.unmet(LeaseIs(token=self._token), held)

    def _found(self, request: CommitRequest) -> requirements.State:
        head = self.catalog.head
        paths, live = {self._path(item) for item in request.files}, {file.path for file in head.files}
        return requirements.State(
            token=head.token,
            cursor_path=self.cursor(request.stream).path,
            columns=self.landing_columns(request.stream) or {},
            live_keys={entry.key for entry in self._ledger(request.stream) if entry.removed_at is None},
            live_paths=paths & live,
        )

    def _leave_history(self, paths: Collection[str]) -> None:
        """No snapshot shows these paths any more, and none waits for its deletion."""
        for number, state in list(self.catalog.snapshots.items()):
            kept = tuple(file for file in state.files if file.path not in paths)
            self.catalog.snapshots[number] = replace(state, files=kept)
        self.catalog.scheduled = [path for path in self.catalog.scheduled if path not in paths]

    def _is_kept(self, path: str) -> bool:
        """Whether the object that was registered last there stays."""
        ledger = reversed(self.catalog.head.ledger)
        entry = next((entry for _, entry in ledger if entry.registered_path == path), None)
        return entry is not None and entry.removed_because != Removal.RETENTION

    def _is_as_taken_in(self, path: str) -> bool:
        """Whether the object is gone or still the one that was registered last; else it is not ours to delete."""
        found = self._store.head(self._store.key_of(path))
        entry = next((entry for _, entry in reversed(self.catalog.head.ledger) if entry.registered_path == path), None)
        return found is None or entry is None or (found.etag, found.size_bytes) == (entry.etag, entry.size_bytes)

    def _path(self, item: Accepted) -> str:
        return item.registered_path or self._store.url(item.file.key)

    def _register(self, request: CommitRequest) -> State:
        head, now, stream = self.catalog.head, self._clock.now(), request.stream
        number = head.snapshot + 1
        entries = tuple(self._entry(request, item, number, now) for item in request.files)
        touched = {item.file.key for item in (*request.files, *request.rejected)}
        held = {at: entry for at, entry in head.quarantine.items() if not (at[0] == stream and at[1] in touched)}
        columns = dict(head.tables.get(stream, {}))
        for need in (need for item in request.files for need in item.needs):
            name = next((own for own in columns if folded(own) == folded(need.name)), need.name)
            columns[name] = str(merged(parse_type(columns[name]), need.type) if name in columns else need.type)
        left_out = {
            (stream, item.file.key): LeftOut(key=item.file.key, etag=item.file.etag, fields=item.left_out)
            for item in request.files
            if item.left_out
        }
        batch = LastBatch(
            batch_id=request.batch_id,
            commit_id=request.commit_id,
            snapshot=number,
            files=len(request.files),
            rows=request.rows,
            size_bytes=request.size_bytes,
            committed_at=now,
        )
        return self._write(
            tables={**head.tables, stream: columns},
            files=head.files
            + tuple(
                DataFile(
                    stream,
                    entry.key,
                    entry.etag,
                    entry.registered_path,
                    number,
                    entry.rows,
                    origin_of(item.file),
                    item.left_out,
                    *self._bounds(entry),
                )
                for entry, item in zip(entries, request.files, strict=True)
            ),
            left_out={**head.left_out, **left_out},
            ledger=head.ledger + tuple((stream, entry) for entry in entries),
            batches=(*head.batches, (stream, batch)),
            quarantine=held | {(stream, item.file.key): _quarantined(item, now) for item in request.rejected},
            cursors={
                **head.cursors,
                stream: replace(self.cursor(stream), path=request.cursor_path, updated_at=now),
            },
        )

    def _bounds(self, entry: LedgerEntry) -> tuple[int, int]:
        """The oldest and the newest generation of a file's rows."""
        now = self._store.head(entry.key)
        if now is None or now.etag != entry.etag:
            return UNKNOWN_GENERATION, UNKNOWN_GENERATION
        found = [generation_of(row) for row in rows_of(self._store.read(entry.key))] or [UNKNOWN_GENERATION]
        return min(found), max(found)

    def _entry(self, request: CommitRequest, item: Accepted, number: int, now: datetime) -> LedgerEntry:
        return LedgerEntry(
            key=item.file.key,
            etag=item.file.etag,
            size_bytes=item.file.size_bytes,
            rows=item.footer.rows,
            day=file_day(item.file),
            batch_id=request.batch_id,
            commit_id=request.commit_id,
            snapshot=number,
            registered_path=self._path(item),
            taken_at=now,
        )


class MemorySnapshot(MemoryLake):
    """The ``PlanningSnapshot`` port: the lake as it stood; nothing is written through it."""

    def landing_names(self, stream: StreamName) -> frozenset[str] | None:
        """The names of the landing table's columns."""
        columns = self.landing_columns(stream)
        return None if columns is None else frozenset(columns)

    def oldest_waiting(self) -> int | None:
        """The oldest snapshot that a transform of any stream still has to read."""
        waiting = [self.pending_transform(name) for name in self.catalog.head.cursors]
        return min((item.from_snapshot for item in waiting if item is not None), default=None)

    def oldest_merged_day(self, stream: StreamName) -> date | None:
        """The oldest day whose rows are live and merged."""
        return min((entry.day for entry in self.cleanable(stream, before=date.max)), default=None)


def _is_of(kind: ColumnType, old: ColumnType, new: ColumnType) -> bool:
    return covers(kind, old) and not covers(kind, new)


def _retried(entry: LedgerEntry, reason: Removal, now: datetime) -> QuarantineEntry:
    return QuarantineEntry(
        key=entry.key,
        etag=entry.etag,
        size_bytes=entry.size_bytes,
        reason=reason,
        detail="it left the landing table to be registered anew",
        status="retry",
        seen_at=now,
    )


def _quarantined(
    item: Rejected, now: datetime, *, status: QuarantineStatus = QuarantineStatus.REJECTED
) -> QuarantineEntry:
    return QuarantineEntry(
        key=item.file.key,
        etag=item.file.etag,
        size_bytes=item.file.size_bytes,
        reason=str(item.reason),
        detail=item.detail,
        status=status,
        seen_at=now,
    )
