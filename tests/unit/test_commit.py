"""A batch and its verdicts become one request, and a request one certain outcome (P7–P9)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lakeray.steps import commit
from lakeray.values.column_types import parse_type
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
    Footer,
    Landed,
    LeaseIs,
    LedgerLacks,
    Refused,
    Rejected,
    RejectReason,
    SourceFile,
    StreamName,
    Unknown,
)

STREAM = StreamName("shop", "orders")
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LANDING = {"id": "BIGINT"}


def file(name: str) -> SourceFile:
    return SourceFile(key=f"shop/orders/{name}", etag=f"e-{name}", size_bytes=10, last_modified=AT)


def good(name: str, rows: int = 3, **new: str) -> Accepted:
    columns = (Column(name="id", type=parse_type("BIGINT")),)
    footer = Footer(rows=rows, row_groups=1, columns=columns, compressed_bytes=10, uncompressed_bytes=20)
    added = tuple(Column(name=column, type=parse_type(kind)) for column, kind in new.items())
    return Accepted(file=file(name), footer=footer, new_columns=added)


def bad(name: str, *, fatal: bool = False) -> Rejected:
    return Rejected(file=file(name), reason=RejectReason.CORRUPT, detail="expected this, found that", fatal=fatal)


def batch(*verdicts: Accepted | Rejected) -> Batch:
    return Batch(id="b" * 20, stream=STREAM, files=tuple(v.file for v in verdicts), size_bytes=10, projected_bytes=100)


def request(*verdicts: Accepted | Rejected, path: str | None = "old", to: str | None = "new") -> CommitRequest:
    return commit.prepare(
        batch(*verdicts),
        verdicts,
        id="c1",
        cursor=Cursor(stream=STREAM, path=path),
        cursor_path=to,
        landing=LANDING,
        token=7,
    )


def test_an_id_tells_when_what_and_which_attempt() -> None:
    assert commit.commit_id(batch(), at=AT, unique="abcd") == "20260301T123000-bbbbbbbb-abcd"


def test_a_request_states_everything_that_must_hold() -> None:
    made = request(good("a"), bad("b"), good("c"))
    assert set(map(type, made.requirements)) == {LeaseIs, CursorIs, ContractIs, LedgerLacks}
    assert LeaseIs(token=7) in made.requirements
    assert CursorIs(path="old") in made.requirements
    assert ContractIs(columns=LANDING) in made.requirements
    assert LedgerLacks(keys=("shop/orders/a", "shop/orders/c")) in made.requirements


def test_a_request_holds_the_good_files_and_the_record_of_the_bad_ones() -> None:
    made = request(good("a"), bad("b"), good("c", rows=5))
    assert [item.file.key for item in made.files] == ["shop/orders/a", "shop/orders/c"]
    assert [item.file.key for item in made.rejected] == ["shop/orders/b"]
    assert (made.rows, made.size_bytes, made.cursor_path) == (8, 20, "new")


def test_a_batch_of_bad_files_is_still_committed_and_does_not_move_the_cursor() -> None:
    made = request(bad("a"), bad("b"))
    assert (made.files, len(made.rejected), made.cursor_path) == ((), 2, "old")


def test_a_fatal_verdict_fails_the_stream_before_anything_is_written() -> None:
    with pytest.raises(ContractError) as failed:
        request(good("a"), bad("b", fatal=True))
    assert "shop/orders/b" in str(failed.value) and "on_type_change" in str(failed.value)


def test_of_two_files_that_add_one_column_the_first_adds_it() -> None:
    made = request(good("a", more="BIGINT"), good("b", MORE="BIGINT", other="TEXT"))
    assert [[column.name for column in item.new_columns] for item in made.files] == [["more"], ["other"]]
    assert made.rejected == ()


def test_of_two_files_that_add_one_column_with_two_types_the_second_is_rejected() -> None:
    made = request(good("a", more="BIGINT"), good("b", more="VARCHAR"), good("c"))
    assert [item.file.key for item in made.files] == ["shop/orders/a", "shop/orders/c"]
    assert [(item.reason, item.file.key) for item in made.rejected] == [(RejectReason.TYPE_CHANGED, "shop/orders/b")]
    assert "expected BIGINT" in made.rejected[0].detail and "found VARCHAR" in made.rejected[0].detail
    assert LedgerLacks(keys=("shop/orders/a", "shop/orders/c")) in made.requirements


def test_a_column_that_an_earlier_batch_added_is_not_added_again() -> None:
    made = request(good("a", ID="BIGINT"))
    assert made.files[0].new_columns == ()
    assert request(good("a", id="VARCHAR"), good("b")).rejected[0].reason is RejectReason.TYPE_CHANGED


class Answers:
    """A committer that answers as it is told."""

    def __init__(self, outcome: CommitOutcome, found: Landed | None = None) -> None:
        self.outcome = outcome
        self.found = found
        self.asked: list[str] = []

    def commit(self, request: CommitRequest) -> CommitOutcome:
        self.asked.append("commit")
        return self.outcome

    def read_back(self, commit_id: str) -> Landed | None:
        self.asked.append(f"read back {commit_id}")
        return self.found


def test_a_landed_commit_is_certain() -> None:
    answers = Answers(Landed(snapshot=5))
    assert commit.settle(answers, request(good("a"))) == (Landed(snapshot=5), False)
    assert answers.asked == ["commit"]


def test_a_lost_answer_is_read_back_and_never_sent_again() -> None:
    answers = Answers(Unknown(commit_id="c1", cause="gone"), Landed(snapshot=6))
    assert commit.settle(answers, request(good("a"))) == (Landed(snapshot=6), True)
    assert answers.asked == ["commit", "read back c1"]


def test_a_lost_answer_that_is_not_found_fails_and_never_sends_again() -> None:
    answers = Answers(Unknown(commit_id="c1", cause="the wire broke"))
    with pytest.raises(CatalogError) as failed:
        commit.settle(answers, request(good("a")))
    assert "c1" in str(failed.value) and "the wire broke" in str(failed.value)
    assert answers.asked == ["commit", "read back c1"]


@pytest.mark.parametrize(
    ("requirement", "error"),
    [
        (LeaseIs(token=7), LeaseLostError),
        (CursorIs(path="old"), CatalogError),
        (ContractIs(columns=LANDING), CatalogError),
        (LedgerLacks(keys=("a",)), CatalogError),
    ],
)
def test_a_refusal_is_an_error_by_what_the_operator_does_next(requirement, error: type[Exception]) -> None:
    answers = Answers(Refused(requirement=requirement, expected="this", found="that"))
    with pytest.raises(error) as failed:
        commit.settle(answers, request(good("a")))
    assert "expected this" in str(failed.value) and "found that" in str(failed.value)
    assert "nothing was written" in str(failed.value)
    assert answers.asked == ["commit"]
