"""Rebuild: what has to become of a stream's tables, what is refused, and that it is done once however it is cut off."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lakeray.planning import Rules
from lakeray.rebuild import RebuildPlan, plan_rebuild, rebuild_stream
from lakeray.steps import rebuild
from lakeray.values.column_types import parse_type
from lakeray.values.errors import ContractError, DataError
from lakeray.values.model import Cast, Column, Contract, MergedBy, Rebuild, RebuildCounts, StreamReport, StreamStatus
from lakeray.values.refusals import other_type
from tests.support.fakes.feeds import RULES, FeedWorld, key_for
from tests.support.fakes.lake import Crash
from tests.support.fakes.records import COLUMNS, CONTRACT, STREAM, content, row
from tests.support.fakes.store import MemoryStore
from tests.unit.test_new_fields import DAY, fed

BY_VALUE = replace(CONTRACT, primary_key=("pk", "value"))
MERGED_BY = MergedBy(primary_key=CONTRACT.primary_key, newest_first=CONTRACT.newest_first)
NOTHING = RebuildCounts(rows=3, merging=1, added=1, without_key=0, failing=())


def with_column(name: str, kind: str) -> Contract:
    return replace(CONTRACT, columns=(*CONTRACT.columns, Column(name=name, type=parse_type(kind))))


def change(contract: Contract, *, landing: str, processed: str | None = "", noted: MergedBy = MERGED_BY) -> Rebuild:
    """Of tables that have a column `more` of these types; of none, when the type is empty."""
    tables = [
        None if kind is None else COLUMNS | ({"more": kind} if kind else {}) for kind in (landing, processed or landing)
    ]
    return rebuild.plan_rebuild(
        STREAM, contract, landing=tables[0] or {}, processed=None if processed is None else tables[1], noted=noted
    )


def put(world: FeedWorld, number: int, kind: str, *, pk: object = None, value: object = 1) -> None:
    item = row(number, f"value {number}", raw_id=f"raw-{number}") | {"more": value} | ({} if pk is None else {"pk": pk})
    data = content([item], columns=COLUMNS | {"more": kind})
    world.store.put(key_for(DAY, f"part_{number}.parquet"), data, at=world.clock.now())


def rebuilt(world: FeedWorld, contract: Contract, *, allow_loss: bool = False) -> StreamReport:
    rules = replace(RULES, contract=contract)
    return rebuild_stream(rules, world.ports(), world.lake, allow_loss=allow_loss)


def planned(world: FeedWorld, contract: Contract) -> RebuildPlan:
    rules: Rules = replace(RULES, contract=contract)
    return plan_rebuild(rules, world.lake)


@pytest.fixture
def world() -> FeedWorld:
    return FeedWorld()


# ---- what differs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["BIGINT", "INTEGER", "", "STRUCT(a BIGINT)"])
def test_what_is_as_configured_or_only_grows_is_left_to_the_feed(kind: str) -> None:
    wanted = with_column("More", "STRUCT(a BIGINT, b TEXT)" if "STRUCT" in kind else "BIGINT")
    found = change(wanted, landing=kind)
    assert not found.is_needed and (found.processed, found.landing) == ((), ())


def test_another_type_is_cast_in_both_tables_under_the_name_that_they_have() -> None:
    found = change(with_column("MORE", "VARCHAR"), landing="BIGINT")
    cast = Cast(column="more", found=parse_type("BIGINT"), wanted=parse_type("VARCHAR"))
    assert (found.processed, found.landing) == ((cast,), (cast,))
    assert found.is_needed and not found.orders_anew


def test_fields_that_files_brought_stay_in_what_a_column_becomes() -> None:
    found = change(with_column("more", "STRUCT(a TEXT)"), landing="STRUCT(a BIGINT, b DATE)")
    assert [str(cast.wanted) for cast in found.landing] == ['STRUCT("a" VARCHAR, "b" DATE)']


def test_a_processed_column_that_the_model_made_another_is_the_models() -> None:
    found = change(with_column("more", "DOUBLE"), landing="BIGINT", processed="VARCHAR")
    assert found.processed == ()
    assert [cast.column for cast in found.landing] == ["more"]


def test_without_a_processed_table_landing_alone_changes() -> None:
    found = change(replace(with_column("more", "DOUBLE"), primary_key=("other",)), landing="BIGINT", processed=None)
    assert (found.has_processed, found.processed, len(found.landing), found.orders_anew) == (False, (), 1, False)


def test_a_type_that_nothing_casts_to_is_refused() -> None:
    with pytest.raises(ContractError, match="a type that BIGINT casts to"):
        change(with_column("more", "BIGINT[]"), landing="BIGINT")


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contract", "expected", "found", "setting"),
    [
        (BY_VALUE, "pk", "pk, value", "primary_key"),
        (replace(CONTRACT, newest_first=("cursor",)), "the extraction time alone", "cursor", "cursor_field"),
    ],
)
def test_another_key_or_cursor_is_refused_with_the_way_out(
    contract: Contract, expected: str, found: str, setting: str
) -> None:
    with pytest.raises(ContractError) as refused:
        rebuild.refuse_other_key(STREAM, contract, noted=MERGED_BY, merged=True)
    told = refused.value
    assert (told.expected, found in told.found) == (expected, True)
    assert f"lakeray rebuild +stream={STREAM}" in told.todo and setting in told.todo


@pytest.mark.parametrize(
    ("kind", "wanted", "was", "orders_anew"),
    [
        ("VARCHAR", "BIGINT", "TIMESTAMP WITH TIME ZONE", True),
        ("VARCHAR", "BIGINT", "BIGINT", False),
        ("VARCHAR", None, "BIGINT", False),  # what is kept stays
        ("VARCHAR", "BIGINT", None, False),  # nobody noted it
        ("BIGINT", None, "VARCHAR", True),  # the field was a text once
        ("BIGINT", None, "BIGINT", False),
        ("BIGINT", None, None, False),
    ],
)
def test_another_type_to_compare_the_cursor_as_orders_rows_anew(
    kind: str, wanted: str | None, was: str | None, orders_anew: bool
) -> None:
    contract = replace(with_column("more", kind), newest_first=("more",), cursor_type=wanted)
    noted = replace(contract.merged_by, cursor_type=was)
    assert change(contract, landing=kind, noted=noted).orders_anew is orders_anew
    if orders_anew and wanted is not None:
        with pytest.raises(ContractError, match="another cursor type") as refused:
            rebuild.refuse_other_key(STREAM, contract, noted=noted, merged=True)
        assert "lakeray rebuild" in refused.value.todo and "cursor_type" in refused.value.todo
    else:
        rebuild.refuse_other_key(STREAM, contract, noted=noted, merged=True)


def test_a_number_that_becomes_a_text_and_is_compared_as_one_orders_rows_anew() -> None:
    contract = replace(with_column("more", "VARCHAR"), newest_first=("more",), cursor_type="VARCHAR")
    noted = replace(contract.merged_by, cursor_type=None)
    assert change(contract, landing="BIGINT", noted=noted).orders_anew
    as_before = replace(contract, cursor_type="BIGINT")
    assert not change(as_before, landing="BIGINT", noted=noted).orders_anew
    assert not change(replace(contract, cursor_type=None), landing="BIGINT", noted=noted).orders_anew


def test_rows_that_repeat_their_key_are_a_reason_to_rebuild(world: FeedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    put(world, 1, "BIGINT")
    world.feed()
    assert not planned(world, CONTRACT).change.is_needed
    monkeypatch.setattr(world.lake, "rebuild_counts", lambda *_, **__: NOTHING)
    found = planned(world, CONTRACT)
    assert found.change.is_needed and found.change.orders_anew and found.counts == NOTHING


@pytest.mark.parametrize(("noted", "merged"), [(None, True), (MERGED_BY, False)])
def test_another_key_is_fine_while_nothing_is_merged_by_the_other(noted: MergedBy | None, merged: bool) -> None:
    rebuild.refuse_other_key(STREAM, BY_VALUE, noted=noted, merged=merged)


def test_the_type_of_a_column_with_rows_is_refused_with_the_way_out() -> None:
    told = other_type(STREAM, Column(name="more", type=parse_type("DATE")), found="BIGINT")
    assert (told.expected, told.found) == ("BIGINT or a wider type", "DATE")
    assert f"lakeray rebuild +stream={STREAM}" in told.todo


def test_loss_is_refused_until_it_is_allowed() -> None:
    loses = replace(NOTHING, without_key=2, failing=(("more", 1_000),))
    wanted = change(with_column("more", "DATE"), landing="VARCHAR")
    rebuild.refuse_loss(wanted, NOTHING, allow_loss=False)
    rebuild.refuse_loss(wanted, loses, allow_loss=True)
    with pytest.raises(DataError, match=r"1,000 value\(s\) of more .* and 2 row\(s\) without the new key") as refused:
        rebuild.refuse_loss(wanted, loses, allow_loss=False)
    assert "rebuild.allow_loss=true" in refused.value.todo


# ---- the whole of it -----------------------------------------------------------------------------------------------


def test_a_coarser_key_keeps_the_newest_and_a_finer_one_brings_back_what_landing_has(world: FeedWorld) -> None:
    for number, value in enumerate(("a", "b")):
        item = row(7, value, raw_id=f"raw-{number}", cursor=number)
        world.put(key_for(DAY, f"part_{number}.parquet"), item)
    fed(world)
    assert [item["value"] for item in world.lake.processed_rows(STREAM).values()] == ["b"]
    assert planned(world, BY_VALUE).change.orders_anew
    report = rebuilt(world, BY_VALUE)
    assert (report.error, report.status) == (None, StreamStatus.NOTHING_NEW)
    assert sorted(item["value"] for item in world.lake.processed_rows(STREAM).values()) == ["a", "b"]
    assert not planned(world, BY_VALUE).change.is_needed
    assert planned(world, CONTRACT).counts.merging == 1
    assert rebuilt(world, CONTRACT).error is None
    assert [item["value"] for item in world.lake.processed_rows(STREAM).values()] == ["b"]


def test_another_type_registers_landings_files_anew_and_looks_again_at_those_it_rejected(world: FeedWorld) -> None:
    put(world, 0, "BIGINT")
    fed(world, contract=with_column("more", "BIGINT"))
    put(world, 1, "VARCHAR", value="x")
    assert world.feed(contract=with_column("more", "BIGINT")).quarantined == 1
    wanted = with_column("more", "VARCHAR")
    told = planned(world, wanted)
    keys = [key_for(DAY, f"part_{number}.parquet") for number in range(2)]
    assert ([entry.key for entry in told.landing], list(told.rejected)) == (keys[:1], keys[1:])
    before = world.catalog.head
    refused = world.feed(contract=wanted)
    assert world.catalog.head == before  # nothing new: nobody looks at the tables
    put(world, 2, "VARCHAR", value="y")
    refused = world.feed(contract=wanted)
    assert refused.error is not None and "lakeray rebuild" in refused.error["todo"]
    report = rebuilt(world, wanted)
    assert (report.error, report.files) == (None, 3)
    assert (world.lake.landing_columns(STREAM) or {})["more"] == "VARCHAR"
    assert len(world.lake.landing_rows(STREAM)) == len(world.lake.processed_rows(STREAM)) == 3
    assert list(world.lake.quarantined(STREAM)) == []
    assert world.feed(contract=wanted).status is StreamStatus.NOTHING_NEW


@pytest.mark.parametrize(
    "point", ["after_rebuild", "during_forget", "after_forget", "before_commit", "after_commit", "after_transform"]
)
def test_a_rebuild_that_was_cut_off_goes_on(world: FeedWorld, point: str) -> None:
    for number in range(2):
        put(world, number, "BIGINT", pk=7)
    fed(world, contract=with_column("more", "BIGINT"))
    wanted = replace(with_column("more", "VARCHAR"), primary_key=("pk", "value"))
    world.catalog.crash_at = point
    with pytest.raises(Crash):
        rebuilt(world, wanted)
    world.reopen()
    assert rebuilt(world, wanted).error is None
    assert len(world.lake.landing_rows(STREAM)) == len(world.lake.processed_rows(STREAM)) == 2
    assert not planned(world, wanted).change.is_needed
    assert world.feed(contract=wanted).status is StreamStatus.NOTHING_NEW


@pytest.mark.parametrize("again", ["VARCHAR", "BIGINT"], ids=["as configured", "the config set back"])
def test_files_that_half_left_landing_come_back_by_a_feed_too(world: FeedWorld, again: str) -> None:
    for number in range(2):
        put(world, number, "BIGINT")
    fed(world, contract=with_column("more", "BIGINT"))
    world.catalog.crash_at = "during_forget"
    with pytest.raises(Crash):
        rebuilt(world, with_column("more", "VARCHAR"))
    world.reopen()
    assert world.lake.landing_rows(STREAM) == []
    fed(world, contract=with_column("more", again))
    assert len(world.lake.landing_rows(STREAM)) == len(world.lake.processed_rows(STREAM)) == 2
    assert list(world.lake.quarantined(STREAM)) == []
    assert world.feed(contract=with_column("more", again)).status is StreamStatus.NOTHING_NEW


def test_rows_without_the_new_key_are_refused_then_let_go_on_demand(world: FeedWorld) -> None:
    world.put(key_for(DAY), row(1), row(2, None))
    fed(world)
    before = world.catalog.head
    by_value = replace(CONTRACT, primary_key=("value",))
    report = rebuilt(world, by_value)
    assert report.error is not None and "1 row(s) without the new key" in report.error["about"]
    assert (report.status, world.catalog.head) == (StreamStatus.FAILED, before)
    assert rebuilt(world, by_value, allow_loss=True).error is None


def test_a_wrong_prefix_empties_no_table(world: FeedWorld) -> None:
    for number in range(4):
        put(world, number, "BIGINT")
    fed(world, contract=with_column("more", "BIGINT"))
    world.store = MemoryStore()
    world.reopen()
    before = world.catalog.head
    report = rebuilt(world, replace(with_column("more", "VARCHAR"), primary_key=("pk", "value")))
    assert report.error is not None and report.error["kind"] == "not_there"
    assert world.catalog.head == before


def test_what_is_as_configured_is_left_alone(world: FeedWorld) -> None:
    world.put(key_for(DAY), row(1))
    fed(world)
    before = world.catalog.head
    assert rebuilt(world, CONTRACT).status is StreamStatus.NOTHING_NEW
    assert world.catalog.head == before
