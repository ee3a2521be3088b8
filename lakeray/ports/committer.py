"""The only writer of the catalog, and the right to be it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lakeray.values.enriched import EVERYTHING, EnrichOrder
from lakeray.values.errors import LakerayError
from lakeray.values.model import (
    BuildResult,
    CommitOutcome,
    CommitRequest,
    CommitterWork,
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


class Committer(Protocol):
    """The only writer of the catalog (P10)."""

    @property
    def token(self) -> int:
        """The fencing token of the lease it holds."""

    def ensure_landing(self, stream: StreamName, contract: Contract) -> Sequence[str]:
        """Create the landing table or add its missing columns; says what it did. Idempotent.

        A column becomes another type only while no file and no merged row needs the old one.

        Raises:
            ContractError: a column with rows would have to be narrowed or changed, or the processed table is merged by
                another key or cursor than the contract's.
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

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal) -> int:
        """Take whole files out of the landing table; returns the rows removed (P13)."""

    def forget(
        self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: Removal
    ) -> int:
        """Take files whose bytes are gone out of the landing table; returns the rows removed (P14).

        Args:
            paths: registered paths.
            entries: the live ledger entries of these paths; they are marked removed.
        """

    def note_existing(self, stream: StreamName, etags: Mapping[str, str]) -> None:
        """Remember what the stream's first plan lists, by key; nothing when that is remembered already (P13)."""

    def reregister(self, stream: StreamName, entries: Sequence[LedgerEntry], *, reason: Removal, replaces: bool) -> int:
        """Take live files, whose objects are as they were, out of landing; returns the rows that went.

        Until they are committed again the record of rejected files has them as ``retry``, so that a feed looks at them
        whatever their day.

        Args:
            replaces: when they are merged again, their rows replace the very same records in the processed table.
        """

    def refuse_left_out(self, stream: StreamName, reasons: Mapping[str, str]) -> None:
        """Note, by key, why files cannot be registered with the fields that were left out."""

    def rebuild(self, change: Rebuild, *, merged_through: int) -> BuildResult:
        """Make the processed table anew, in one DuckLake snapshot, from its own rows and those of landing.

        Args:
            merged_through: rows of landing up to this DuckLake snapshot are in the processed table (inclusive).

        Raises:
            TransformError: dbt failed; the table is as it was.
        """

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> Unreadable | None:
        """Read the landing columns of one registered file; says why they cannot be read.

        None when they can be, and whenever the reason may be another one than the file's own bytes (P6).

        Raises:
            TryAgainError: the storage or this machine failed; nothing is known of the file.
        """

    def quarantine(
        self,
        stream: StreamName,
        rejected: Sequence[Rejected],
        *,
        status: QuarantineStatus = QuarantineStatus.REJECTED,
    ) -> None:
        """Record files that were taken in as rejected; the caller forgets them next (P6).

        Args:
            status: ``waits`` of new objects in the place of those that were taken in (P14).
        """

    def note_runs(self, records: Sequence[RunRecord]) -> None:
        """Keep what runs did, in one DuckLake snapshot; nothing when there is nothing."""

    def drop_stream(self, stream: StreamName) -> None:
        """Drop the stream's tables and its bookkeeping. Its raw files stay, and nothing deletes them. Idempotent."""

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        """Expire old DuckLake snapshots and clean up; returns the paths that storage loses (P13)."""

    def enrich(self, order: EnrichOrder = EVERYTHING) -> BuildResult:
        """Build the enriched models whose inputs or code changed, or those that the order selects.

        Raises:
            TransformError: a model failed; what is behind stays so.
            UsageError: a selected model is none.
        """

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


class ServedCommitter(Committer, Protocol):
    """A committer that serves several feeders at once."""

    @property
    def work(self) -> CommitterWork:
        """What it has done so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTerms:
    """Under what terms the lease is held."""

    wait_s: float
    """How long to wait for a lease that another process holds."""
    heartbeat_s: float
    """Between two heartbeats of the holder."""
    timeout_s: float
    """A server that keeps the lease takes it from a holder that gave no heartbeat for so long."""


class Lease(Protocol):
    """The right to be the committer, while it is held (P10)."""

    def check(self) -> None:
        """Ask nobody: see what is known by now. Cheap enough for every call of the committer.

        Raises:
            LeaseLostError: the lease is lost.
        """

    def confirm(self) -> None:
        """Ask whether it is still held: for who failed, and must tell why.

        Raises:
            LeaseLostError: the lease is lost, or whoever keeps it cannot be asked.
        """


class LeaseHolder(Protocol):
    """The way to be the committer (P10). Whoever holds the lease gives a heartbeat, in a thread of its own."""

    def hold(self) -> AbstractContextManager[Lease]:
        """Take the lease and keep it inside the ``with`` block.

        Raises:
            LeaseHeldError: another process has it; the message names it.
        """

    def holder(self) -> str | None:
        """Who has the lease, since when, and its last heartbeat; None when nobody has it, or nobody knows.

        Raises:
            CatalogError: who keeps the lease does not answer.
        """

    def take_from_silent(self) -> str | None:
        """Take the lease from a holder that does not answer, so that it is free. Waits for a heartbeat of it first.

        Whoever takes the lease next gets a larger fencing token; until then the old holder is not fenced.

        Returns:
            Who held it; None when nobody did.

        Raises:
            LeaseHeldError: the holder answers.
            CatalogError: who keeps the lease does not answer.
        """
