"""The dbt project on a real DuckLake: what a merge promises (P12), the fence (P10), the enriched tables' numbers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lakeray.values.origins import ORIGIN
from tests.integration.dbt_lake import DbtLake, Project, failures, nodes

ORDERS, REFUNDS, CUSTOMERS, PROFILES = (
    "shopify__orders",
    "shopify__order_refunds",
    "shopify__customers",
    "klaviyo__profiles",
)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.parse(tmp_path_factory.mktemp("dbt"))


@pytest.fixture
def lake(tmp_path: Path, project: Project) -> DbtLake:
    return DbtLake(tmp_path / "lake", project)


def day(number: int) -> str:
    return f"2026-01-{number:02d} 00:00:00Z"


def order(key: int | None, name: str, updated: str | None, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "updated_at": updated, **more}


def orders(lake: DbtLake) -> list[tuple[Any, ...]]:
    return lake.table("int_shopify__orders", "id, name")


def test_the_newest_record_wins_within_a_batch_and_across_batches(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "old", day(1)), order(1, "new", day(2)), order(2, "two", day(1))))
    assert orders(lake) == [(1, "new"), (2, "two")]
    batch = lake.land(ORDERS, order(2, "three", day(3)), order(2, "2.5", day(2)), order(3, "first", day(1)))
    lake.merge(ORDERS, batch)
    assert orders(lake) == [(1, "new"), (2, "three"), (3, "first")]


def test_an_older_record_never_overwrites_a_newer_one(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "newest", day(5)), order(2, "newest", day(5))))
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "late", day(4)), order(2, "no cursor", None), extracted_at=day(9)))
    assert orders(lake) == [(1, "newest"), (2, "newest")]


def test_of_equal_cursors_the_later_extraction_wins_and_any_cursor_beats_none(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "first", day(5)), order(2, "no cursor", None), extracted_at=day(6)))
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "again", day(5)), order(2, "dated", day(1)), extracted_at=day(7)))
    assert orders(lake) == [(1, "again"), (2, "dated")]


def test_the_result_does_not_depend_on_the_order_of_the_batches(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(9, "so that the table exists", day(1))))
    first = lake.land(ORDERS, order(1, "a", day(5)), order(2, "b", day(2)))
    second = lake.land(ORDERS, order(1, "same time, other emission", day(5)), order(2, "a", day(1)))
    lake.merge(ORDERS, second)
    lake.merge(ORDERS, first)
    backwards = orders(lake)
    lake.build("run", "--full-refresh", "--select", f"tag:{ORDERS}")
    assert orders(lake) == backwards


def test_a_deletion_without_a_cursor_is_judged_by_the_time_of_the_deletion(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "sold", day(5))))
    lake.merge(ORDERS, lake.land(ORDERS, {"id": 1, "deleted_at": day(6)}))
    assert lake.table("int_shopify__orders", "id, deleted_at IS NOT NULL") == [(1, True)]


def test_rows_without_a_key_are_left_out(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(None, "keyless", day(1)), order(1, "one", day(1))))
    lake.merge(ORDERS, lake.land(ORDERS, order(None, "keyless again", day(1))))
    assert orders(lake) == [(1, "one")]


def test_running_the_same_marks_twice_changes_nothing(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    batch = lake.land(ORDERS, order(1, "two", day(2)), order(2, "one", None))
    lake.merge(ORDERS, batch)
    rows, snapshot = orders(lake), lake.snapshot()
    lake.merge(ORDERS, batch)
    assert (orders(lake), lake.snapshot()) == (rows, snapshot)


def test_only_the_rows_between_the_marks_are_read(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    second, third, _ = (lake.land(ORDERS, order(key, "later", day(1))) for key in (2, 3, 4))
    lake.merge(ORDERS, second, third)
    assert [key for key, _ in orders(lake)] == [1, 2, 3]


def test_without_marks_they_are_looked_up_in_the_ledger(lake: DbtLake) -> None:
    first = lake.land(ORDERS, order(1, "one", day(1)))
    lake.build("run", "--select", f"tag:{ORDERS}")
    lake.sql(f"INSERT INTO lakehouse.meta.feeder_cursors VALUES ('shopify', 'orders', 'part_1', {first}, now())")
    lake.sql("DELETE FROM lakehouse.main.int_shopify__orders")
    lake.build("run", "--select", f"tag:{ORDERS}")
    assert orders(lake) == []
    lake.land(ORDERS, order(2, "two", day(1)))
    lake.land(CUSTOMERS, {"id": 1})
    lake.land(ORDERS, order(3, "three", day(1)))
    lake.build("run", "--select", f"tag:{ORDERS}")
    assert [key for key, _ in orders(lake)] == [2, 3]


def test_the_rows_of_expired_snapshots_are_merged_by_rowscan(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    batch = lake.land(ORDERS, order(2, "two", day(1)))
    lake.land(ORDERS, order(3, "three", day(1)))
    lake.sql(f"CALL ducklake_expire_snapshots('lakehouse', versions => [{batch}])")
    result = lake.run("run", "--select", f"tag:{ORDERS}", lakeray_marks={ORDERS: {"from": batch, "to": batch}})
    assert not result.success and f"version {batch}" in failures(result)
    lake.merge(ORDERS, batch, by="rowscan")
    assert [key for key, _ in orders(lake)] == [1, 2]


def test_new_columns_and_new_struct_fields_flow_without_a_full_refresh(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1), line_items=[{"id": 5}])))
    landing = "lakehouse.staging.stg_shopify__orders"
    lake.sql(f"ALTER TABLE {landing} ADD COLUMN gift VARCHAR")
    lake.sql(f"ALTER TABLE {landing} ADD COLUMN client_details.colour VARCHAR")
    lake.sql(f"ALTER TABLE {landing} ADD COLUMN line_items.element.colour VARCHAR")
    batch = lake.land(
        ORDERS, order(2, "two", day(1), gift="box", client_details={"colour": "red"}, line_items=[{"colour": "blue"}])
    )
    before = lake.snapshot()
    lake.merge(ORDERS, batch)
    columns = "id, gift, client_details.colour, line_items[1].colour, line_items[1].id"
    assert lake.table("int_shopify__orders", columns) == [(1, None, None, None, 5), (2, "box", "red", "blue", None)]
    assert lake.snapshot() == before + 1


def test_a_full_refresh_is_refused_once_the_retention_has_removed_rows(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    rebuild = ("run", "--full-refresh", "--select", f"tag:{ORDERS}")
    lake.build(*rebuild)
    lake.sql(
        "INSERT INTO lakehouse.meta.removals (source, stream, file_key, etag, reason, key_may_return)"
        " VALUES ('shopify', 'orders', 'part_1.parquet', 'etag', 'retention', false)"
    )
    lake.sql("DELETE FROM lakehouse.staging.stg_shopify__orders")
    result = lake.run(*rebuild)
    assert not result.success and "lakeray_allow_loss: true" in failures(result)
    assert orders(lake) == [(1, "one")]
    lake.build(*rebuild, lakeray_allow_loss=True)
    assert orders(lake) == []


def test_a_selection_without_models_succeeds_in_dbt_with_no_results(lake: DbtLake) -> None:
    result = lake.run("run", "--select", "tag:shopify__nothing")
    assert result.success and nodes(result) == []


def test_the_fence_counts_in_the_same_snapshot_as_the_merge(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))), lakeray_token=7)
    batch = lake.land(ORDERS, order(2, "two", day(1)))
    lake.merge(ORDERS, batch, lakeray_token=7)
    assert (lake.snapshot(), lake.commits()) == (batch + 1, 2)


def test_the_fence_refuses_a_token_that_nobody_holds(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    batch = lake.land(ORDERS, order(2, "two", day(1)))
    marks = {ORDERS: {"from": batch, "to": batch}}
    result = lake.run("run", "--select", f"tag:{ORDERS}", lakeray_marks=marks, lakeray_token=6)
    assert not result.success and "fencing token 6" in failures(result)
    assert (orders(lake), lake.snapshot(), lake.commits()) == ([(1, "one")], batch, 0)


def test_a_lease_that_changes_hands_during_the_merge_makes_it_fail(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    batch = lake.land(ORDERS, order(2, "two", day(1)))
    taken: list[int] = []

    def take_over(event: Any) -> None:
        if event.info.name == "SQLQuery" and "update lakehouse.meta.committer" in event.data.sql and not taken:
            taken.append(8)
            lake.sql("UPDATE lakehouse.meta.committer SET token = 8")

    marks = {ORDERS: {"from": batch, "to": batch}}
    result = lake.run("run", "--select", f"tag:{ORDERS}", on_event=take_over, lakeray_marks=marks, lakeray_token=7)
    assert taken and not result.success
    assert (orders(lake), lake.commits()) == ([(1, "one")], 0)
    lake.merge(ORDERS, batch, lakeray_token=8)
    assert (orders(lake), lake.commits()) == ([(1, "one"), (2, "two")], 1)


def test_every_model_builds_and_every_test_passes_on_an_empty_lake(lake: DbtLake) -> None:
    ran = lake.build("build", lakeray_token=7)
    models = [name for name in ran if name.startswith(("int_", "fct_", "dim_"))]
    assert len(models) == 11 and len(ran) - len(models) == 23
    assert lake.commits() == 11


SALE = order(
    1,
    "#1001",
    day(1),
    created_at=day(1),
    currency="EUR",
    financial_status="paid",
    total_line_items_price=100.0,
    total_discounts=10.0,
    total_tax=17.1,
    total_shipping_price_set={"shop_money": {"amount": 5.0}},
    line_items=[{"quantity": 2}, {"quantity": 1}],
    customer={"id": 77},
    email=" Ada@Example.com",
)
MEASURES = "gross, discounts, returns, net, shipping, taxes, total"


def refund(key: int, subtotal: float, tax: float, *adjustments: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "id": key,
        "order_id": 1,
        "created_at": day(key),
        "refund_line_items": [{"subtotal": subtotal, "total_tax": tax}],
        "order_adjustments": [{"kind": k, "amount": amount, "tax_amount": t} for k, amount, t in adjustments],
    }


def sales(lake: DbtLake) -> dict[int, tuple[str, ...]]:
    """Each order's `MEASURES`, as text."""
    lake.build("build", "--select", "+fct_sales")
    return {row[0]: tuple(str(value) for value in row[1:]) for row in lake.table("fct_sales", f"order_id, {MEASURES}")}


def test_an_order_without_refunds_is_sold_for_what_was_charged(lake: DbtLake) -> None:
    lake.land(ORDERS, SALE)
    assert sales(lake) == {1: ("100.00", "10.00", "0.00", "90.00", "5.00", "17.10", "112.10")}
    row = lake.table("fct_sales", "order_id, customer_id, email, quantity, typeof(total)")
    assert row == [(1, 77, "ada@example.com", 3, "DECIMAL(18,2)")]


def test_a_refund_in_a_later_batch_adds_to_the_earlier_ones(lake: DbtLake) -> None:
    lake.land(ORDERS, SALE)
    lake.land(REFUNDS, refund(2, 30.0, 5.7))
    assert sales(lake)[1] == ("100.00", "10.00", "30.00", "60.00", "5.00", "11.40", "76.40")
    corrections = (("shipping_refund", "-5.00", "0.00"), ("refund_discrepancy", "-2.50", "-0.40"))
    lake.land(REFUNDS, refund(3, 20.0, 3.8, *corrections))
    assert sales(lake)[1] == ("100.00", "10.00", "52.50", "37.50", "0.00", "7.20", "44.70")
    lake.land(REFUNDS, refund(3, 20.0, 3.8, *corrections), extracted_at=day(9))
    assert sales(lake)[1] == ("100.00", "10.00", "52.50", "37.50", "0.00", "7.20", "44.70")


def test_taxes_that_prices_include_count_once(lake: DbtLake) -> None:
    lake.land(ORDERS, {**SALE, "taxes_included": True, "total_tax": 19.0})
    lake.land(REFUNDS, refund(2, 23.8, 3.8))
    assert sales(lake)[1] == ("81.00", "10.00", "20.00", "51.00", "5.00", "15.20", "71.20")


def test_test_orders_and_deleted_orders_are_not_sales(lake: DbtLake) -> None:
    lake.land(
        ORDERS, SALE, {**SALE, "id": 2, "test": True}, {**SALE, "id": 3}, {**SALE, "id": 4, "cancelled_at": day(2)}
    )
    lake.land(ORDERS, {"id": 3, "deleted_at": day(9)})
    assert list(sales(lake)) == [1, 4]


def test_a_customer_has_the_newest_profile_of_the_same_address(lake: DbtLake) -> None:
    lake.land(CUSTOMERS, {"id": 1, "email": "Ada@example.com "}, {"id": 2, "email": None}, {"id": 3, "email": "x@y.z"})
    analytics = {"predicted_clv": 12.345}
    lake.land(
        PROFILES,
        {"id": "old", "updated": day(1), "attributes": {"email": "ada@example.com"}},
        {"id": "new", "updated": day(2), "attributes": {"email": "ADA@example.com", "predictive_analytics": analytics}},
        {"id": "nobody", "updated": day(2), "attributes": {"email": None}},
    )
    lake.build("build", "--select", "+dim_customers")
    assert lake.table("dim_customers", "customer_id, email, klaviyo_profile_id, predicted_clv") == [
        (1, "ada@example.com", "new", Decimal("12.35")),
        (2, None, None, None),
        (3, "x@y.z", None, None),
    ]


def test_every_model_and_every_column_is_described(lake: DbtLake, project: Project) -> None:
    lake.build("run")
    missing = []
    for node in project.manifest.nodes.values():
        if node.resource_type != "model":
            continue
        described = {name for name, column in node.columns.items() if column.description}
        columns = [row[0] for row in lake.sql(f"DESCRIBE lakehouse.main.{node.name}") if row[0] != ORIGIN]
        missing += [] if node.description else [node.name]
        missing += [f"{node.name}.{column}" for column in columns if column not in described]
    assert missing == []
