"""Commit: a batch and its verdicts become one request, and a request one certain outcome (P7–P9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, assert_never

from lakeray.values.column_types import parse_type
from lakeray.values.errors import CatalogError, ContractError, LeaseLostError
from lakeray.values.model import (
    Accepted,
    Batch,
    Cast,
    Column,
    CommitOutcome,
    CommitRequest,
    Contract,
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
    SourceFile,
    Unknown,
    Verdict,
)
from lakeray.values.names import folded
from lakeray.values.type_growth import grows, joined, registrable


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
        verdicts: as ``agree`` left them.
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
    accepted = tuple(item for item in verdicts if isinstance(item, Accepted))
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
        files=accepted,
        rejected=tuple(item for item in verdicts if isinstance(item, Rejected)),
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """What the files of a batch make of the landing table together."""

    verdicts: tuple[Verdict, ...]
    """Of the files that fit it, each with what it adds; and the rejections."""
    again: tuple[SourceFile, ...]
    """Accepted for a landing table that is, or will be, another one: to be validated against ``columns``."""
    columns: tuple[Column, ...]
    """The landing table's, as they will be."""

    def contract(self, terms: Contract) -> Contract:
        """The contract to validate the others against."""
        return replace(terms, columns=self.columns, declared=terms.declared or terms.columns)


def agree(verdicts: Sequence[Verdict], landing: Mapping[str, str], *, columns: Sequence[Column] = ()) -> Agreed:
    """Let the files of a batch agree on what they add to the landing table, whatever it was when they were validated.

    Files that bring one new column, or one new field, get the type that holds all of theirs: INTEGER and BIGINT make
    BIGINT. Where there is none the first file's stands, and where the table has rows, what files under it can be.

    Args:
        landing: the table's columns and types, as they are now.
        columns: what was agreed on before, when some of the files were looked at again.
    """
    stands = {folded(name): Column(name=name, type=parse_type(kind)) for name, kind in landing.items()}
    agreed = stands | {folded(column.name): column for column in columns}
    for need in dict.fromkeys(need for item in verdicts if isinstance(item, Accepted) for need in item.needs):
        own, known = agreed.get(folded(need.name)), stands.get(folded(need.name))
        agreed[folded(need.name)] = need if own is None else _grown(own, need, known)
    settled: list[Verdict] = []
    again: list[SourceFile] = []
    changed = agreed != stands
    fits: dict[tuple[int, tuple[Cast, ...]], bool] = {}
    for item in verdicts:
        if isinstance(item, Rejected):
            settled.append(item)
            continue
        alike = (id(item.footer.columns), item.casts)
        if alike not in fits:
            fits[alike] = _fits(item, agreed)
        if fits[alike]:
            settled.append(_settled(item, agreed, stands) if changed or item.needs else item)
        else:
            again.append(item.file)
    return Agreed(verdicts=tuple(settled), again=tuple(again), columns=tuple(agreed.values()))


def unfit(file: SourceFile) -> Rejected:
    """The verdict on a file that does not fit what the batch agreed on, looked at twice."""
    return Rejected(
        file=file,
        reason=RejectReason.TYPE_CHANGED,
        detail="expected types that can be held together with those of the other files of its batch, found others",
    )


def _grown(own: Column, need: Column, known: Column | None) -> Column:
    """The column as it holds what is needed too; one that has rows stays what the files under it can be read as."""
    both = joined(own.type, need.type)
    if both is None or (known is not None and not grows(known.type, both)):
        return own
    return replace(own, type=both)


def _fits(item: Accepted, agreed: Mapping[str, Column]) -> bool:
    casts = {folded(cast.column): cast.wanted for cast in item.casts}
    places = ((column, agreed.get(folded(column.name))) for column in item.footer.columns)
    return all(
        place is None or registrable(casts.get(folded(column.name), column.type), place.type)
        for column, place in places
    )


def _settled(item: Accepted, agreed: Mapping[str, Column], stands: Mapping[str, Column]) -> Accepted:
    """The file with what it adds to the landing table as it is now, in the table's own spelling."""
    needs = [agreed[name] for column in item.footer.columns if (name := folded(column.name)) in agreed]
    known = {name: stands[name].type for name in stands}
    return replace(
        item,
        new_columns=tuple(need for need in needs if folded(need.name) not in known),
        grown=tuple(need for need in needs if known.get(folded(need.name), need.type) != need.type),
    )
