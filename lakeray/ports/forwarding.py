"""The committer's port as calls by name: what passes calls on writes down only what it changes."""

# mypy: disable-error-code="no-any-return"
# What is passed on is typed where it is made and where it is used; in between it is whatever the committer answered.

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from lakeray.values.enriched import EVERYTHING, EnrichOrder
from lakeray.values.model import (
    BuildResult,
    CommitOutcome,
    CommitRequest,
    Contract,
    Landed,
    LedgerEntry,
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


class ForwardingCommitter(ABC):
    """The ``Committer`` port; every call goes through ``forward`` unless a transport overrides it.

    A call that the port gains is added here once. A test compares the two, name by name and argument by argument.
    """

    @abstractmethod
    def forward(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call the committer's method of this name, and give back what it answers."""

    @property
    @abstractmethod
    def token(self) -> int:
        """The fencing token."""

    def ensure_landing(self, stream: StreamName, contract: Contract) -> Sequence[str]:
        """See ``Committer``."""
        return self.forward("ensure_landing", stream, contract)

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """See ``Committer``."""
        return self.forward("commit", request)

    def read_back(self, commit_id: str) -> Landed | None:
        """See ``Committer``."""
        return self.forward("read_back", commit_id)

    def transform(self, pending: PendingTransform) -> BuildResult:
        """See ``Committer``."""
        return self.forward("transform", pending)

    def advance(self, pending: PendingTransform, *, peaks: Sequence[Peak] = ()) -> None:
        """See ``Committer``."""
        self.forward("advance", pending, peaks=peaks)

    def remember(self, stream: StreamName, peaks: Sequence[Peak]) -> None:
        """See ``Committer``."""
        self.forward("remember", stream, peaks)

    def rewind(self, stream: StreamName, *, to_snapshot: int) -> None:
        """See ``Committer``."""
        self.forward("rewind", stream, to_snapshot=to_snapshot)

    def remove(self, stream: StreamName, files: Sequence[LedgerEntry], *, reason: Removal) -> int:
        """See ``Committer``."""
        return self.forward("remove", stream, files, reason=reason)

    def forget(
        self, stream: StreamName, *, paths: Sequence[str], entries: Sequence[LedgerEntry], reason: Removal
    ) -> int:
        """See ``Committer``."""
        return self.forward("forget", stream, paths=paths, entries=entries, reason=reason)

    def reregister(self, stream: StreamName, entries: Sequence[LedgerEntry], *, reason: Removal, replaces: bool) -> int:
        """See ``Committer``."""
        return self.forward("reregister", stream, entries, reason=reason, replaces=replaces)

    def refuse_left_out(self, stream: StreamName, reasons: Mapping[str, str]) -> None:
        """See ``Committer``."""
        self.forward("refuse_left_out", stream, reasons)

    def rebuild(self, change: Rebuild, *, merged_through: int) -> BuildResult:
        """See ``Committer``."""
        return self.forward("rebuild", change, merged_through=merged_through)

    def note_existing(self, stream: StreamName, etags: Mapping[str, str]) -> None:
        """See ``Committer``."""
        self.forward("note_existing", stream, etags)

    def unreadable(self, stream: StreamName, entry: LedgerEntry) -> Unreadable | None:
        """See ``Committer``."""
        return self.forward("unreadable", stream, entry)

    def quarantine(
        self,
        stream: StreamName,
        rejected: Sequence[Rejected],
        *,
        status: QuarantineStatus = QuarantineStatus.REJECTED,
    ) -> None:
        """See ``Committer``."""
        self.forward("quarantine", stream, rejected, status=status)

    def note_runs(self, records: Sequence[RunRecord]) -> None:
        """See ``Committer``."""
        self.forward("note_runs", records)

    def drop_stream(self, stream: StreamName) -> None:
        """See ``Committer``."""
        self.forward("drop_stream", stream)

    def expire(self, *, older_than: datetime, dry_run: bool = False) -> Sequence[str]:
        """See ``Committer``."""
        return self.forward("expire", older_than=older_than, dry_run=dry_run)

    def enrich(self, order: EnrichOrder = EVERYTHING) -> BuildResult:
        """See ``Committer``."""
        return self.forward("enrich", order)

    def set_quarantine(self, keys: Sequence[str], *, status: str) -> Sequence[str]:
        """See ``Committer``."""
        return self.forward("set_quarantine", keys, status=status)
