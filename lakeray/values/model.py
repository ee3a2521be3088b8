"""The values that lakeray's steps hand to each other.

All of them are frozen, keyword-only and slotted: a value is made once and read by many. Unions are closed; match
them with ``typing.assert_never``. Sizes are bytes, durations are seconds, times are aware (UTC) datetimes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import assert_never

from lakeray.values.column_types import ColumnType
from lakeray.values.memory import DEFAULT, Factor
from lakeray.values.type_growth import FieldPath


@dataclass(frozen=True, slots=True, order=True)
class StreamName:
    """A source and one of its streams, in Airbyte's sense: ``shopify/orders``."""

    source: str
    stream: str

    def __str__(self) -> str:
        return f"{self.source}/{self.stream}"

    @property
    def slug(self) -> str:
        """The name as part of an identifier: ``shopify__orders``; also the dbt tag of its models."""
        return f"{self.source}__{self.stream}"

    @property
    def landing_table(self) -> str:
        """The landing table's name in schema ``staging``."""
        return f"stg_{self.slug}"

    @property
    def processed_table(self) -> str:
        """The processed table's name in schema ``main``; also the dbt model's name."""
        return f"int_{self.slug}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One raw object, as a listing shows it (P1: its identity is key, ETag and size)."""

    key: str
    """Relative to the raw prefix, ``shopify/orders/year=2026/…/part_0.parquet``; any character may occur in it."""
    etag: str
    size_bytes: int
    last_modified: datetime
    problem: str = ""
    """Why nobody can ask for the object by its name; empty for all but a few, whose key is shown percent-encoded."""

    @property
    def identity(self) -> tuple[str, str, int]:
        """(key, ETag, size): two files with the same identity hold the same bytes."""
        return (self.key, self.etag, self.size_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a stream has come: a hint for listing and the two marks (P2, P11)."""

    stream: StreamName
    path: str | None = None
    """The newest key taken in, by (day, key); None before the first batch."""
    transformed_snapshot: int = 0
    """transformed_through: every row registered at or below this DuckLake snapshot has been merged (inclusive)."""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column's name, as written, and its type."""

    name: str
    type: ColumnType
    copied: bool = False
    """Of a file's column: DuckLake takes it for another type than DuckDB reads, so only a copy can be registered."""


class ObjectPolicy(StrEnum):
    """What happens when a registered object vanished or became another one (P14)."""

    REPORT = "report"
    """The stream goes on and tells it. The rows of a changed object leave landing, and the new object waits."""
    DROP = "drop"
    """The rows leave the landing table; a changed object is then taken in as the new file that it is."""
    FAIL = "fail"


class OnNewColumn(StrEnum):
    """What happens to a file that has a column the landing table lacks."""

    ADD = "add"
    IGNORE = "ignore"
    QUARANTINE = "quarantine"


class OnTypeChange(StrEnum):
    """What happens to a file whose column has a type that the landing table cannot hold."""

    QUARANTINE = "quarantine"
    FAIL = "fail"


class OnMissingColumn(StrEnum):
    """What happens to a file that lacks a column of the landing table."""

    NULL = "null"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The columns and types that a landing table accepts, and the policy for files that differ."""

    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    newest_first: tuple[str, ...] = ()
    """The cursor, and what stands in for it: the first that is not null says how new a record is."""
    cursor_type: str | None = None
    """The DuckDB type that the cursor is compared as; None: its own, or of a text what was found and kept."""
    declared: tuple[Column, ...] | None = None
    """The columns as the stream's config has them; None when ``columns`` are. What a file brought may still grow."""
    on_new_column: OnNewColumn = OnNewColumn.ADD
    on_type_change: OnTypeChange = OnTypeChange.QUARANTINE
    on_missing_column: OnMissingColumn = OnMissingColumn.NULL
    excluded: tuple[str, ...] = ()
    """Paths of fields that are never taken, whatever the policy (exclusion.py)."""

    @property
    def merged_by(self) -> MergedBy:
        """What the processed table's rows are compared by under this contract."""
        return MergedBy(primary_key=self.primary_key, newest_first=self.newest_first, cursor_type=self.cursor_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a Parquet footer says of its file."""

    rows: int
    row_groups: int
    columns: tuple[Column, ...]
    compressed_bytes: int
    uncompressed_bytes: int
    largest_group_bytes: int = 0
    """Uncompressed bytes of the largest row group; 0 when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The memory and size limits that a plan obeys (P5)."""

    allowed_bytes: int
    """What the rows of a batch may use in one process, inclusive."""
    reserved_bytes: int
    """What the process uses beside them: interpreter, libraries, catalog."""
    target_bytes: int
    """A batch's compressed size aims at this; a batch never exceeds it unless it is one file."""
    max_files: int
    """A batch never holds more files than this (inclusive)."""
    max_in_flight: int
    """How many batches may be validated ahead of the committer (inclusive)."""
    leaves: int = 0
    """Columns without parts in the stream's contract: writing each of them takes memory, whatever the rows."""
    threads: int = 1
    """DuckDB's, when it merges the stream."""
    row_group_bytes: int = 0
    """What each thread collects before it writes a row group."""
    fixed_bytes: int = 0
    """What merging any batch of the stream takes, the smallest one as well."""

    @property
    def ceiling_bytes(self) -> int:
        """What a process of ours never exceeds, resident, inclusive: allowed + reserved."""
        return self.allowed_bytes + self.reserved_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Files that are committed as one DuckLake snapshot (P7)."""

    id: str
    """A digest of the sorted (key, ETag): same files, same id (P1)."""
    stream: StreamName
    files: tuple[SourceFile, ...]
    size_bytes: int
    projected_bytes: int
    """The projected peak memory of transforming the batch; after its validation, by its footers."""
    validation_bytes: int = 0
    """The projected peak memory of validating it; what its Ray task asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversize:
    """A file that does not fit the budget even alone, with the numbers (P5)."""

    file: SourceFile
    projected_bytes: int
    allowed_bytes: int
    """Allowed + reserved: what ``projected_bytes`` would have to fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A registered key whose object is now another one (P14)."""

    file: SourceFile
    registered_etag: str
    registered_size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """A listing of one stream, sorted out (P3, P4, P14)."""

    new: tuple[SourceFile, ...] = ()
    too_late: tuple[SourceFile, ...] = ()
    """New, but of a day older than the horizon (P4)."""
    skipped: tuple[SourceFile, ...] = ()
    """Rejected or ignored before, and unchanged since (P6)."""
    changed: tuple[Changed, ...] = ()
    waiting: tuple[SourceFile, ...] = ()
    """Objects in the place of files that changed and were forgotten: an operator decides about them (P14)."""
    vanished: tuple[str, ...] = ()
    listed_files: int = 0
    newest_day: date | None = None
    """Of all files that were listed."""
    live_files: int = 0
    """Live ledger entries of the days that were looked at: what a listing is expected to show."""
    looked_since: date | None = None
    """The day from which the listing is complete (inclusive); None for all days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a feed of one stream would do. Making a plan never raises and writes nothing; execution refuses (P5)."""

    stream: StreamName
    batches: tuple[Batch, ...] = ()
    oversize: tuple[Oversize, ...] = ()
    """Files above the budget. They are in ``batches`` too, each in its own, when the policy is ``spill``."""
    skipped: tuple[SourceFile, ...] = ()
    """Quarantined or ignored files whose ETag has not changed (P6)."""
    too_late: tuple[SourceFile, ...] = ()
    """New files in a day older than the horizon (P4)."""
    changed: tuple[Changed, ...] = ()
    waiting: tuple[SourceFile, ...] = ()
    """Objects in the place of files that changed and were forgotten: an operator decides about them (P14)."""
    vanished: tuple[str, ...] = ()
    """Keys that are registered and live, but that storage no longer has (P14)."""
    listed_files: int = 0
    existing: tuple[SourceFile, ...] = ()
    """All that was listed, when nothing of the stream was ever taken in: the user's own objects; else empty (P13)."""
    newest_day: date | None = None
    """Of all files that were listed."""
    live_files: int = 0
    """Live ledger entries of the days that were looked at: what a listing is expected to show (P3)."""
    claims: tuple[SourceFile, ...] = ()
    """Claims of lakes that delete below the stream's prefix, this one's too (P13)."""
    looked_since: date | None = None
    """The day from which the listing is complete (inclusive); None for all days."""
    postponed: int = 0
    """New files that are left for the next feed: there are more batches than may be planned now."""
    reregister: tuple[Batch, ...] = ()
    """Registered files whose left-out fields have a place now: they are registered anew, and their values come in."""
    unfinished: tuple[str, ...] = ()
    """Keys of files that a run was cut off from taking out of landing, to register them anew: live in the ledger."""
    factor: Factor = DEFAULT
    """Bytes of memory per compressed byte that the batches were packed by, and where it is from."""
    newest_at: datetime | None = None
    """The last change of the newest file that was listed; None when nothing was, or not the whole prefix."""

    @property
    def files(self) -> int:
        """How many files the batches hold."""
        return sum(len(batch.files) for batch in self.batches)

    @property
    def size_bytes(self) -> int:
        """The compressed size of the batches."""
        return sum(batch.size_bytes for batch in self.batches)


class RejectReason(StrEnum):
    """Why a file was rejected: stable kinds that scripts may match on."""

    EMPTY = "empty"
    NOT_PARQUET = "not_parquet"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    VANISHED = "vanished"
    NAME = "name"
    CHANGED = "changed"
    MISSING_KEY_COLUMN = "missing_key_column"
    MISSING_COLUMN = "missing_column"
    NEW_COLUMN = "new_column"
    TYPE_CHANGED = "type_changed"
    IMPLAUSIBLE_TIME = "implausible_time"
    DUPLICATE_COLUMN = "duplicate_column"
    RESERVED_COLUMN = "reserved_column"
    TOO_LARGE = "too_large"
    REFUSED_BY_LAKE = "refused_by_lake"
    ENCRYPTED = "encrypted"
    UNSUPPORTED_CODEC = "unsupported_codec"
    UNSUPPORTED_TYPE = "unsupported_type"
    BREAKS_READER = "breaks_reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """A column whose file type cannot be registered as it is but converts without loss."""

    column: str
    found: ColumnType
    wanted: ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The file can be registered."""

    file: SourceFile
    footer: Footer
    new_columns: tuple[Column, ...] = ()
    """Columns to add to the landing table before the file is registered."""
    grown: tuple[Column, ...] = ()
    """Columns of the landing table, with the type that they need for this file: more fields, or a wider number."""
    casts: tuple[Cast, ...] = ()
    """Not empty: a converted copy is registered in the file's place."""
    left_out: tuple[FieldPath, ...] = ()
    """Columns and nested fields that hold values and that ``on_new_column: ignore`` leaves in the raw object."""
    whole: tuple[Column, ...] | None = None
    """The file's columns with what is excluded, which the footer's lack; None when the file has nothing of it."""
    registered_path: str | None = None
    """Set when a converted copy was written: the path that is registered instead of the raw object's."""
    facts: object | None = field(default=None, compare=False, repr=False)
    """What the catalog will store of the file, if the validation worked it out; only the committer looks into it."""

    @property
    def needs(self) -> tuple[Column, ...]:
        """What the landing table must have for the file, beside what the contract says."""
        return self.new_columns + self.grown


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The file goes to quarantine; the others go on (P6)."""

    file: SourceFile
    reason: RejectReason
    detail: str
    """What was expected and what was found, in one sentence, without data values."""
    fatal: bool = False
    """The contract's policy says that this fails the stream (``on_type_change: fail``)."""


Verdict = Accepted | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why a registered file cannot be read, when its own bytes are the reason."""

    reason: RejectReason
    detail: str
    """In one sentence, without data values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerLacks:
    """The ledger holds none of the request's files (P3)."""

    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorIs:
    """The stream's cursor is still where the plan saw it."""

    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractIs:
    """The landing table has these columns, and no others, before the commit: name to type."""

    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseIs:
    """The committer still holds the lease with this fencing token (P10)."""

    token: int


Requirement = LedgerLacks | CursorIs | ContractIs | LeaseIs


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """One batch, ready to be registered. Its id exists before the first attempt (P7)."""

    commit_id: str
    batch_id: str
    stream: StreamName
    files: tuple[Accepted, ...]
    rejected: tuple[Rejected, ...]
    requirements: tuple[Requirement, ...]
    cursor_path: str | None
    """Where the cursor stands after the commit; never behind where it stood (P11)."""

    @property
    def rows(self) -> int:
        """Rows of the files that are registered."""
        return sum(accepted.footer.rows for accepted in self.files)

    @property
    def size_bytes(self) -> int:
        """Compressed size of the raw files that are registered."""
        return sum(accepted.file.size_bytes for accepted in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """The commit is in the catalog as this DuckLake snapshot."""

    snapshot: int
    request: CommitRequest | None = None
    """What landed, when the lake refused some of the request's files and the committer left them out (P6)."""
    registered_by: str = ""
    """Who wrote the catalog's rows, and why not the catalog writer when it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Nothing was written, because a requirement did not hold (P8)."""

    requirement: Requirement
    expected: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """The answer was lost. Read back before anything else (P9)."""

    commit_id: str
    cause: str


CommitOutcome = Landed | Refused | Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the rows of one registered file are from: what of the records' order they do not carry (P12)."""

    path: str
    """The registered path."""
    origin: str
    """LastModified and key of the object, as ``origins.origin_of`` writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingTransform:
    """The registered DuckLake snapshots that dbt has not merged yet (P12). Both ends are inclusive."""

    stream: StreamName
    from_snapshot: int
    to_snapshot: int
    paths: tuple[str, ...] = ()
    """Only these registered paths of the one DuckLake snapshot; empty for all of the range."""
    spill: bool = False
    """With one thread, so that DuckDB needs as little memory as it can."""
    generation: int | None = None
    """Not a merge of new rows: those of generations older than this one (exclusive) leave the processed table (P16)."""
    part: tuple[int, int] = (0, 1)
    """With ``generation``, the share of the keys that is meant: which one (from 0), of how many."""
    origins: tuple[Origin, ...] = field(default=(), compare=False, repr=False)
    """Of every file of the range, when whoever asks knows them; empty: the merge looks them up."""


class MergeEnd(StrEnum):
    """How one merge ended."""

    MERGED = "merged"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """What one merge was projected to need and did need: the record that the factor adapts from."""

    from_snapshot: int
    to_snapshot: int
    files: int
    rows: int
    size_bytes: int
    """Compressed."""
    projected_bytes: int
    peak_bytes: int | None
    """Resident memory of the committer's process at its highest during the merge; None when it cannot be measured."""
    fixed_bytes: int
    """Reserved, and what any batch of the stream took: not counted into the factor."""
    limit_bytes: int
    """What the rows could use at most."""
    end: MergeEnd
    spill: bool = False
    """With one thread, because the file did not fit else: says nothing of other batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRun:
    """One model or test that dbt ran."""

    name: str
    kind: str
    """``model`` or ``test``."""
    status: str
    """dbt's own word: ``success``, ``pass`` or ``warn``."""
    rows: int
    """Rows written by the models that count them, the processed ones; else 0."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsFound:
    """What a merge has to say of the rows that came (P12)."""

    model: str
    without_key: int = 0
    """Rows whose key is null in all of its columns: left out."""
    cursor: str | None = None
    """The stream's cursor column."""
    cursor_breaks: int = 0
    """Rows whose cursor does not parse as ``cursor_type``: they count as rows without a cursor."""
    cursor_type: str | None = None
    """What a text cursor is compared as."""
    is_new_type: bool = False
    """Whether that was found by this merge, and is kept from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What one dbt invocation did."""

    models: tuple[str, ...]
    rows_affected: int
    seconds: float
    runs: tuple[ModelRun, ...] = ()
    """Every model and test, in the order in which they ended."""
    peak_bytes: int | None = None
    """Resident memory of the process at its highest meanwhile; None when it was not measured."""
    found: tuple[RowsFound, ...] = ()
    """Of each model that had something to say."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Of every enriched model that is built or was up to date: its code, as the project has it now."""


class RawPolicy(StrEnum):
    """What becomes of raw objects whose rows are behind the retention (P13)."""

    DELETE = "delete"
    """They go when no DuckLake snapshot shows them; those of the stream's first plan only if that is said, too."""
    KEEP = "keep"
    """None is ever deleted."""


class Removal(StrEnum):
    """Why a file's rows left the landing table, as the catalog stores it."""

    RETENTION = "retention"
    """They were behind the retention, and merged; the object goes when no DuckLake snapshot shows it (P13)."""
    KEPT = "kept"
    """The same, but the object stays: nobody but the user deletes it."""
    VANISHED = "vanished"
    """Somebody deleted the object, and the policy is to drop it (P14)."""
    CHANGED = "changed"
    """The object became another one, and the policy is to drop it (P14)."""
    CORRUPT = "corrupt"
    """The file cannot be read (P6)."""
    REPAIR = "repair"
    """``doctor repair=…`` was told to."""
    REPLACED = "replaced"
    """It was of an older generation, whose objects Airbyte deletes when a newer one is whole (P16)."""
    REREGISTER = "reregister"
    """To be registered anew: the contract has a place now for fields that were left out (ADR 0025)."""
    REBUILD = "rebuild"
    """To be registered anew: a column of the landing table gets another type (ADR 0025)."""

    @property
    def key_may_return(self) -> bool:
        """Whether the ledger entry stands for nothing from then on: what is under the key is a new file (P3, P14).

        Decided once, here, and stored with the removal; who reads the ledger reads what is stored.
        """
        match self:
            case Removal.RETENTION | Removal.KEPT:
                return False
            case Removal.VANISHED | Removal.CHANGED | Removal.CORRUPT | Removal.REPAIR | Removal.REPLACED:
                return True
            case Removal.REREGISTER | Removal.REBUILD:
                return True
            case _:
                assert_never(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One file that was taken in: the truth (P2)."""

    key: str
    etag: str
    size_bytes: int
    rows: int
    day: date
    batch_id: str
    commit_id: str
    snapshot: int
    registered_path: str
    taken_at: datetime
    removed_at: datetime | None = None
    """When its rows left the landing table; None while they are live."""
    removed_because: str | None = None
    """A ``Removal``, or what a later version of lakeray calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileGenerations:
    """Of which of Airbyte's generations the rows of one live file are, as the catalog's bounds say it (P16)."""

    etag: str
    rows: int
    oldest: int
    """Inclusive, as ``newest``; ``UNKNOWN`` when the file, or a row of it, does not say."""
    newest: int


GENERATION_COLUMN = "_airbyte_generation_id"
"""Which refresh, or which sync that overwrites, a record is of: it grows with each."""
UNKNOWN_GENERATION = -1
"""Older than every generation: of rows without one."""


class QuarantineStatus(StrEnum):
    """What becomes of a file of the record."""

    REJECTED = "rejected"
    """Skipped until its ETag changes."""
    WAITS = "waits"
    """Another object under the key of a file that was taken in: skipped until an operator decides, whatever its ETag
    (P14)."""
    RETRY = "retry"
    """An operator asked to look again."""
    IGNORED = "ignored"
    """An operator asked to look away, until its ETag changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineEntry:
    """One rejected file (P6)."""

    key: str
    etag: str
    size_bytes: int
    reason: str
    detail: str
    status: str
    """A ``QuarantineStatus``."""
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A live file with values that the landing table had no place for when it was registered."""

    key: str
    etag: str
    fields: tuple[FieldPath, ...]
    refused: str | None = None
    """Why the file cannot be registered with these fields; it is not tried again then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedBy:
    """What the rows of a stream's processed table were compared by."""

    primary_key: tuple[str, ...]
    newest_first: tuple[str, ...]
    cursor_type: str | None = None
    """What the first of ``newest_first`` is compared as; None: as its own type, or nobody noted it."""

    def allows(self, wanted: MergedBy) -> bool:
        """Whether rows that were compared by this may be compared by ``wanted`` from now on."""
        same = (self.primary_key, self.newest_first) == (wanted.primary_key, wanted.newest_first)
        return same and (None in (self.cursor_type, wanted.cursor_type) or self.cursor_type == wanted.cursor_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """What has to become of a stream's tables, because its config says something else than they hold."""

    stream: StreamName
    key: tuple[str, ...]
    """The key that the processed table is to have."""
    newest_first: tuple[str, ...]
    noted: MergedBy | None = None
    """What the processed table is merged by; None when nobody noted it, or there is no table."""
    cursor_type: str | None = None
    """What the cursor is to be compared as; None: of a text what was kept, or is found when it is made anew."""
    notes_cursor_type: bool = False
    """Whether that is noted: the config says it. Else the cursor's own type is what it is."""
    repeats_key: bool = False
    """Whether rows of the processed table have the same key: they were merged by another one once."""
    processed: tuple[Cast, ...] = ()
    """Columns of the processed table that get another type."""
    landing: tuple[Cast, ...] = ()
    """Columns of the landing table that get another type: its files are registered anew."""
    has_processed: bool = True
    """Whether there is a processed table."""

    @property
    def orders_anew(self) -> bool:
        """Whether rows meet, or are compared, in another way: then landing's rows are looked at again."""
        wanted = MergedBy(primary_key=self.key, newest_first=self.newest_first, cursor_type=self.cursor_type)
        return self.repeats_key or (self.noted is not None and not self.noted.allows(wanted))

    @property
    def is_needed(self) -> bool:
        """Whether anything has to be made anew."""
        return self.orders_anew or bool(self.processed or self.landing)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildCounts:
    """What a rebuild would do to the rows that are there."""

    rows: int
    """Of the processed table, its tombstones included."""
    merging: int
    """Rows of the processed table that meet a newer one under the new key, and go."""
    added: int
    """Rows of landing with a key that the processed table does not have yet."""
    without_key: int
    """Rows without a value in the new key, and tombstones without its columns: they would be lost."""
    failing: tuple[tuple[str, int], ...]
    """By column, rows whose value does not fit the new type: the value would be lost."""

    @property
    def lost(self) -> int:
        """Rows and values that would be lost."""
        return self.without_key + sum(rows for _, rows in self.failing)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanPlan:
    """What clean-up would take out of one landing table (P13)."""

    stream: StreamName
    files: tuple[LedgerEntry, ...]
    """All whose rows go."""
    before: date | None
    """Files of days before this one go (exclusive); None when the stream has no cursor."""
    kept: tuple[LedgerEntry, ...] = ()
    """Those of ``files`` whose objects stay."""

    @property
    def deleted(self) -> tuple[LedgerEntry, ...]:
        """Those of ``files`` whose objects go when no DuckLake snapshot shows them."""
        kept = {entry.key for entry in self.kept}
        return tuple(entry for entry in self.files if entry.key not in kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHealth:
    """What a table is made of."""

    rows: int
    data_files: int
    delete_files: int
    """Lists of rows that are deleted; at most one a data file."""
    dead_rows: int
    """Rows that are in data files, and in such a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastBatch:
    """The newest batch of a stream, as ``status`` shows it."""

    batch_id: str
    commit_id: str
    snapshot: int
    files: int
    rows: int
    size_bytes: int
    committed_at: datetime
    registered_by: str | None = None
    """Who wrote the catalog's rows, and why not the catalog writer if it did not. None when the snapshot is expired."""


class StreamStatus(StrEnum):
    """How a stream's feed ended."""

    OK = "ok"
    NOTHING_NEW = "nothing_new"
    WAITING = "waiting"
    """The prefix lists nothing, and nothing that was taken in is expected there (P3)."""
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """What a feed did for one stream."""

    stream: StreamName
    status: StreamStatus
    batches: int = 0
    files: int = 0
    size_bytes: int = 0
    rows: int = 0
    quarantined: int = 0
    too_late: int = 0
    """New files that stay out because their day is before the horizon, of those that were looked at (P4)."""
    changed: int = 0
    """Objects that are not what was taken in: those that wait for an operator, and those that this feed dropped."""
    vanished: int = 0
    """Objects that are gone: those that are still registered, and those that this feed forgot (P14)."""
    replaced: int = 0
    """Rows that left the processed table because a newer generation does not have their keys (P16)."""
    left_out: int = 0
    """Files of which the contract's policy left columns or fields out."""
    reregistered: int = 0
    """Files that were registered anew for fields that were left out before."""
    cleaned: int = 0
    """Files whose rows left the landing table."""
    kept: int = 0
    """Those of ``cleaned`` whose objects stay."""
    seconds: float = 0.0
    error: Mapping[str, str] | None = None
    """``errors.LakerayError.as_dict()`` when the status is failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """What is kept of a run that did something for a stream, or failed."""

    stream: StreamName
    at: datetime
    """When it ended."""
    outcome: StreamStatus
    batches: int
    files: int
    rows: int
    size_bytes: int
    quarantined: int
    seconds: float
    error: Mapping[str, str] | None
    """``errors.LakerayError.as_dict()`` when it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReport:
    """What a feed did."""

    streams: tuple[StreamReport, ...] = field(default=())
    enriched: tuple[str, ...] = ()
    """The enriched models that were built."""
    enriched_error: Mapping[str, str] | None = None
    """``errors.LakerayError.as_dict()`` when they failed; the streams' work stands."""

    @property
    def failed(self) -> bool:
        """Whether any stream, or the enriched layer, failed."""
        return self.enriched_error is not None or any(report.status is StreamStatus.FAILED for report in self.streams)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What dbt has merged, and the records of it that are kept with the mark."""

    pending: PendingTransform
    peaks: tuple[Peak, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitterWork:
    """What a committer did for its feeders in one run."""

    commits: int
    """Batches that were to be registered."""
    snapshots: int
    """Turns that it took for them; a turn is one DuckLake snapshot where that is sound."""
    transforms: int
    """Transforms that were asked for."""
    dbt_runs: int
    """Turns that it took for those; a turn is one dbt invocation."""
    busy_s: float
    """Seconds at work: nobody else can write meanwhile."""
    seconds: float
    """Seconds from its first work to the end of its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """A file that a table needs now."""

    schema: str
    table: str
    path: str
    """An address, or a name relative to the table's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowWarning:
    """Rows of one registered file that a merge left out, or took in by a rule that one should know of (P12)."""

    table: str
    """The processed table."""
    kind: str
    """``without_key``: left out. ``cursor_breaks``: their cursor does not parse, and counts as none."""
    path: str
    """The registered path; empty when the model reads something else than landing rows."""
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredPath:
    """A live data file of a landing table, as the catalog has it."""

    path: str
    times: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """What writing a stream's sample did."""

    written: int
    """Files written."""
    kept: int
    """Files that were there already."""
    size_bytes: int
    """Size of the files written."""
    rows: int
    """Rows of the files written."""
