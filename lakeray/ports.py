"""What the core needs of the world. Adapters provide it; tests provide an in-memory lake."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

from lakeray.errors import LakerayError
from lakeray.events import Event
from lakeray.model import (
    Batch,
    BuildResult,
    CommitOutcome,
    CommitRequest,
    Contract,
    Cursor,
    Landed,
    LastBatch,
    LedgerEntry,
    Merged,
    Peak,
    PendingTransform,
    QuarantineEntry,
    Rejected,
    SourceFile,
    StreamName,
    Verdict,
)


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time, aware, UTC."""

    def monotonic_s(self) -> float:
        """Seconds from some fixed point, never going back."""


class EventSink(Protocol):
    """Where events go: logs, spans, metrics, progress bars."""

    def emit(self, event: Event) -> None:
        """Take one event. Never raises and never blocks for long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a listing: what is directly under a prefix."""

    prefixes: tuple[str, ...]
    """Keys of the next level, with a trailing slash."""
    files: tuple[SourceFile, ...]


class ObjectStore(Protocol):
    """The raw prefix of a bucket or folder. Keys are relative to it. All calls raise ``StorageError``."""

    def list_level(self, prefix: str) -> Level:
        """What is directly under ``prefix`` (with trailing slash)."""

    def list_files(self, prefix: str, *, start_after: str | None = None) -> Iterator[SourceFile]:
        """Every object below ``prefix`` whose key sorts after ``start_after`` (exclusive), streamed by page."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None when there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object."""

    def put_file(self, key: str, path: Path) -> None:
        """Write the local file at ``path`` as the object, atomically."""

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes ``start`` (inclusive) to ``start + length`` (exclusive)."""

    def url(self, key: str) -> str:
        """What DuckDB opens, and what is registered: a path or ``s3://`` address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger says of one key, as discovery needs it."""

    etag: str
    size_bytes: int
    live: bool
    """Whether its rows are in the landing table; False after clean-up."""


class PlanningBooks(Protocol):
    """What looking and planning read of the bookkeeping. All calls raise ``CatalogError``."""

    def cursor(self, stream: StreamName) -> Cursor:
        """The stream's cursor and marks; an empty one before the first batch."""

    def known(self, stream: StreamName, *, since: date | None) -> Mapping[str, Known]:
        """The ledger of the stream from day ``since`` (inclusive) on, by key; None for all of it."""

    def known_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, Known]:
        """The same of these keys, whatever their day; keys that the ledger does not know are left out."""

    def quarantined(self, stream: StreamName | None) -> Sequence[QuarantineEntry]:
        """The record of rejected files, of one stream or of all."""

    def peaks(self, stream: StreamName) -> Sequence[Peak]:
        """What the newest merges of the stream needed, the newest first; at most 20."""


class CatalogReader(PlanningBooks, Protocol):
    """Reading the lake's bookkeeping. Never needs the lease. All calls raise ``CatalogError``."""

    def landing_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The landing table's columns and types; None when there is no table."""

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet (P12)."""

    def cleanable(self, stream: StreamName, *, before: date) -> Sequence[LedgerEntry]:
        """Live, transformed files of days before ``before`` (exclusive) (P13)."""

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of days ``first`` to ``last``, both inclusive."""

    def totals(self, stream: StreamName) -> tuple[int, int | None]:
        """How many files were ever taken in, and the newest DuckLake snapshot that registered one."""

    def last_batch(self, stream: StreamName) -> LastBatch | None:
        """The newest batch."""

    def history(self, key: str) -> Sequence[LedgerEntry]:
        """Every time the key was taken in, oldest first."""

    def enriched_is_stale(self) -> bool:
        """Whether a processed table moved since the enriched models were last built."""


class Committer(Protocol):
    """The only writer of the catalog (P10)."""

    @property
    def token(self) -> int:
        """The fencing token of the lease it holds."""

    def ensure_landing(self, stream: StreamName, contract: Contract) -> Sequence[str]:
        """Create the landing table or add its missing columns; says what it did. Idempotent.

        Raises:
            ContractError: a column would have to be narrowed or changed.
        """

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """Register one batch: data files, ledger and cursor in one DuckLake snapshot (P7, P8)."""

    def read_back(self, commit_id: str) -> Landed | None:
        """Whether the commit is in the catalog (P9)."""

    def transform(self, pending: PendingTransform) -> BuildResult:
        """Run dbt on exactly these rows (P12). The mark does not move."""

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """Move transformed_through to the end of ``pending``; never back (P11). Keeps the records with it."""

    def remember(self, stream: StreamName, peaks: Sequence[Peak]) -> None:
        """Keep the records of merges without moving a mark: one ran out of memory (P5)."""

    def rewind(self, stream: StreamName, *, to_snapshot: int) -> None:
        """Move transformed_through back, for ``replay`` alone (P11)."""

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: str) -> int:
        """Take whole files out of the landing table; returns the rows removed (P13)."""

    def forget(self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: str) -> int:
        """Take files whose bytes are gone out of the landing table; returns the rows removed (P14).

        Args:
            paths: registered paths.
            entries: the live ledger entries of these paths; they are marked removed.
        """

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> str | None:
        """Read the landing columns of one registered file; says why they cannot be read.

        None when they can be, and whenever the reason may be another one than the file's own bytes (P6).

        Raises:
            TryAgainError: the storage or this machine failed; nothing is known of the file.
        """

    def quarantine(self, stream: StreamName, rejected: Sequence[Rejected]) -> None:
        """Record files that were taken in as rejected; the caller forgets them next (P6)."""

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        """Expire old DuckLake snapshots and clean up; returns the paths that storage loses (P13)."""

    def enrich(self) -> BuildResult:
        """Build the enriched models whose inputs changed."""

    def set_quarantine(self, keys: Sequence[str], *, status: str) -> Sequence[str]:
        """Mark quarantined files ``retry`` or ``ignored``; returns the keys that were found."""


class GroupCommitter(Committer, Protocol):
    """A committer that does for several streams at once what costs as much for one. It serves one caller at a time.

    Answers are in the order of what was asked; a stream's error is its answer, and no other stream's. There is at most
    one item of each stream in a group.
    """

    def commit_group(self, requests: Sequence[CommitRequest]) -> Sequence[CommitOutcome | LakerayError]:
        """Register the batches, in one DuckLake snapshot where that is sound."""

    def transform_group(self, pending: Sequence[PendingTransform]) -> Sequence[BuildResult | LakerayError]:
        """Run dbt once, on exactly these rows."""

    def advance_group(self, merged: Sequence[Merged]) -> Sequence[LakerayError | None]:
        """Move the streams' transformed_through, in one DuckLake snapshot."""


class Executor(Protocol):
    """Where validation runs: in this process or as Ray tasks. Same results whichever runs."""

    def validate(
        self, batches: Iterable[Batch], *, contract: Contract, ahead: int
    ) -> Generator[tuple[Batch, tuple[Verdict, ...]], None, None]:
        """Verdicts for every batch, in order, at most ``ahead`` batches ahead of the consumer (P6).

        Whoever stops asking before the end closes it: what is under way ahead is given up then.
        """


class LeaseHolder(Protocol):
    """The right to be the committer (P10)."""

    def hold(self) -> AbstractContextManager[None]:
        """Take the lease and keep it inside the ``with`` block.

        Raises:
            LeaseHeldError: another process has it; the message names it.
        """
