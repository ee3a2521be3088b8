"""A batch and its verdicts become one request, and a request one certain outcome (P7–P9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from lakeray.steps import commit, validate
from lakeray.values.column_types import parse_type, same_type
from lakeray.values.errors import CatalogError, ContractError, LeaseLostError
from lakeray.values.model import (
    Accepted,
    Batch,
    Column,
    CommitOutcome,
    CommitRequest,
    Contract,
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
TERMS = Contract(columns=(Column(name="id", type=parse_type("BIGINT")),), primary_key=("id",))


def file(name: str) -> SourceFile:
    return SourceFile(key=f"shop/orders/{name}", etag=f"e-{name}", size_bytes=10, last_modified=AT)


def good(name: str, rows: int = 3, **columns: str) -> Accepted:
    """What validation says of a file with an id and these columns, when landing has but the id."""
    own = tuple(Column(name=column, type=parse_type(kind)) for column, kind in ({"id": "BIGINT"} | columns).items())
    footer = Footer(rows=rows, row_groups=1, columns=own, compressed_bytes=10, uncompressed_bytes=20)
    verdict = validate.verdict(file(name), footer, TERMS)
    assert isinstance(verdict, Accepted), verdict
    return verdict


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


def test_a_file_that_is_as_landing_is_stays_as_it_is() -> None:
    first, second = good("a"), good("b")
    agreed = commit.agree([first, bad("c"), second], LANDING)
    assert (agreed.verdicts, agreed.again) == ((first, bad("c"), second), ())


def needs(agreed: commit.Agreed) -> dict[str, str]:
    return {need.name: str(need.type) for item in agreed.verdicts if isinstance(item, Accepted) for need in item.needs}


@pytest.mark.parametrize("turned", [False, True])
def test_files_of_one_batch_bring_a_column_in_two_letter_cases(turned: bool) -> None:
    files = [good("a", Foo="BIGINT"), good("b", foo="BIGINT", other="TEXT")]
    agreed = commit.agree(files[::-1] if turned else files, LANDING)
    assert agreed.again == ()
    assert needs(agreed) == {"foo" if turned else "Foo": "BIGINT", "other": "VARCHAR"}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("INTEGER", "BIGINT", "BIGINT"),
        ("DECIMAL(5,2)", "DECIMAL(9,2)", "DECIMAL(9,2)"),
        ("STRUCT(a INTEGER)", "STRUCT(b TEXT, a BIGINT)", None),
        ("STRUCT(a INTEGER)[]", "STRUCT(a BIGINT)[]", 'STRUCT("a" BIGINT)[]'),
    ],
)
def test_files_of_one_batch_bring_a_column_in_two_widths(one: str, other: str, both: str | None, turned: bool) -> None:
    files = [good("a", more=one), good("b", more=other)]
    agreed = commit.agree(files[::-1] if turned else files, LANDING)
    assert agreed.again == ()
    found = parse_type(needs(agreed)["more"])
    assert same_type(found, parse_type(both or "STRUCT(a BIGINT, b TEXT)"))


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("narrow", "wide"), [("INTEGER", "DOUBLE"), ("DATE", "TIMESTAMP"), ("DECIMAL(9,2)", "DECIMAL(11,4)")]
)
def test_a_file_that_needs_a_copy_for_another_s_sake_is_looked_at_again(narrow: str, wide: str, turned: bool) -> None:
    files = [good("narrow", more=narrow), good("wide", more=wide)]
    agreed = commit.agree(files[::-1] if turned else files, LANDING)
    assert [item.key for item in agreed.again] == ["shop/orders/narrow"]
    second = validate.verdict(file("narrow"), files[0].footer, agreed.contract(TERMS))
    assert isinstance(second, Accepted) and [str(cast.wanted) for cast in second.casts] == [wide]
    final = commit.agree([*agreed.verdicts, second], LANDING, columns=agreed.columns)
    assert (final.again, needs(final)) == ((), {"more": wide})


def test_files_that_need_copies_for_each_other_s_sake_agree_all_the_same() -> None:
    files = [good("a", x="INTEGER", y="DOUBLE"), good("b", x="DOUBLE", y="INTEGER")]
    agreed = commit.agree(files, LANDING)
    assert len(agreed.again) == 2
    second = [validate.verdict(item.file, item.footer, agreed.contract(TERMS)) for item in files]
    final = commit.agree(second, LANDING, columns=agreed.columns)
    assert (final.again, needs(final)) == ((), {"x": "DOUBLE", "y": "DOUBLE"})


def test_of_two_files_that_add_one_column_with_types_that_nothing_holds_the_second_is_rejected() -> None:
    files = [good("a", more="BIGINT"), good("b", more="VARCHAR"), good("c")]
    agreed = commit.agree(files, LANDING)
    assert [item.key for item in agreed.again] == ["shop/orders/b"]
    second = validate.verdict(file("b"), files[1].footer, agreed.contract(TERMS))
    assert isinstance(second, Rejected) and second.reason is RejectReason.TYPE_CHANGED
    assert "expected BIGINT" in second.detail and "found VARCHAR" in second.detail


def test_files_of_one_layout_agree_together_and_what_does_not_fit_twice_is_rejected() -> None:
    first = good("a", more="INTEGER")
    agreed = commit.agree([first, replace(first, file=file("b")), good("c", more="DOUBLE")], LANDING)
    assert [item.key for item in agreed.again] == ["shop/orders/a", "shop/orders/b"]
    refused = commit.unfit(agreed.again[1])
    assert (refused.file, refused.reason, refused.fatal) == (file("b"), RejectReason.TYPE_CHANGED, False)


def test_a_column_that_an_earlier_batch_added_is_not_added_again() -> None:
    agreed = commit.agree([good("a", more="BIGINT")], {**LANDING, "More": "BIGINT"})
    assert (agreed.again, needs(agreed)) == ((), {})


def test_a_column_that_an_earlier_batch_added_grows_where_files_under_it_stay_readable() -> None:
    stands = {**LANDING, "more": "INTEGER", "s": "STRUCT(a BIGINT)"}
    agreed = commit.agree([good("a", more="BIGINT", s="STRUCT(b TEXT)")], stands)
    assert (agreed.again, needs(agreed)) == ((), {"more": "BIGINT", "s": 'STRUCT("a" BIGINT, "b" VARCHAR)'})
    assert all(not item.new_columns for item in agreed.verdicts if isinstance(item, Accepted))
    agreed = commit.agree([good("a", more="DOUBLE")], stands)
    assert ([item.key for item in agreed.again], agreed.columns[1].type) == (["shop/orders/a"], parse_type("INTEGER"))


def test_a_file_that_was_validated_before_a_column_came_is_looked_at_again_when_it_does_not_fit_it() -> None:
    assert commit.agree([good("a", more="INTEGER")], {**LANDING, "more": "DOUBLE"}).again
    assert commit.agree([good("a", more="NULL")], {**LANDING, "more": "VARCHAR"}).again
    assert not commit.agree([good("a", more="INTEGER")], {**LANDING, "more": "BIGINT"}).again


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
