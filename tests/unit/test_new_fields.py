"""Columns and nested fields that files bring: added, left out or refused; and what a changed contract brings in."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from lakeray.planning import Rules, plan_clean, plan_stream
from lakeray.steps.reregister import sorted_out
from lakeray.values.column_types import parse_type, same_type
from lakeray.values.model import Accepted, Column, LeftOut, OnNewColumn, StreamStatus
from tests.support.fakes.feeds import BUDGET, RULES, FeedWorld, key_for
from tests.support.fakes.lake import Crash
from tests.support.fakes.records import COLUMNS, CONTRACT, STREAM, content, footer_of, row

DAY = date(2026, 3, 1)
ONE_BY_ONE = replace(BUDGET, max_files=1)
IGNORING = replace(CONTRACT, on_new_column=OnNewColumn.IGNORE)
EXTRA = COLUMNS | {"extra": "VARCHAR"}


def name(number: int, day: date = DAY) -> str:
    return key_for(day, f"part_{number}.parquet")


def put(world: FeedWorld, number: int, columns: dict[str, str], *, day: date = DAY, **values: object) -> None:
    item = row(number, raw_id=f"raw-{number}") | values
    world.store.put(name(number, day), content([item], columns=COLUMNS | columns), at=world.clock.now())


def fed(world: FeedWorld, **changes: object) -> FeedWorld:
    report = world.feed(**changes)
    assert report.error is None, report.error
    return world


def landing(world: FeedWorld) -> dict[str, str]:
    return {name: kind for name, kind in (world.lake.landing_columns(STREAM) or {}).items() if name not in COLUMNS}


@pytest.fixture
def world() -> FeedWorld:
    return FeedWorld()


@pytest.fixture
def left_out(world: FeedWorld) -> FeedWorld:
    """Two files whose column `extra` was left out, and one that has none."""
    for number in range(2):
        put(world, number, EXTRA, extra=f"extra {number}")
    put(world, 2, {})
    return fed(world, contract=IGNORING)


# ---- added ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [BUDGET, ONE_BY_ONE], ids=["one batch", "three batches, validated ahead"])
@pytest.mark.parametrize("turned", [False, True])
def test_files_bring_fields_and_widths_in_any_order(world: FeedWorld, turned: bool, budget: object) -> None:
    files = [
        {"Foo": "INTEGER", "s": "STRUCT(a BIGINT)", "l": "STRUCT(p TEXT)[][]"},
        {"foo": "BIGINT", "s": "STRUCT(a BIGINT, n STRUCT(x TEXT)[])"},
        {"FOO": "SMALLINT", "s": "STRUCT(A BIGINT, n STRUCT(y TEXT)[])", "l": "STRUCT(q TEXT)[][]"},
    ]
    for number, columns in enumerate(files[::-1] if turned else files):
        put(world, number, columns)
    fed(world, budget=budget)
    found = {name.lower(): parse_type(kind) for name, kind in landing(world).items()}
    assert list(world.lake.quarantined(STREAM)) == []
    assert sorted(found) == ["foo", "l", "s"]
    assert found["foo"] == parse_type("BIGINT")
    assert same_type(found["s"], parse_type("STRUCT(a BIGINT, n STRUCT(x TEXT, y TEXT)[])"))
    assert same_type(found["l"], parse_type("STRUCT(p TEXT, q TEXT)[][]"))


def test_a_batch_that_was_validated_before_a_column_came_is_looked_at_again(world: FeedWorld) -> None:
    put(world, 0, {"more": "DOUBLE"})
    put(world, 1, {"more": "INTEGER"})
    fed(world, budget=ONE_BY_ONE)
    assert landing(world) == {"more": "DOUBLE"}
    assert len(world.executor.validated) == 3  # the second once more, for it needs a copy now


def test_fields_that_files_added_outlive_the_config_that_does_not_know_them(world: FeedWorld) -> None:
    s = replace(CONTRACT, columns=(*CONTRACT.columns, Column(name="s", type=parse_type("STRUCT(a BIGINT)"))))
    put(world, 0, {"s": "STRUCT(a BIGINT, b BIGINT)"})
    fed(world, contract=s)
    assert fed(world, contract=s).feed(contract=s).status is StreamStatus.NOTHING_NEW
    wider = replace(s, columns=(*CONTRACT.columns, Column(name="s", type=parse_type("STRUCT(c TEXT, a BIGINT)"))))
    put(world, 1, {})
    fed(world, contract=wider)
    assert same_type(parse_type(landing(world)["s"]), parse_type("STRUCT(a BIGINT, b BIGINT, c TEXT)"))


# ---- left out ------------------------------------------------------------------------------------------------------


def test_what_is_left_out_is_counted_and_holds_nothing_back(left_out: FeedWorld) -> None:
    (told,) = left_out.sink.of("fields_left_out")
    assert told.as_fields() == {"stream": str(STREAM), "files": 2, "fields": "extra"}
    assert left_out.lake.contract_notes(STREAM).left_out == {(("extra",),): 2}
    assert landing(left_out) == {}
    put(left_out, 9, EXTRA, day=DAY + timedelta(days=20), extra="new")
    report = left_out.feed(contract=IGNORING)
    assert (report.left_out, report.cleaned) == (1, 3)
    assert left_out.lake.contract_notes(STREAM).left_out == {(("extra",),): 1}


def test_a_contract_that_changes_brings_earlier_values_back(left_out: FeedWorld) -> None:
    planned = plan_stream(RULES, left_out.ports().planning_ports())
    assert [file.key for batch in planned.reregister for file in batch.files] == [name(0), name(1)]
    assert planned.batches == ()
    assert "extra" not in left_out.lake.processed_rows(STREAM)[0]
    report = left_out.feed()
    assert (report.status, report.files, report.reregistered) == (StreamStatus.OK, 0, 2)
    assert landing(left_out) == {"extra": "VARCHAR"}
    values = {pk: item.get("extra") for pk, item in left_out.lake.processed_rows(STREAM).items()}
    assert values == {0: "extra 0", 1: "extra 1", 2: None}
    assert len(left_out.lake.landing_rows(STREAM)) == 3
    before = left_out.catalog.head
    assert left_out.feed().status is StreamStatus.NOTHING_NEW
    assert left_out.catalog.head == before


def test_a_field_of_the_config_brings_values_back_whatever_the_policy(left_out: FeedWorld) -> None:
    other = replace(IGNORING, columns=(*CONTRACT.columns, Column(name="other", type=parse_type("TEXT"))))
    assert plan_stream(replace(RULES, contract=other), left_out.ports().planning_ports()).reregister == ()
    named = replace(IGNORING, columns=(*CONTRACT.columns, Column(name="EXTRA", type=parse_type("TEXT"))))
    assert left_out.feed(contract=named).reregistered == 2
    assert left_out.lake.contract_notes(STREAM).left_out == {}


def test_a_newer_record_keeps_its_place(left_out: FeedWorld) -> None:
    put(left_out, 0, EXTRA, day=DAY + timedelta(days=1), extra="newer", cursor=5)
    put(left_out, 1, {}, day=DAY + timedelta(days=1), cursor=5)
    fed(left_out)
    processed = left_out.lake.processed_rows(STREAM)
    assert (processed[0]["extra"], processed[1]["cursor"], "extra" in processed[1]) == ("newer", 5, False)


@pytest.mark.parametrize(
    "point", ["after_forget", "during_forget", "before_commit", "after_commit", "during_transform", "after_transform"]
)
def test_registering_anew_is_done_once_wherever_it_is_cut_off(left_out: FeedWorld, point: str) -> None:
    left_out.catalog.crash_at = point
    with pytest.raises(Crash):
        left_out.feed()
    left_out.reopen()
    fed(left_out)
    assert left_out.lake.processed_rows(STREAM)[0]["extra"] == "extra 0"
    assert len(left_out.lake.landing_rows(STREAM)) == 3
    assert list(left_out.lake.quarantined(STREAM)) == []
    assert left_out.feed().status is StreamStatus.NOTHING_NEW


def test_retention_waits_for_what_is_not_settled(left_out: FeedWorld) -> None:
    put(left_out, 9, {}, day=DAY + timedelta(days=20))
    fed(left_out, contract=IGNORING, retention_days=30)

    def cleaned(rules: Rules) -> list[str]:
        planned = plan_clean(replace(rules, retention_days=7), reader=left_out.lake, store=left_out.store)
        return [entry.key for entry in planned.files]

    # The operator changes the contract and cleans, before any feed.

    assert cleaned(replace(RULES, contract=IGNORING)) == [name(0), name(1), name(2)]
    assert cleaned(RULES) == [name(2)]
    left_out.store.delete(name(0))  # what is gone cannot come back, and does not wait
    assert cleaned(RULES) == [name(0), name(2)]


def test_a_feed_brings_values_back_before_it_cleans(left_out: FeedWorld) -> None:
    put(left_out, 9, {}, day=DAY + timedelta(days=20))
    report = left_out.feed()
    assert (report.error, report.files, report.reregistered, report.cleaned) == (None, 1, 2, 3)
    assert left_out.lake.processed_rows(STREAM)[1]["extra"] == "extra 1"
    assert [item["pk"] for item in left_out.lake.landing_rows(STREAM)] == [9]


def test_an_older_file_than_the_horizon_is_registered_anew_too(left_out: FeedWorld) -> None:
    put(left_out, 9, {}, day=DAY + timedelta(days=20))
    fed(left_out, contract=IGNORING, retention_days=30, lookback_days=1)
    planned = plan_stream(replace(RULES, retention_days=5), left_out.ports().planning_ports())
    assert [file.key for batch in planned.reregister for file in batch.files] == [name(0), name(1)]


def test_a_file_that_cannot_be_registered_with_its_fields_stays_as_it_is(left_out: FeedWorld) -> None:
    clash = replace(CONTRACT, columns=(*CONTRACT.columns, Column(name="extra", type=parse_type("BIGINT"))))
    report = left_out.feed(contract=clash)
    assert (report.error, report.reregistered) == (None, 0)
    assert len(left_out.lake.landing_rows(STREAM)) == 3
    assert list(left_out.lake.quarantined(STREAM)) == []
    refused = {item.key: item.refused or "" for item in left_out.lake.left_out_files(STREAM)}
    assert all("expected BIGINT, found VARCHAR" in reason for reason in refused.values()) and len(refused) == 2
    before = left_out.catalog.head
    assert left_out.feed(contract=clash).status is StreamStatus.NOTHING_NEW
    assert left_out.catalog.head == before


def test_a_file_whose_fields_have_no_place_after_all_stays_as_it_is() -> None:
    file = FeedWorld().put(name(0), row(0))
    footer = footer_of(content([row(0)], columns=EXTRA))
    verdict = Accepted(file=file, footer=footer, left_out=(("extra",),))
    before = {name(0): LeftOut(key=name(0), etag="1", fields=(("extra",),))}
    assert sorted_out([verdict], before) == ((), {name(0): "no place for extra"})
    more = {name(0): LeftOut(key=name(0), etag="1", fields=(("extra",), ("other",)))}
    assert sorted_out([verdict], more) == ((verdict,), {})


# ---- the key -------------------------------------------------------------------------------------------------------


def test_another_key_or_cursor_is_refused_by_plan_and_feed(world: FeedWorld) -> None:
    put(world, 0, {})
    fed(world)
    before = world.catalog.head
    for change in ({"primary_key": ("pk", "value")}, {"newest_first": ("cursor",)}):
        other = replace(RULES, contract=replace(CONTRACT, **change))
        with pytest.raises(Exception, match="lakeray rebuild"):
            plan_stream(other, world.ports().planning_ports())
        report = world.feed(contract=other.contract)
        assert report.error is not None and report.error["kind"] == "contract"
        assert world.catalog.head == before
    assert world.feed().status is StreamStatus.NOTHING_NEW


def test_a_key_may_change_while_nothing_is_merged(world: FeedWorld) -> None:
    fed(world)
    put(world, 0, {})
    other = replace(CONTRACT, primary_key=("pk", "value"))
    fed(world, contract=other)
    noted = world.lake.contract_notes(STREAM).merged_by
    assert noted is not None and noted.primary_key == ("pk", "value")
