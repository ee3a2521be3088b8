"""Commit: a batch and its verdicts become one request, and a request one certain outcome (P7–P9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol, assert_never

from lakeray.values.column_types import ColumnType, parse_type, same_type
from lakeray.values.errors import CatalogError, ContractError, LeaseLostError
from lakeray.values.model import (
    Accepted,
    Batch,
    Column,
    CommitOutcome,
    CommitRequest,
    ContractIs,
    Cursor,
    CursorIs,
    Landed,
    LeaseIs,
    LedgerLacks,
    Refused,
    Rejected,
    RejectReason,
    Requirement,
    Unknown,
    Verdict,
)
from lakeray.values.names import folded


class Commits(Protocol):
    """The part of the committer that a commit needs."""

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """Register one batch."""

    def read_back(self, commit_id: str) -> Landed | None:
        """Whether the commit is in the catalog."""


def commit_id(batch: Batch, *, at: datetime, unique: str) -> str:
    """The id of one attempt to take a batch in, made before the first try (P7)."""
    return f"{at:%Y%m%dT%H%M%S}-{batch.id[:8]}-{unique}"


def prepare(
    batch: Batch,
    verdicts: Sequence[Verdict],
    *,
    id: str,
    cursor: Cursor,
    cursor_path: str | None,
    landing: Mapping[str, str],
    token: int,
) -> CommitRequest:
    """State what is to be committed and what must hold for it (P8).

    Args:
        landing: the landing table's columns and types, as they are before this commit.
        cursor_path: where the cursor will stand, if every accepted file lands.

    Raises:
        ContractError: a verdict says that the contract's policy is to fail the stream.
    """
    for rejected in verdicts:
        if isinstance(rejected, Rejected) and rejected.fatal:
            raise ContractError(
                f"{batch.stream}: {rejected.file.key}: {rejected.detail}",
                todo="The contract says on_type_change: fail. Change the stream's fields, or quarantine such files "
                "with contract.on_type_change=quarantine; nothing of this batch was taken in",
            )
    accepted, clashing = _agree_on_new_columns(verdicts, landing)
    requirements: tuple[Requirement, ...] = (
        LeaseIs(token=token),
        CursorIs(path=cursor.path),
        ContractIs(columns=dict(landing)),
        LedgerLacks(keys=tuple(item.file.key for item in accepted)),
    )
    return CommitRequest(
        commit_id=id,
        batch_id=batch.id,
        stream=batch.stream,
        files=tuple(accepted),
        rejected=tuple(item for item in verdicts if isinstance(item, Rejected)) + tuple(clashing),
        requirements=requirements,
        cursor_path=cursor_path if accepted else cursor.path,
    )


def settle(committer: Commits, request: CommitRequest) -> tuple[Landed, bool]:
    """Commit until the outcome is certain. The second value tells whether it was read back (P9).

    Raises:
        CatalogError: nothing was written, or it cannot be known now; the same feed, run again, finds out.
        LeaseLostError: another committer took over (P10).
    """
    outcome = committer.commit(request)
    match outcome:
        case Landed():
            return outcome, False
        case Refused():
            raise refusal(request, outcome)
        case Unknown():
            found = committer.read_back(request.commit_id)
            if found is not None:
                return found, True
            raise CatalogError(
                f"{request.stream}: the answer to commit {request.commit_id} was lost and it is not in the catalog",
                found=outcome.cause,
                todo="Run the feed again: it starts by looking what was taken in",
            )
        case _:
            assert_never(outcome)


def refusal(request: CommitRequest, refused: Refused) -> CatalogError | LeaseLostError | ContractError:
    """The error that a refused commit is, by what the operator does next."""
    about = f"{request.stream}: commit {request.commit_id} was refused; nothing was written"
    match refused.requirement:
        case LeaseIs():
            return LeaseLostError(
                about, expected=refused.expected, found=refused.found, todo="Another committer took over; let it work"
            )
        case LedgerLacks() | CursorIs() | ContractIs():
            return CatalogError(
                about,
                expected=refused.expected,
                found=refused.found,
                todo="Run the feed again: it plans from what the catalog says now",
            )
        case _:
            assert_never(refused.requirement)


def _agree_on_new_columns(
    verdicts: Sequence[Verdict], landing: Mapping[str, str]
) -> tuple[list[Accepted], list[Rejected]]:
    """Two files may add the same column: the first one's type stands, for the table and for the files after it."""
    have: dict[str, ColumnType] = {folded(name): parse_type(kind) for name, kind in landing.items()}
    accepted: list[Accepted] = []
    clashing: list[Rejected] = []
    for item in verdicts:
        if not isinstance(item, Accepted):
            continue
        if not item.new_columns:
            accepted.append(item)
            continue
        clash = next((c for c in item.new_columns if not _agrees(c, have)), None)
        if clash is not None:
            clashing.append(_clash(item, clash, have[folded(clash.name)]))
            continue
        fresh = tuple(column for column in item.new_columns if folded(column.name) not in have)
        have.update({folded(column.name): column.type for column in fresh})
        accepted.append(replace(item, new_columns=fresh))
    return accepted, clashing


def _agrees(column: Column, have: Mapping[str, ColumnType]) -> bool:
    stands = have.get(folded(column.name))
    return stands is None or same_type(stands, column.type)


def _clash(item: Accepted, column: Column, stands: ColumnType) -> Rejected:
    return Rejected(
        file=item.file,
        reason=RejectReason.TYPE_CHANGED,
        detail=f"new column {column.name}: expected {stands}, as an earlier file added it, found {column.type}",
    )
