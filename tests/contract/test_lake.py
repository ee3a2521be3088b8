"""``CatalogReader`` and ``Committer``: what both the in-memory lake and DuckLake promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lakeray.feed import StreamFeed
from lakeray.planning import Days
from lakeray.ports.catalog import Known
from lakeray.ports.storage import ObjectStore
from lakeray.steps.clean import RawRules
from lakeray.values.column_types import parse_type, same_type
from lakeray.values.enriched import EnrichOrder
from lakeray.values.errors import ContractError, DamageError, TransformError
from lakeray.values.faults import FaultPoint
from lakeray.values.model import (
    Column,
    CommitRequest,
    Contract,
    ContractIs,
    CursorIs,
    Landed,
    LeaseIs,
    LedgerLacks,
    MergedBy,
    ObjectPolicy,
    OnNewColumn,
    RawPolicy,
    Rebuild,
    Refused,
    Rejected,
    RejectReason,
    Removal,
    Requirement,
    StreamName,
    StreamStatus,
)
from lakeray.values.requirements import State, first_unmet
from tests.contract.lakes import CONTRACT, EVER, InMemory, Lake, OnDisk
from tests.support.fakes.feeds import BUDGET, key_for
from tests.support.fakes.records import COLUMNS, STREAM, of_generation, row

A, B, C, D = (key_for(date(2026, 3, day)) for day in (1, 2, 10, 11))
ODD = ["it's.parquet", "a b.parquet", "é–ü.parquet", "100%25.parquet", "a#b?.parquet", "g*.parquet", 'q".parquet']


@pytest.fixture(params=["memory", "extension", "catalog"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Lake]:
    if request.param == "memory":
        yield InMemory()
        return
    folder = tmp_path / "it's 100% a lake"
    opened = OnDisk(folder, request.getfixturevalue("extension_directory"), writer=request.param)
    yield opened
    opened.close()


@pytest.fixture
def on_disk(tmp_path: Path, extension_directory: Path) -> Iterator[OnDisk]:
    opened = OnDisk(tmp_path / "lake", extension_directory)
    yield opened
    opened.close()


@pytest.fixture
def by_call(tmp_path: Path, extension_directory: Path) -> Iterator[OnDisk]:
    opened = OnDisk(tmp_path / "lake", extension_directory, writer="extension")
    yield opened
    opened.close()


@pytest.fixture
def ready(lake: Lake) -> Lake:
    """With its landing table."""
    lake.committer.ensure_landing(STREAM, CONTRACT)
    return lake


def without(request: CommitRequest, kind: type) -> CommitRequest:
    return replace(request, requirements=tuple(item for item in request.requirements if not isinstance(item, kind)))


# ---- an empty lake -------------------------------------------------------------------------------------------------


def test_an_empty_lake_reads_as_empty(lake: Lake) -> None:
    reader = lake.reader
    assert (reader.cursor(STREAM).path, reader.cursor(STREAM).transformed_snapshot) == (None, 0)
    assert dict(reader.known(STREAM, since=None)) == {}
    assert list(reader.quarantined(None)) == []
    assert (reader.landing_columns(STREAM), reader.pending_transform(STREAM)) == (None, None)
    assert (reader.totals(STREAM), reader.last_batch(STREAM)) == ((0, None), None)
    assert list(reader.history(A)) == []
    assert not reader.enriched_is_stale()


# ---- landing tables ------------------------------------------------------------------------------------------------


def test_a_landing_table_is_made_once(lake: Lake) -> None:
    assert len(lake.committer.ensure_landing(STREAM, CONTRACT)) == 1
    before = lake.head()
    assert list(lake.committer.ensure_landing(STREAM, CONTRACT)) == []
    assert lake.head() == before
    columns = lake.reader.landing_columns(STREAM)
    assert columns is not None
    assert {name: parse_type(kind) for name, kind in columns.items()} == {
        name: parse_type(kind) for name, kind in COLUMNS.items()
    }


def test_a_landing_table_gets_missing_columns_and_keeps_others(ready: Lake) -> None:
    wider = replace(CONTRACT, columns=(*CONTRACT.columns, Column(name="Extra", type=parse_type("DOUBLE"))))
    (change,) = ready.committer.ensure_landing(STREAM, wider)
    assert "Extra" in change
    assert list(ready.committer.ensure_landing(STREAM, CONTRACT)) == []
    assert list(ready.reader.landing_columns(STREAM) or {}) == [*COLUMNS, "Extra"]


def changed(kind: str) -> Contract:
    columns = tuple(replace(c, type=parse_type(kind)) if c.name == "pk" else c for c in CONTRACT.columns)
    return replace(CONTRACT, columns=columns)


@pytest.mark.parametrize("merged", [False, True])
def test_a_landing_column_with_rows_is_never_narrowed_or_changed(ready: Lake, merged: bool) -> None:
    ready.put(A, row(1, "a"))
    ready.take_in(A)
    if merged:  # and then its rows are in the processed table alone
        ready.merge()
        ready.committer.remove(
            STREAM, ready.reader.registered(STREAM, first=date.min, last=date.max), reason=Removal.RETENTION
        )
    before = ready.state()
    for kind in ("INTEGER", "VARCHAR", "DOUBLE"):
        with pytest.raises(ContractError, match="lakeray rebuild"):
            ready.committer.ensure_landing(STREAM, changed(kind))
    assert ready.state() == before


def test_a_landing_column_without_rows_becomes_what_the_config_says(ready: Lake) -> None:
    for kind in ("INTEGER", "VARCHAR", "BIGINT"):
        (change,) = ready.committer.ensure_landing(STREAM, changed(kind))
        assert change.endswith(f"pk to {kind}")
        assert (ready.reader.landing_columns(STREAM) or {})["pk"] == kind
        assert list(ready.committer.ensure_landing(STREAM, changed(kind))) == []
    ready.put(A, row(1, "a"))
    ready.take_in(A)
    ready.merge()
    assert ready.processed() == {1: (0, "a")}


def test_fields_that_files_added_stay_whatever_the_config_says(ready: Lake) -> None:
    ready.put(A, row(1) | {"s": {"a": 1, "b": "x"}}, columns=COLUMNS | {"s": "STRUCT(a BIGINT, b VARCHAR)"})
    ready.take_in(A)
    narrower = Column(name="s", type=parse_type("STRUCT(c VARCHAR, a BIGINT)"))
    ready.committer.ensure_landing(STREAM, replace(CONTRACT, columns=(*CONTRACT.columns, narrower)))
    kind = (ready.reader.landing_columns(STREAM) or {})["s"]
    assert same_type(parse_type(kind), parse_type("STRUCT(a BIGINT, b VARCHAR, c VARCHAR)"))


def test_the_key_is_noted_and_stays_while_rows_are_merged_by_it(ready: Lake) -> None:
    other = replace(CONTRACT, primary_key=("pk", "value"), newest_first=("cursor",))
    assert ready.reader.contract_notes(STREAM).merged_by == MergedBy(primary_key=("pk",), newest_first=())
    ready.committer.ensure_landing(STREAM, other)
    assert ready.reader.contract_notes(STREAM).merged_by == MergedBy(
        primary_key=("pk", "value"), newest_first=("cursor",)
    )
    ready.committer.ensure_landing(STREAM, CONTRACT)
    ready.put(A, row(1, "a"))
    ready.take_in(A)
    ready.merge()
    before = ready.state()
    for wrong in (other, replace(CONTRACT, newest_first=("cursor",))):
        with pytest.raises(ContractError, match=f"lakeray rebuild .stream={STREAM}"):
            ready.committer.ensure_landing(STREAM, wrong)
    assert ready.state() == before


def test_what_the_cursor_is_compared_as_is_noted_and_stays_until_a_rebuild(ready: Lake) -> None:
    own = replace(CONTRACT, newest_first=("cursor",))
    text, number = replace(own, cursor_type="VARCHAR"), replace(own, cursor_type="BIGINT")
    for contract, kept in ((own, None), (number, "BIGINT"), (text, "VARCHAR"), (own, "VARCHAR")):
        ready.committer.ensure_landing(STREAM, contract)  # nothing is merged yet
        noted = ready.reader.contract_notes(STREAM).merged_by
        assert noted == MergedBy(primary_key=("pk",), newest_first=("cursor",), cursor_type=kept)
    ready.put(A, row(1, "a"))
    ready.take_in(A)
    ready.merge()
    with pytest.raises(ContractError, match="another cursor type") as refused:
        ready.committer.ensure_landing(STREAM, number)
    assert (refused.value.expected, refused.value.found) == ("VARCHAR", "BIGINT")
    change = Rebuild(
        stream=STREAM, key=("pk",), newest_first=("cursor",), noted=noted, cursor_type="BIGINT", notes_cursor_type=True
    )
    assert change.orders_anew
    ready.committer.rebuild(change, merged_through=ready.reader.cursor(STREAM).transformed_snapshot)
    assert ready.committer.ensure_landing(STREAM, number) == []
    ready.committer.rebuild(
        replace(change, notes_cursor_type=False), merged_through=ready.reader.cursor(STREAM).transformed_snapshot
    )
    noted = ready.reader.contract_notes(STREAM).merged_by
    assert noted is not None and noted.cursor_type is None


# ---- what files bring ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turned", [False, True])
def test_two_files_of_one_batch_bring_a_column_in_two_letter_cases_and_widths(ready: Lake, turned: bool) -> None:
    files = [("Foo", "INTEGER", 7, A), ("foo", "BIGINT", 2**40, B)]
    for name, kind, value, key in files:
        ready.put(key, row(value % 97) | {name: value}, columns=COLUMNS | {name: kind})
    keys = [key for *_, key in files]
    landed = ready.take_in(*(keys[::-1] if turned else keys))
    assert landed.registered_by in ("", "catalog writer") or isinstance(ready, OnDisk)
    columns = ready.reader.landing_columns(STREAM) or {}
    assert [(name, columns[name]) for name in columns if name not in COLUMNS] == [
        ("foo" if turned else "Foo", "BIGINT")
    ]
    if isinstance(ready, OnDisk):
        assert ready.query(f"SELECT foo FROM lakehouse.staging.{STREAM.landing_table} ORDER BY 1") == [(7,), (2**40,)]
        found = ready.query(f"SELECT pk FROM lakehouse.staging.{STREAM.landing_table} WHERE Foo > 2000000000")
        assert found == [(2**40 % 97,)]


NESTED = {
    "s": ("STRUCT(a BIGINT)", {"a": 1}, "STRUCT(a BIGINT, b VARCHAR)", {"a": 2, "b": "x"}, "s.b = 'x'"),
    "list": ("STRUCT(a BIGINT)[]", [{"a": 1}], "STRUCT(a BIGINT, b VARCHAR)[]", [{"a": 2, "b": "x"}], "s[1].b = 'x'"),
    "lists": (
        "STRUCT(a BIGINT)[][]",
        [[{"a": 1}]],
        "STRUCT(a BIGINT, b STRUCT(c VARCHAR[]))[][]",
        [[{"a": 2, "b": {"c": ["x"]}}]],
        "s[1][1].b.c[1] = 'x'",
    ),
    "map": (
        "MAP(VARCHAR, STRUCT(a BIGINT))",
        [("k", {"a": 1})],
        "MAP(VARCHAR, STRUCT(a BIGINT, b VARCHAR))",
        [("k", {"a": 2, "b": "x"})],
        "s['k'].b = 'x'",
    ),
    "deep": (
        "STRUCT(a STRUCT(b STRUCT(c BIGINT)))",
        {"a": {"b": {"c": 1}}},
        'STRUCT(a STRUCT(b STRUCT(c BIGINT, "d.e" VARCHAR), "it\'s" BIGINT))',
        {"a": {"b": {"c": 2, "d.e": "x"}, "it's": 5}},
        "s.a.b.\"d.e\" = 'x'",
    ),
}


@pytest.mark.parametrize("case", NESTED)
@pytest.mark.parametrize("together", [True, False], ids=["one batch", "two"])
def test_a_nested_field_that_a_file_brings_is_added(ready: Lake, case: str, together: bool) -> None:
    old, first, new, second, condition = NESTED[case]
    ready.put(A, row(1) | {"s": first}, columns=COLUMNS | {"s": old})
    ready.put(B, row(2) | {"s": second}, columns=COLUMNS | {"s": new})
    batches = [[A, B]] if together else [[A], [B]]
    for keys in batches:
        ready.take_in(*keys)
    assert same_type(parse_type((ready.reader.landing_columns(STREAM) or {})["s"]), parse_type(new))
    if isinstance(ready, OnDisk):
        found = ready.query(f"SELECT pk FROM lakehouse.staging.{STREAM.landing_table} WHERE {condition}")
        assert found == [(2,)]
        assert ready.query(f"SELECT count(s) FROM lakehouse.staging.{STREAM.landing_table}") == [(2,)]


def test_fields_that_are_left_out_are_noted_with_the_commit_and_go_with_the_file(lake: Lake) -> None:
    terms = replace(CONTRACT, on_new_column=OnNewColumn.IGNORE)
    lake.rules = replace(lake.rules, contract=terms)
    lake.committer.ensure_landing(STREAM, terms)
    for key, number in ((A, 1), (B, 2), (C, 3)):
        lake.put(key, row(number) | {"more": "x"}, columns=COLUMNS | {"more": "VARCHAR"})
    lake.take_in(A, B, C)
    assert lake.reader.contract_notes(STREAM).left_out == {(("more",),): 3}
    files = lake.reader.left_out_files(STREAM)
    assert [(item.key, item.fields, item.refused) for item in files] == [(key, (("more",),), None) for key in (A, B, C)]
    assert [item.etag for item in files] == [lake.store.head(key).etag for key in (A, B, C)]  # type: ignore[union-attr]
    lake.committer.refuse_left_out(STREAM, {A: "no place"})
    assert lake.reader.contract_notes(STREAM).left_out == {(("more",),): 2}
    assert [item.refused for item in lake.reader.left_out_files(STREAM)] == ["no place", None, None]
    lake.merge()
    entries = lake.reader.registered(STREAM, first=date.min, last=date.max)
    lake.committer.remove(STREAM, [entry for entry in entries if entry.key == A], reason=Removal.RETENTION)
    gone = [entry for entry in entries if entry.key == B]
    lake.committer.forget(STREAM, paths=[gone[0].registered_path], entries=gone, reason=Removal.CHANGED)
    assert [item.key for item in lake.reader.left_out_files(STREAM)] == [C]


def test_files_leave_landing_to_be_registered_anew(ready: Lake) -> None:
    for key, number in ((A, 1), (B, 2)):
        ready.put(key, row(number, "x"))
    ready.take_in(A, B)
    ready.merge()
    entries = [e for e in ready.reader.registered(STREAM, first=date.min, last=date.max) if e.key == A]
    assert ready.committer.reregister(STREAM, entries, reason=Removal.REREGISTER, replaces=True) == 1
    assert ready.landing() == [(2, "x")]
    assert [(entry.key, entry.status) for entry in ready.reader.quarantined(STREAM)] == [(A, "retry")]
    assert ready.feed().files == 1
    assert ready.landing() == [(1, "x"), (2, "x")]
    assert list(ready.reader.quarantined(STREAM)) == []
    assert [entry.removed_because for entry in ready.reader.history(A)] == ["reregister", None]


def test_a_table_is_rebuilt_by_another_key_from_its_rows_and_landing_s(ready: Lake) -> None:
    ready.put(A, row(1, "a", cursor=1), row(2, "b", cursor=1))
    ready.put(B, row(1, "c", cursor=2))
    ready.take_in(A, B)
    ready.merge()
    assert ready.processed() == {1: (2, "c"), 2: (1, "b")}
    noted = ready.reader.contract_notes(STREAM).merged_by
    change = Rebuild(stream=STREAM, key=("pk", "value"), newest_first=(), noted=noted)
    assert change.orders_anew and change.is_needed
    mark = ready.reader.cursor(STREAM).transformed_snapshot
    ready.committer.enrich()
    assert not ready.reader.enriched_is_stale()
    ready.committer.rebuild(change, merged_through=mark)
    assert ready.reader.contract_notes(STREAM).merged_by == MergedBy(primary_key=("pk", "value"), newest_first=())
    assert ready.reader.enriched_is_stale()
    back = Rebuild(stream=STREAM, key=("pk",), newest_first=(), noted=ready.reader.contract_notes(STREAM).merged_by)
    counts = ready.reader.rebuild_counts(back, merged_through=mark)  # type: ignore[attr-defined]
    assert (counts.rows, counts.merging, counts.lost) == (3, 1, 0)
    ready.committer.rebuild(back, merged_through=mark)
    assert ready.processed() == {1: (2, "c"), 2: (1, "b")}


# ---- a commit ------------------------------------------------------------------------------------------------------


def test_a_commit_lands_data_ledger_and_cursor_in_one_snapshot(ready: Lake) -> None:
    ready.put(A, row(1, "a"), row(2, "b"))
    ready.put(B, row(3, "c"))
    before = ready.head()
    landed = ready.take_in(A, B)
    assert landed.snapshot == ready.head() == before + 1
    assert ready.landing() == [(1, "a"), (2, "b"), (3, "c")]
    assert ready.reader.cursor(STREAM).path == B
    assert {key: entry.live for key, entry in ready.reader.known(STREAM, since=None).items()} == {A: True, B: True}
    assert ready.reader.totals(STREAM) == (2, landed.snapshot)
    pending = ready.reader.pending_transform(STREAM)
    assert pending is not None and (pending.from_snapshot, pending.to_snapshot) == (landed.snapshot,) * 2


def test_the_ledger_tells_everything_of_a_file(ready: Lake) -> None:
    file = ready.put(A, row(1), row(2))
    request = ready.request(A)
    landed = ready.committer.commit(request)
    assert isinstance(landed, Landed)
    (entry,) = ready.reader.history(A)
    assert (entry.key, entry.etag, entry.size_bytes, entry.rows) == (A, file.etag, file.size_bytes, 2)
    assert (entry.day, entry.batch_id, entry.commit_id) == (date(2026, 3, 1), request.batch_id, request.commit_id)
    assert (entry.snapshot, entry.registered_path) == (landed.snapshot, ready.store.url(A))
    assert (entry.taken_at, entry.removed_at, entry.removed_because) == (ready.clock.now(), None, None)
    batch = ready.reader.last_batch(STREAM)
    assert batch is not None and (batch.files, batch.rows, batch.size_bytes) == (1, 2, file.size_bytes)
    assert (batch.commit_id, batch.snapshot, batch.committed_at) == (
        request.commit_id,
        landed.snapshot,
        ready.clock.now(),
    )


def test_a_commit_of_rejected_files_alone_records_them_and_moves_nothing(ready: Lake) -> None:
    ready.put_bytes(A, b"this is no Parquet at all")
    ready.take_in(A)
    (entry,) = ready.reader.quarantined(STREAM)
    assert (entry.key, entry.reason, entry.status, entry.seen_at) == (A, "not_parquet", "rejected", ready.clock.now())
    assert ready.reader.cursor(STREAM).path is None
    assert ready.reader.totals(STREAM)[0] == 0
    assert ready.reader.pending_transform(STREAM) is None


def test_read_back_finds_what_landed_and_nothing_else(ready: Lake) -> None:
    ready.put(A, row(1))
    request = ready.request(A)
    assert ready.committer.read_back(request.commit_id) is None
    landed = ready.committer.commit(request)
    found = ready.committer.read_back(request.commit_id)
    assert isinstance(landed, Landed) and found is not None and found.snapshot == landed.snapshot
    assert ready.committer.read_back("another") is None


def lease(request: CommitRequest) -> CommitRequest:
    return replace(without(request, LeaseIs), requirements=(*without(request, LeaseIs).requirements, LeaseIs(token=99)))


def cursor(request: CommitRequest) -> CommitRequest:
    return replace(request, requirements=(*without(request, CursorIs).requirements, CursorIs(path="elsewhere")))


def contract(request: CommitRequest) -> CommitRequest:
    other = ContractIs(columns={"pk": "BIGINT"})
    return replace(request, requirements=(*without(request, ContractIs).requirements, other))


def ledger(request: CommitRequest) -> CommitRequest:
    lacks = LedgerLacks(keys=(A, *(item.file.key for item in request.files)))
    return replace(request, requirements=(*without(request, LedgerLacks).requirements, lacks))


def test_a_requirement_that_fails_writes_nothing_and_says_what_was_found(ready: Lake) -> None:
    ready.put(A, row(1))
    ready.take_in(A)
    ready.put(B, row(2), columns=COLUMNS | {"extra": "VARCHAR"})
    ready.put_bytes(C, b"no Parquet, for the record")
    good, before = ready.request(B, C), ready.state()
    for change, kind, expected, found in (
        (lease, LeaseIs, "token 99", "token"),
        (cursor, CursorIs, "elsewhere", A),
        (contract, ContractIs, "no column _airbyte_raw_id", "column _airbyte_raw_id VARCHAR"),
        (ledger, LedgerLacks, "not taken in", A),
    ):
        outcome = ready.committer.commit(change(good))
        assert isinstance(outcome, Refused) and isinstance(outcome.requirement, kind)
        assert expected in outcome.expected and found in outcome.found
    assert ready.state() == before
    assert ready.committer.read_back(good.commit_id) is None
    assert isinstance(ready.committer.commit(good), Landed)


def test_a_column_that_came_after_the_plan_is_named(ready: Lake) -> None:
    ready.put(A, row(1))
    request = ready.request(A)
    wider = (*CONTRACT.columns, Column(name="since", type=parse_type("STRUCT(a BIGINT)")))
    ready.committer.ensure_landing(STREAM, replace(CONTRACT, columns=wider))
    outcome = ready.committer.commit(request)
    assert isinstance(outcome, Refused)
    assert (outcome.expected, outcome.found) == ("no column since", 'column since STRUCT("a" BIGINT)')


def _kind(change: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda columns: columns | {"value": change}


CONTRACTS: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "as it is": dict,
    "in another order": lambda columns: dict(reversed(columns.items())),
    "in another spelling": lambda columns: columns | {"value": "TEXT"},
    "another type": _kind("STRUCT(a BIGINT, b VARCHAR[])"),
    "one more": lambda columns: {**columns, "more": "BIGINT"},
    "one less": lambda columns: {name: kind for name, kind in columns.items() if name != "pk"},
    "nothing": lambda columns: {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """What a request requires, in words that hold for every lake."""

    token: int
    path: str | None
    contract: str
    keys: tuple[str, ...]
    paths: tuple[str, ...]
    order: tuple[int, ...]

    def of(self, good: CommitRequest, store: ObjectStore) -> CommitRequest:
        """The request of files whose registered paths are those of ``paths``."""
        (columns,) = (dict(item.columns) for item in good.requirements if isinstance(item, ContractIs))
        stated: list[Requirement] = [
            LeaseIs(token=self.token),
            CursorIs(path=self.path),
            ContractIs(columns=CONTRACTS[self.contract](columns)),
            LedgerLacks(keys=self.keys),
        ]
        files = tuple(
            replace(item, registered_path=store.url(key)) for item, key in zip(good.files, self.paths, strict=True)
        )
        return replace(good, files=files, requirements=tuple(stated[at] for at in self.order))


stated = st.builds(
    Stated,
    token=st.sampled_from([1, 1, 1, 0, 99]),
    path=st.sampled_from([B, B, B, None, A, "elsewhere"]),
    contract=st.one_of(st.just("as it is"), st.sampled_from(sorted(CONTRACTS))),
    keys=st.lists(st.sampled_from([A, B, C, D]), max_size=4).map(tuple),
    paths=st.tuples(st.sampled_from([C, C, A]), st.sampled_from([D, D, B])),
    order=st.permutations(range(4)).map(tuple),
)


@pytest.fixture
def three(tmp_path: Path, extension_directory: Path) -> Iterator[list[Lake]]:
    lakes: list[Lake] = [InMemory()]
    lakes += [OnDisk(tmp_path / by, extension_directory, writer=by) for by in ("extension", "catalog")]
    for lake in lakes:
        lake.committer.ensure_landing(STREAM, CONTRACT)
        for number, key in enumerate((A, B, C, D)):
            lake.put(key, row(number))
        lake.take_in(A, B)
    yield lakes
    for lake in lakes:
        if isinstance(lake, OnDisk):
            lake.close()


def _word(text: str, lake: Lake) -> str:
    return text.replace(lake.store.url(""), "")


def test_every_writer_refuses_the_same_in_the_same_words(three: list[Lake]) -> None:
    good = [(lake, lake.request(C, D)) for lake in three]
    before = [lake.state() for lake in three]

    @given(what=stated)
    @settings(max_examples=60, deadline=None)
    def refused_alike(what: Stated) -> None:
        (_, first), *_ = good
        state = State(
            token=1,
            cursor_path=B,
            columns=dict(three[0].reader.landing_columns(STREAM) or {}),
            live_keys={A, B},
            live_paths={A, B} & set(what.paths),
        )
        wanted = first_unmet(what.of(first, three[0].store).requirements, state)
        assume(wanted is not None)
        for lake, request in good:
            outcome = lake.committer.commit(what.of(request, lake.store))
            assert isinstance(outcome, Refused), (lake, outcome)
            assert wanted is not None and type(outcome.requirement) is type(wanted.requirement)
            assert _word(outcome.expected, lake) == wanted.expected
            assert _word(outcome.found, lake) == wanted.found

    refused_alike()
    assert [lake.state() for lake in three] == before
    for lake, request in good:
        assert isinstance(lake.committer.commit(request), Landed)


def test_the_same_request_twice_is_once(ready: Lake) -> None:
    ready.put(A, row(1))
    request = ready.request(A)
    assert isinstance(ready.committer.commit(request), Landed)
    before = ready.state()
    assert isinstance(ready.committer.commit(request), Refused)
    assert isinstance(ready.committer.commit(without(request, CursorIs)), Refused)
    assert ready.state() == before


def test_streams_do_not_see_each_other(ready: Lake) -> None:
    ready.put(A, row(1))
    ready.take_in(A)
    other = StreamName("shop", "refunds")
    assert (ready.reader.cursor(other).path, dict(ready.reader.known(other, since=None))) == (None, {})
    assert (ready.reader.totals(other), ready.reader.pending_transform(other)) == ((0, None), None)


# ---- files that turn bad, and odd names ----------------------------------------------------------------------------


NO_PARQUET = b"overwritten by something that is no Parquet"


def after_validation(lake: Lake, happen: Callable[[], object]) -> None:
    """Let something happen to the objects between their validation and their commit."""
    validate = lake.executor.validate

    def then_happens(*arguments: Any, **named: Any) -> Iterator[Any]:
        for checked in validate(*arguments, **named):
            happen()
            yield checked

    lake.executor.validate = then_happens  # type: ignore[method-assign]


def overwrite_and_delete(lake: Lake, data: bytes | None) -> None:
    if data is None:
        lake.put(A, row(0, "rewritten, and longer"))
    else:
        lake.put_bytes(A, data)
    lake.store.delete(C)


@pytest.mark.parametrize("data", [NO_PARQUET, None], ids=["no_parquet", "of_the_same_layout"])
def test_files_that_changed_or_vanished_since_validation_block_nobody(lake: Lake, data: bytes | None) -> None:
    """Whoever registers, and whether the commit or the merge finds it: the stream does not fail, the others are in."""
    for number, key in enumerate((A, B, C)):
        lake.put(key, row(number))
    after_validation(lake, lambda: overwrite_and_delete(lake, data))
    assert lake.feed(retention_days=99).error is None
    del lake.executor.validate
    assert lake.feed(retention_days=99).error is None
    held = {entry.key: (entry.reason, entry.status) for entry in lake.reader.quarantined(STREAM)}
    left_out_by_the_commit = isinstance(lake, OnDisk) and lake.writer == "extension" and data is not None
    if not left_out_by_the_commit:  # registered, and then found to be another one: an operator decides (P14)
        assert held[A] == ("changed", "waits")
        assert lake.committer.set_quarantine([A], status="retry") == [A]
        assert lake.feed(retention_days=99).error is None
    assert (B in lake.reader.known(STREAM, since=None), C in lake.reader.known(STREAM, since=None)) == (True, False)
    if data is None:
        assert lake.landing() == [(0, "rewritten, and longer"), (1, "")]
        assert lake.processed() == {0: (0, "rewritten, and longer"), 1: (0, "")}
    else:
        assert lake.landing() == [(1, "")]
        assert {entry.key: entry.reason for entry in lake.reader.quarantined(STREAM)}[A] == "not_parquet"


def test_ducklakes_own_call_leaves_out_what_changed_or_vanished_since_validation(by_call: OnDisk) -> None:
    by_call.committer.ensure_landing(STREAM, CONTRACT)
    for number, key in enumerate((A, B, C)):
        by_call.put(key, row(number))
    request = by_call.request(A, B, C)
    overwrite_and_delete(by_call, NO_PARQUET)
    landed = by_call.committer.commit(request)
    assert isinstance(landed, Landed) and landed.request is not None
    assert [item.file.key for item in landed.request.files] == [B]
    assert {entry.key: entry.reason for entry in by_call.reader.quarantined(STREAM)} == {A: "changed", C: "vanished"}
    assert by_call.landing() == [(1, "")]
    assert set(by_call.reader.known(STREAM, since=None)) == {B}


# ---- objects that change after they were taken in ------------------------------------------------------------------


def test_a_registered_object_that_changed_leaves_landing_and_its_new_one_waits(lake: Lake) -> None:
    lake.put(A, row(0, "old", cursor=1))
    lake.put(B, row(1))
    assert lake.feed(retention_days=99).error is None
    lake.put(A, row(0, "new, and longer", cursor=2))
    report = lake.feed(retention_days=99)
    assert (report.error, report.status, report.changed, report.files) == (None, StreamStatus.OK, 1, 0)
    assert lake.landing() == [(1, "")]
    assert lake.processed()[0] == (1, "old")
    assert [(entry.key, entry.reason, entry.status) for entry in lake.reader.quarantined(STREAM)] == [
        (A, "changed", "waits")
    ]
    assert [entry.removed_because for entry in lake.reader.history(A)] == ["changed"]
    before = lake.state()
    report = lake.feed(retention_days=99)
    assert (report.status, report.changed, lake.state()) == (StreamStatus.NOTHING_NEW, 1, before)
    assert list(lake.committer.set_quarantine([A], status="retry")) == [A]
    assert lake.feed(retention_days=99).files == 1
    assert lake.landing() == [(0, "new, and longer"), (1, "")]
    assert lake.processed()[0] == (2, "new, and longer")


def test_a_wrong_place_empties_no_table_and_what_is_accepted_is_forgotten(lake: Lake) -> None:
    keys = [key_for(date(2026, 3, 10), f"part_{number}.parquet") for number in range(5)]
    for number, key in enumerate(keys):
        lake.put(key, row(number))
    assert lake.feed().error is None
    head = lake.head()
    for key in keys[1:]:
        lake.store.delete(key)
    report = lake.feed(on_vanished=ObjectPolicy.DROP)
    assert report.error is not None and (report.error["kind"], lake.head()) == ("not_there", head)
    report = lake.feed(accept_empty=True)
    assert (report.error, report.vanished, lake.landing()) == (None, 4, [(0, "")])
    assert len(lake.processed()) == 5
    assert lake.feed().status is StreamStatus.NOTHING_NEW


def test_a_key_may_hold_any_character(ready: Lake) -> None:
    keys = [key_for(date(2026, 3, 1), name) for name in ODD]
    for number, key in enumerate(keys):
        ready.put(key, row(number, key))
    ready.put(A, row(99))
    everything = [(number, key) for number, key in enumerate(keys)]
    ready.take_in(*keys)
    assert ready.landing() == everything
    ready.take_in(A)
    assert ready.landing() == [*everything, (99, "")]
    assert set(ready.reader.known(STREAM, since=None)) == {*keys, A}
    ready.merge()
    entries = [entry for key in keys for entry in ready.reader.history(key)]
    assert ready.committer.remove(STREAM, entries, reason=Removal.RETENTION) == len(keys)
    ready.committer.expire(older_than=EVER)
    assert ready.landing() == [(99, "")] and ready.keys() == {A}


def test_a_name_that_reads_as_a_glob_takes_in_itself_alone(ready: Lake) -> None:
    glob, plain = (key_for(date(2026, 3, 1), name) for name in ("g[1].parquet", "g1.parquet"))
    ready.put(glob, row(1, "glob"))
    ready.put(plain, row(2, "plain"))
    ready.take_in(glob)
    assert ready.landing() == [(1, "glob")]
    ready.take_in(plain)
    assert ready.landing() == [(1, "glob"), (2, "plain")]
    ready.merge()
    ready.committer.remove(STREAM, ready.reader.history(glob), reason=Removal.RETENTION)
    ready.committer.expire(older_than=EVER)
    assert (ready.landing(), ready.keys()) == ([(2, "plain")], {plain})


def test_a_hive_named_column_keeps_the_values_of_the_file(ready: Lake) -> None:
    ready.put(A, {**row(1), "day": 77}, columns=COLUMNS | {"day": "BIGINT"})
    ready.take_in(A)
    assert "day" in (ready.reader.landing_columns(STREAM) or {})
    if isinstance(ready, OnDisk):
        assert ready.query(f"SELECT day FROM lakehouse.staging.{STREAM.landing_table}") == [(77,)]


def test_new_columns_come_with_the_commit(ready: Lake) -> None:
    ready.put(A, row(1), columns=COLUMNS | {"Extra one": "VARCHAR"})
    ready.put(B, row(2))
    before = ready.head()
    ready.take_in(A, B)
    widened_first = isinstance(ready, OnDisk) and ready.writer == "catalog"  # in a snapshot of its own (ADR 0015)
    assert ready.head() == before + (2 if widened_first else 1)
    assert list(ready.reader.landing_columns(STREAM) or {}) == [*COLUMNS, "Extra one"]
    ready.put(C, row(3), columns=COLUMNS | {"extra ONE": "VARCHAR"})
    ready.take_in(C)
    assert list(ready.reader.landing_columns(STREAM) or {}) == [*COLUMNS, "Extra one"]
    assert len(ready.landing()) == 3


# ---- marks and transforms ------------------------------------------------------------------------------------------


def test_a_transform_moves_no_mark_and_repeating_it_changes_nothing(ready: Lake) -> None:
    ready.put(A, row(1, "old", cursor=1), row(1, "new", cursor=2), row(2, "none", cursor=None))
    ready.take_in(A)
    pending = ready.reader.pending_transform(STREAM)
    assert pending is not None
    ready.committer.transform(pending)
    first = ready.processed()
    assert first == {1: (2, "new"), 2: (None, "none")}
    assert ready.reader.pending_transform(STREAM) == pending
    ready.committer.transform(pending)
    assert ready.processed() == first
    ready.committer.advance(pending)
    assert ready.reader.pending_transform(STREAM) is None


def test_transformed_through_never_goes_back_but_by_rewind(ready: Lake) -> None:
    for number, key in enumerate((A, B)):
        ready.put(key, row(number))
        ready.take_in(key)
    pending = ready.reader.pending_transform(STREAM)
    assert pending is not None and pending.from_snapshot < pending.to_snapshot
    ready.committer.advance(pending)
    ready.committer.advance(replace(pending, to_snapshot=pending.from_snapshot))
    assert ready.reader.cursor(STREAM).transformed_snapshot == pending.to_snapshot
    assert ready.reader.cursor(STREAM).path == B
    ready.committer.rewind(STREAM, to_snapshot=pending.to_snapshot + 5)
    assert ready.reader.cursor(STREAM).transformed_snapshot == pending.to_snapshot
    ready.committer.rewind(STREAM, to_snapshot=pending.from_snapshot)
    again = ready.reader.pending_transform(STREAM)
    assert again is not None and again.from_snapshot == again.to_snapshot == pending.to_snapshot


def test_only_the_pending_rows_are_merged_and_an_older_record_overwrites_nothing(ready: Lake) -> None:
    ready.put(A, row(1, "new", cursor=9))
    ready.take_in(A)
    ready.merge()
    ready.put(B, row(1, "old", cursor=1), row(2, "two"))
    ready.take_in(B)
    ready.merge()
    assert ready.processed() == {1: (9, "new"), 2: (0, "two")}


def test_rows_whose_snapshots_expired_are_merged_again_by_a_replay(ready: Lake) -> None:
    for number, key in enumerate((A, B)):
        ready.put(key, row(number, str(number)))
        ready.take_in(key)
        ready.merge()
    ready.committer.expire(older_than=EVER)
    ready.committer.rewind(STREAM, to_snapshot=0)
    ready.merge()
    assert ready.processed() == {0: (0, "0"), 1: (0, "1")}
    if isinstance(ready, OnDisk):
        assert ready.transformer.by_rowscan == [False, False, True]


def test_a_replay_goes_on_when_what_left_landing_left_storage_too(ready: Lake) -> None:
    """Older snapshots still show the file, so that `table_insertions` reads it."""
    for number, key in enumerate((A, B)):
        ready.put(key, row(number, str(number)))
        ready.take_in(key)
        ready.merge()
    ready.committer.remove(STREAM, ready.reader.history(A), reason=Removal.RETENTION)
    ready.store.delete(A)
    ready.committer.rewind(STREAM, to_snapshot=0)
    ready.merge()
    assert ready.processed() == {0: (0, "0"), 1: (0, "1")}
    assert ready.reader.pending_transform(STREAM) is None


def test_enriched_models_are_stale_until_they_are_built(ready: Lake) -> None:
    ready.put(A, row(1))
    ready.take_in(A)
    assert not ready.reader.enriched_is_stale()
    ready.merge()
    assert ready.reader.enriched_is_stale()
    assert ready.committer.enrich().models == ("fct_sales",)
    assert not ready.reader.enriched_is_stale()
    assert ready.committer.enrich().models == ()


def test_enriched_models_are_stale_when_the_dbt_project_is_another_one(ready: Lake) -> None:
    first, second = EnrichOrder(project="first"), EnrichOrder(project="second")
    ready.put(A, row(1))
    ready.take_in(A)
    assert not ready.reader.enriched_is_stale(project="first")  # there is nothing to build of
    ready.merge()
    ready.committer.enrich()
    assert ready.reader.enriched_is_stale(project="first") and not ready.reader.enriched_is_stale()
    assert ready.committer.enrich(first).models == ("fct_sales",)
    assert not ready.reader.enriched_is_stale(project="first") and ready.committer.enrich(first).models == ()
    assert ready.reader.enriched_is_stale(project="second")
    assert ready.committer.enrich(EnrichOrder(project="second", select=("fct_sales",))).models == ("fct_sales",)
    assert ready.reader.enriched_is_stale(project="second")  # the others are as far behind as before
    ready.committer.enrich(second)
    assert not ready.reader.enriched_is_stale(project="second")


# ---- reading the ledger --------------------------------------------------------------------------------------------


def test_the_ledger_is_read_from_a_day_on_and_by_range(ready: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        ready.put(key, row(number))
    ready.take_in(A, B, C)
    assert set(ready.reader.known(STREAM, since=date(2026, 3, 2))) == {B, C}
    within = ready.reader.registered(STREAM, first=date(2026, 3, 2), last=date(2026, 3, 9))
    assert [entry.key for entry in within] == [B]


def test_only_merged_live_files_of_older_days_are_cleanable(ready: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        ready.put(key, row(number))
    ready.take_in(A, B)
    assert list(ready.reader.cleanable(STREAM, before=date(2026, 3, 3))) == []
    ready.merge()
    ready.take_in(C)
    assert [e.key for e in ready.reader.cleanable(STREAM, before=date(2026, 3, 2))] == [A]
    assert {e.key for e in ready.reader.cleanable(STREAM, before=date(2026, 4, 1))} == {A, B}
    ready.committer.remove(STREAM, ready.reader.cleanable(STREAM, before=date(2026, 3, 2)), reason=Removal.RETENTION)
    assert {e.key for e in ready.reader.cleanable(STREAM, before=date(2026, 4, 1))} == {B}


# ---- removal and expiry --------------------------------------------------------------------------------------------


def test_storage_loses_exactly_the_expired_objects_and_landing_stays_readable(ready: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        ready.put(key, row(number))
    ready.put(D, row(9))
    ready.take_in(A, B, C)
    ready.merge()
    assert ready.committer.remove(
        STREAM, ready.reader.cleanable(STREAM, before=date(2026, 3, 3)), reason=Removal.RETENTION
    )
    assert ready.landing() == [(2, "")] and ready.keys() == {A, B, C, D}
    deleted = ready.committer.expire(older_than=EVER)
    assert set(deleted) == {ready.store.url(A), ready.store.url(B)}
    assert ready.keys() == {C, D}
    assert ready.landing() == [(2, "")]
    assert {key: known.live for key, known in ready.reader.known(STREAM, since=None).items()} == {
        A: False,
        B: False,
        C: True,
    }
    (entry,) = ready.reader.history(A)
    assert (entry.removed_at, entry.removed_because) == (ready.clock.now(), "retention")
    assert ready.committer.expire(older_than=EVER) == []
    assert set(ready.processed()) == {0, 1, 2}


def test_a_dropped_stream_is_forgotten_and_its_raw_files_are_never_deleted(ready: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        ready.put(key, row(number))
    ready.take_in(A, B, C)
    ready.merge()
    ready.committer.remove(STREAM, ready.reader.cleanable(STREAM, before=date(2026, 3, 3)), reason=Removal.RETENTION)
    for _ in range(2):  # cut off or not, the command is run again
        ready.committer.drop_stream(STREAM)
        assert ready.reader.landing_columns(STREAM) is None and ready.reader.processed_columns(STREAM) is None
        assert (ready.reader.known(STREAM, since=None), ready.reader.cursor(STREAM).path) == ({}, None)
    ready.committer.expire(older_than=EVER)
    assert ready.keys() == {A, B, C}
    ready.committer.ensure_landing(STREAM, CONTRACT)
    ready.take_in(A, B, C)
    ready.merge()
    assert set(ready.processed()) == {0, 1, 2}


def test_a_dry_run_of_expiry_writes_and_deletes_nothing(ready: Lake) -> None:
    ready.put(A, row(1))
    ready.take_in(A)
    ready.merge()
    ready.committer.remove(STREAM, ready.reader.history(A), reason=Removal.RETENTION)
    before = ready.state()
    ready.committer.expire(older_than=EVER, dry_run=True)
    assert (ready.state(), ready.keys()) == (before, {A})


def test_a_snapshot_that_a_transform_waits_for_does_not_expire(ready: Lake) -> None:
    ready.put(A, row(1))
    ready.put(B, row(2))
    ready.take_in(A)
    ready.merge()
    ready.take_in(B)
    ready.committer.remove(STREAM, ready.reader.history(B), reason=Removal.REPAIR)
    ready.committer.expire(older_than=EVER)
    assert ready.keys() == {A, B}
    ready.merge()
    assert set(ready.processed()) == {1, 2}


def test_what_landing_and_ledger_disagree_about_is_not_removed(ready: Lake) -> None:
    ready.put(A, row(1))
    ready.take_in(A)
    ready.merge()
    wrong = [replace(entry, rows=entry.rows + 1) for entry in ready.reader.history(A)]
    before = ready.state()
    with pytest.raises(DamageError):
        ready.committer.remove(STREAM, wrong, reason=Removal.RETENTION)
    assert ready.state() == before


def test_an_object_written_anew_while_it_waits_for_its_deletion_is_taken_in_and_kept(ready: Lake) -> None:
    for number, key in enumerate((A, B)):
        ready.put(key, row(number, "old"))
    ready.take_in(A, B)
    ready.merge()
    ready.committer.remove(STREAM, [*ready.reader.history(A), *ready.reader.history(B)], reason=Removal.RETENTION)
    for number, key in enumerate((A, B)):
        ready.put(key, row(number, "rewritten and longer", cursor=5))
    ready.take_in(A)
    ready.committer.expire(older_than=EVER)
    assert ready.keys() == {A, B}
    assert ready.landing() == [(0, "rewritten and longer")]
    assert [entry.removed_at is None for entry in ready.reader.history(A)] == [False, True]
    ready.take_in(B)
    assert ready.landing() == [(0, "rewritten and longer"), (1, "rewritten and longer")]


def test_a_forgotten_file_leaves_every_snapshot_and_its_key_may_come_again(ready: Lake) -> None:
    for number, key in enumerate((A, B)):
        ready.put(key, row(number, "old"))
    ready.take_in(A, B)
    ready.merge()
    ready.put(A, row(0, "another, longer text", cursor=5))
    ready.store.delete(B)
    entries = [*ready.reader.history(A), *ready.reader.history(B)]
    paths = [entry.registered_path for entry in entries]
    assert ready.committer.forget(STREAM, paths=paths, entries=entries, reason=Removal.CHANGED) == 2
    assert ready.landing() == [] and dict(ready.reader.known(STREAM, since=None)) == {}
    assert [entry.removed_because for entry in ready.reader.history(B)] == ["changed"]
    ready.take_in(A)
    ready.merge()
    assert ready.processed() == {0: (5, "another, longer text"), 1: (0, "old")}
    assert ready.committer.expire(older_than=EVER) == [] and ready.keys() == {A}


# ---- what the user has is kept -------------------------------------------------------------------------------------


def test_what_the_first_plan_listed_leaves_landing_and_stays_in_storage(lake: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        lake.put(key, row(number))
    report = lake.feed(snapshot_days=-36500, raw=RawRules())
    assert (report.error, report.cleaned, report.kept) == (None, 2, 2)
    assert (lake.keys(), lake.landing()) == ({A, B, C}, [(2, "")])
    assert [(e.removed_because, e.etag) for e in lake.reader.history(A)] == [("kept", lake.etag(A))]
    assert lake.reader.kept_files(STREAM) == 2
    assert {key: known.live for key, known in lake.reader.known(STREAM, since=None).items()} == {
        A: False,
        B: False,
        C: True,
    }
    if isinstance(lake, OnDisk):
        assert set(lake.reader.data_file_paths()) & {lake.store.url(key) for key in (A, B, C)} == {lake.store.url(C)}
    before = lake.state()
    assert lake.feed(raw=RawRules()).status is StreamStatus.NOTHING_NEW
    assert lake.state() == before


def test_what_lands_after_the_first_plan_is_deleted_as_ever(lake: Lake) -> None:
    late = key_for(date(2026, 3, 12))
    lake.put(A, row(1))
    lake.feed(raw=RawRules())
    for number, key in enumerate((C, late)):
        lake.put(key, row(number))
    lake.feed(raw=RawRules())
    lake.put(key_for(date(2026, 3, 31)), row(9))
    report = lake.feed(snapshot_days=-36500, raw=RawRules())
    assert (report.error, report.cleaned, report.kept) == (None, 2, 0)
    assert lake.keys() == {A, key_for(date(2026, 3, 31))}


def test_the_first_plan_is_noted_once(ready: Lake) -> None:
    ready.committer.note_existing(STREAM, {A: "1", B: "it's"})
    ready.committer.note_existing(STREAM, {A: "2", C: "3"})
    assert dict(ready.reader.existing_among(STREAM, [A, B, C])) == {A: "1", B: "it's"}
    assert dict(ready.reader.existing_among(STREAM, [C])) == {}
    assert dict(ready.reader.existing_among(StreamName("shop", "refunds"), [A])) == {}
    assert dict(ready.reader.existing_among(STREAM, [])) == {}
    many = {f"shop/refunds/{number}.parquet": f"{number}" for number in range(1500)}
    ready.committer.note_existing(StreamName("shop", "refunds"), many)
    assert dict(ready.reader.existing_among(StreamName("shop", "refunds"), [*many, A])) == many
    assert len(ready.reader.existing_among(StreamName("shop", "refunds"), [*many][:3])) == 3


def test_a_first_feed_that_was_cut_off_still_knows_what_was_there_before_it(lake: Lake) -> None:
    for number, key in enumerate((A, B)):
        lake.put(key, row(number))
    first = lake.feed(raw=RawRules(), budget=replace(BUDGET, max_files=1), max_batches=1)
    assert (first.files, first.error) == (1, None)
    later = key_for(date(2026, 3, 2), "part_9.parquet")
    lake.put(later, row(3))
    lake.put(C, row(4))
    report = lake.feed(snapshot_days=-36500, raw=RawRules())
    assert (report.error, report.cleaned, report.kept) == (None, 3, 2)
    assert lake.keys() == {A, B, C}


def test_a_replay_as_the_first_thing_of_all_notes_what_it_does_not_take_in(lake: Lake) -> None:
    for number, key in enumerate((A, C)):
        lake.put(key, row(number))
    lake.rules = replace(lake.rules, raw=RawRules())
    days = Days(first=date(2026, 3, 5), last=date(2026, 3, 31))
    assert StreamFeed(lake.rules, lake.ports(), replay=days).report().files == 1
    assert set(lake.reader.existing_among(STREAM, [A, C])) == {A, C}


def test_nothing_is_deleted_when_raw_files_are_to_be_kept(lake: Lake) -> None:
    lake.put(A, row(1))
    lake.feed(raw=RawRules(raw=RawPolicy.KEEP))
    lake.put(B, row(2))
    lake.put(C, row(3))
    report = lake.feed(snapshot_days=-36500, raw=RawRules(raw=RawPolicy.KEEP, delete_existing=True))
    assert (report.cleaned, report.kept, lake.keys()) == (2, 2, {A, B, C})


def test_a_kept_object_that_is_written_anew_is_a_new_file(lake: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        lake.put(key, row(number))
    lake.feed(snapshot_days=-36500, raw=RawRules())
    lake.put(A, row(7, "written anew, and longer"))
    lake.rules = replace(lake.rules, raw=RawRules())
    days = Days(first=date(2026, 3, 1), last=date(2026, 3, 1))
    assert StreamFeed(lake.rules, lake.ports(), replay=days).report().error is None
    assert [entry.removed_because for entry in lake.reader.history(A)] == ["kept", "retention"]
    lake.committer.expire(older_than=EVER)
    assert lake.keys() == {B, C}  # it is not what the first plan listed


@pytest.mark.parametrize("writer", ["extension", "catalog"])
def test_kept_objects_are_never_scheduled_and_no_foreign_expiry_and_clean_up_deletes_one(
    writer: str, tmp_path: Path, extension_directory: Path
) -> None:
    """Also within the grace period, with which older snapshots stay: the raw files are the user's."""
    lake = OnDisk(tmp_path / "lake", extension_directory, writer=writer)
    for number, key in enumerate((A, B, C)):
        lake.put(key, row(number))
    reached: list[FaultPoint] = []

    def clean_up_by_somebody_else(point: FaultPoint) -> None:
        if point in (FaultPoint.AFTER_REMOVE, FaultPoint.BEFORE_EXPIRE, FaultPoint.AFTER_EXPIRE):
            reached.append(point)
            scheduled = "__ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion"
            paths = {path for (path,) in lake.transformer.query(f"SELECT path FROM {scheduled}")}
            assert paths & {lake.store.url(key) for key in (A, B, C)} == set()
            lake.transformer.query("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")

    lake.fault = clean_up_by_somebody_else
    assert lake.feed(raw=RawRules()).kept == 2
    assert reached == [FaultPoint.AFTER_REMOVE]
    assert set(lake.reader.data_file_paths()) & {lake.store.url(key) for key in (A, B)} == set()
    expire_and_clean_up_by_somebody_else(lake)
    lake.put(later := key_for(date(2026, 3, 31)), row(3))
    assert lake.feed(snapshot_days=-36500, raw=RawRules()).kept == 1
    assert {FaultPoint.BEFORE_EXPIRE, FaultPoint.AFTER_EXPIRE} <= set(reached)
    expire_and_clean_up_by_somebody_else(lake)
    assert (lake.keys(), lake.landing()) == ({A, B, C, later}, [(3, "")])
    lake.close()


def expire_and_clean_up_by_somebody_else(lake: OnDisk) -> None:
    lake.transformer.query("CALL ducklake_expire_snapshots('lakehouse', older_than => '2100-01-01'::TIMESTAMPTZ)")
    lake.transformer.query("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")


@pytest.mark.parametrize("by_us", [True, False])
def test_kept_objects_that_an_earlier_version_left_in_the_catalog_stay(on_disk: OnDisk, by_us: bool) -> None:
    """Somebody else had them scheduled: they leave the list. Or we expire first: they leave the catalog."""
    lake = on_disk
    for number, key in enumerate((A, C)):
        lake.put(key, row(number))
    lake.feed()
    lake.transformer.query("UPDATE lakehouse.meta.removals SET reason = 'kept'")
    if not by_us:
        lake.transformer.query("CALL ducklake_expire_snapshots('lakehouse', older_than => '2100-01-01'::TIMESTAMPTZ)")
    assert lake.store.url(A) not in lake.committer.expire(older_than=EVER, dry_run=True)
    assert lake.store.url(A) not in lake.committer.expire(older_than=EVER)
    lake.transformer.query("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")
    assert lake.keys() == {A, C}


def test_an_expiry_takes_the_oldest_snapshots_alone_though_a_clock_went_back(on_disk: OnDisk) -> None:
    """Else a snapshot between two that are gone would show files that an expiry took out of the catalog."""
    lake = on_disk
    lake.put(A, row(1))
    lake.feed(retention_days=99)
    snapshots = "__ducklake_metadata_lakehouse.ducklake_snapshot"
    numbers = [number for (number,) in lake.transformer.query(f"SELECT snapshot_id FROM {snapshots} ORDER BY ALL")]
    ahead = numbers[2]
    lake.transformer.query(f"UPDATE {snapshots} SET snapshot_time = '2200-01-01' WHERE snapshot_id = {ahead}")
    lake.committer.expire(older_than=EVER)
    left = [number for (number,) in lake.transformer.query(f"SELECT snapshot_id FROM {snapshots} ORDER BY ALL")]
    assert left[: len(numbers) - 2] == numbers[2:]


def test_what_no_removal_lets_go_is_not_deleted_whoever_took_it_out_of_landing(on_disk: OnDisk) -> None:
    lake = on_disk
    for number, key in enumerate((A, C)):
        lake.put(key, row(number))
    lake.feed(retention_days=99)
    landing = f"lakehouse.staging.{STREAM.landing_table}"
    lake.transformer.query(f"DELETE FROM {landing} WHERE filename = '{lake.store.url(A)}'")
    lake.committer.expire(older_than=EVER)
    assert lake.keys() == {A, C}


def test_rows_of_kept_objects_are_not_shown_by_older_snapshots(on_disk: OnDisk) -> None:
    """The price: what the catalog does not know, nobody's DuckLake deletes (ADR 0024)."""
    lake = on_disk
    for number, key in enumerate((A, C)):
        lake.put(key, row(number))
    lake.feed(raw=RawRules(), retention_days=99)
    head = lake.head()
    lake.feed(raw=RawRules())
    assert lake.landing() == [(1, "")]
    older = f"SELECT pk FROM lakehouse.staging.{STREAM.landing_table} AT (VERSION => {head}) ORDER BY ALL"
    assert lake.transformer.query(older) == [(1,)]
    lake.committer.expire(older_than=EVER)
    assert lake.landing() == [(1, "")] and lake.keys() == {A, C}


# ---- quarantine ----------------------------------------------------------------------------------------------------


def test_a_quarantine_entry_lives_until_its_file_is_taken_in(ready: Lake) -> None:
    first = ready.put_bytes(A, b"this is no Parquet at all")
    ready.put_bytes(B, b"")
    ready.take_in(A, B)
    assert {e.key: e.reason for e in ready.reader.quarantined(STREAM)}[A] == "not_parquet"
    assert list(ready.committer.set_quarantine([A, "unknown"], status="retry")) == [A]
    assert {e.key: e.status for e in ready.reader.quarantined(None)} == {A: "retry", B: "rejected"}
    second = ready.put_bytes(A, b"this is another text, no Parquet either")
    ready.take_in(A)
    (entry,) = [e for e in ready.reader.quarantined(STREAM) if e.key == A]
    assert (entry.status, entry.etag) == ("rejected", second.etag) and first.etag != second.etag
    ready.put(A, row(1))
    ready.take_in(A)
    assert [e.key for e in ready.reader.quarantined(STREAM)] == [B]
    assert list(ready.committer.set_quarantine(["unknown"], status="ignored")) == []


# ---- files that cannot be read -------------------------------------------------------------------------------------


def test_a_file_is_called_unreadable_for_its_own_bytes_alone(ready: Lake) -> None:
    ready.put(A, row(1))
    for key in (B, C, D):
        ready.put_damaged(key, row(2))
    ready.take_in(A, B, C, D)
    ready.put(C, row(3, "written anew"))
    ready.store.delete(D)
    found = {key: ready.committer.unreadable(STREAM, ready.reader.history(key)[0]) for key in (A, B, C, D)}
    assert found.pop(B)
    assert found == {A: None, C: None, D: None}


def test_a_taken_in_file_goes_to_quarantine_with_the_older_record_replaced(ready: Lake) -> None:
    file = ready.put(A, row(1))
    ready.take_in(A)
    for detail in ("first", "second"):
        ready.committer.quarantine(STREAM, [Rejected(file=file, reason=RejectReason.CORRUPT, detail=detail)])
    (held,) = ready.reader.quarantined(STREAM)
    assert (held.key, held.etag, held.reason, held.detail) == (A, file.etag, "corrupt", "second")


def test_a_damaged_file_is_set_aside_and_the_others_are_merged(lake: Lake) -> None:
    lake.put(A, row(1))
    damaged = lake.put_damaged(B, row(2))
    report = lake.feed()
    assert (report.error, report.status, report.quarantined) == (None, StreamStatus.OK, 1)
    assert lake.processed() == {1: (0, "")} and lake.landing() == [(1, "")]
    assert [(held.key, held.reason) for held in lake.reader.quarantined(STREAM)] == [(B, "corrupt")]
    assert [entry.removed_because for entry in lake.reader.history(B)] == ["corrupt"]
    assert lake.store.exists(B)
    before = lake.state()
    assert lake.feed().status is StreamStatus.NOTHING_NEW
    assert lake.state() == before
    assert lake.put(B, row(2, "mended")).etag != damaged.etag
    assert lake.feed().error is None
    assert lake.processed() == {1: (0, ""), 2: (0, "mended")} and not lake.reader.quarantined(STREAM)


# ---- whole feeds ---------------------------------------------------------------------------------------------------


def test_a_feed_takes_everything_in_and_the_second_takes_nothing(lake: Lake) -> None:
    lake.put(A, row(1, "old", cursor=1))
    lake.put(B, row(1, "new", cursor=2))
    lake.put_bytes(key_for(date(2026, 3, 2), "bad.parquet"), b"this is no Parquet at all")
    report = lake.feed(budget=replace(BUDGET, max_files=1))
    assert (report.error, report.files, report.quarantined, report.rows) == (None, 2, 1, 2)
    assert lake.processed() == {1: (2, "new")}
    before = lake.state()
    assert lake.feed().status is StreamStatus.NOTHING_NEW
    assert lake.state() == before


def test_a_failed_transform_leaves_the_batch_and_the_next_feed_merges_it(lake: Lake) -> None:
    lake.put(A, row(1))
    faults = lake.transformer if isinstance(lake, OnDisk) else None
    if faults is not None:
        faults.fails = True
    elif isinstance(lake, InMemory):
        lake.catalog.fail_transform = True
    report = lake.feed()
    assert report.error is not None and report.error["kind"] == TransformError.kind
    assert lake.landing() == [(1, "")] and lake.processed() == {}
    if faults is not None:
        faults.fails = False
    elif isinstance(lake, InMemory):
        lake.catalog.fail_transform = False
    assert lake.feed().error is None
    assert lake.processed() == {1: (0, "")}


def test_a_feed_cleans_behind_the_cursor_and_storage_follows(lake: Lake) -> None:
    for number, key in enumerate((A, B, C)):
        lake.put(key, row(number))
    assert lake.feed(snapshot_days=-36500).cleaned == 2
    assert (lake.keys(), lake.landing()) == ({C}, [(2, "")])
    assert set(lake.processed()) == {0, 1, 2}
    assert lake.feed().status is StreamStatus.NOTHING_NEW


def test_the_generations_of_live_files_are_those_of_their_rows(ready: Lake) -> None:
    lake = ready
    assert lake.reader.generations(STREAM) == {}
    lake.put(A, *of_generation(3, row(1), row(2)))
    lake.put(B, *of_generation(3, row(1)), *of_generation(7, row(2)))
    lake.put(C, row(1), *of_generation(2, row(2)))
    lake.put(D, row(1))
    lake.take_in(A, B, C, D)
    lake.store.delete(A)  # what is gone is still known

    def found() -> dict[str, tuple[int, int, int]]:
        return {key: (g.rows, g.oldest, g.newest) for key, g in lake.reader.generations(STREAM).items()}

    assert found() == {A: (2, 3, 3), B: (2, 3, 7), C: (2, -1, 2), D: (1, -1, -1)}
    (entry,) = [item for item in lake.reader.registered(STREAM, first=date.min, last=date.max) if item.key == A]
    assert lake.reader.generations(STREAM)[A].etag == entry.etag
    lake.committer.forget(STREAM, paths=[entry.registered_path], entries=[entry], reason=Removal.REPLACED)
    assert A not in found()
    assert lake.reader.replaced_files(STREAM) == (1, entry.rows)
    assert A not in lake.reader.known(STREAM, since=None)  # the key may return


def test_the_books_of_all_streams_say_what_the_reader_says(on_disk: OnDisk) -> None:
    lake = on_disk
    other = StreamName("shop", "refunds")
    empty = lake.reader.planning_snapshot([STREAM, other], since_of=lambda _: None)
    assert (empty.cursor(STREAM).path, dict(empty.known(other, since=None))) == (None, {})
    lake.put(A, row(1))
    lake.put(C, row(2))
    lake.put_bytes(B, b"this is no Parquet at all")
    lake.feed(retention_days=99)
    lake.put(D, row(3))
    lake.take_in(D)
    since = date(2026, 3, 5)
    books = lake.reader.planning_snapshot([STREAM, other], since_of=lambda _: since)
    for stream in (STREAM, other):
        assert books.cursor(stream) == lake.reader.cursor(stream)
        assert books.known(stream, since=since) == lake.reader.known(stream, since=since)
        assert list(books.quarantined(stream)) == list(lake.reader.quarantined(stream))
        columns = lake.reader.landing_columns(stream)
        assert books.landing_names(stream) == (None if columns is None else frozenset(columns))
        assert books.pending_transform(stream) == lake.reader.pending_transform(stream)
        assert books.generations(stream) == lake.reader.generations(stream)
    assert books.oldest_merged_day(STREAM) == date(2026, 3, 1)
    assert set(books.known(STREAM, since=since).values()) <= {
        Known(etag=e.etag, size_bytes=e.size_bytes, live=True)
        for e in lake.reader.registered(STREAM, first=since, last=date.max)
    }
