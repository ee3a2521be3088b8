"""The sample's records: the same ones every time, related as in a real shop, and updated the way Airbyte lands them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakeray.sample import Row, SampleSettings, SampleStream, record_count, sample_files
from lakeray.values.column_types import ColumnType, ListOf, MapOf, Scalar, Struct, parse_type
from lakeray.values.model import Column, StreamName

CONFIGS = Path(__file__).parents[2] / "conf" / "stream"
NAMES = (
    *("shopify/orders", "shopify/customers", "shopify/order_refunds", "klaviyo/profiles", "klaviyo/events"),
    *("klaviyo/campaigns", "klaviyo/flows", "klaviyo/lists", "klaviyo/metrics"),
)
SETTINGS = SampleSettings(days=2, files_per_day=6, rows_per_file=80)
METADATA = {"_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_meta", "_airbyte_generation_id"}
TYPES = {
    "VARCHAR": str,
    "BIGINT": int,
    "DOUBLE": float,
    "BOOLEAN": bool,
    "TIMESTAMP WITH TIME ZONE": datetime,
    "DATE": date,
}


def configured(name: str) -> SampleStream:
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return SampleStream(
        name=StreamName(config["source"], config["stream"]),
        fields=tuple(Column(name=field, type=parse_type(kind)) for field, kind in config["fields"].items()),
        primary_key=tuple(config["primary_key"]),
        cursor_field=config["cursor_field"],
    )


def rows_of(name: str, *, settings: SampleSettings = SETTINGS) -> Iterator[Row]:
    for file in sample_files(configured(name), settings=settings):
        yield from file.rows()


def content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in METADATA}


def newest(name: str) -> dict[Any, Row]:
    """The last version of each record, as a merge keeps it."""
    stream = configured(name)
    found: dict[Any, Row] = {}
    for row in rows_of(name):
        known = found.get(row["id"])
        if known is None or row[stream.cursor_field] >= known[stream.cursor_field]:
            found[row["id"]] = row
    return found


def cents(amount: float | str) -> int:
    return round(float(amount) * 100)


@pytest.fixture(scope="module")
def orders() -> list[Row]:
    return list(rows_of("shopify/orders"))


@pytest.mark.parametrize("name", NAMES)
def test_same_settings_make_the_same_rows(name: str) -> None:
    assert list(rows_of(name)) == list(rows_of(name))


def test_another_seed_makes_other_rows() -> None:
    other = replace(SETTINGS, seed=7)
    assert list(rows_of("shopify/orders")) != list(rows_of("shopify/orders", settings=other))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_can_be_made_without_the_others_and_again(name: str) -> None:
    in_order = [list(file.rows()) for file in sample_files(configured(name), settings=SETTINGS)]
    backwards = [list(file.rows()) for file in reversed(list(sample_files(configured(name), settings=SETTINGS)))]
    assert in_order == backwards[::-1]


@pytest.mark.parametrize("name", NAMES)
def test_more_days_only_add_files(name: str) -> None:
    longer = replace(SETTINGS, days=SETTINGS.days + 1)
    fewer = {file.key: list(file.rows()) for file in sample_files(configured(name), settings=SETTINGS)}
    more = {file.key: list(file.rows()) for file in sample_files(configured(name), settings=longer)}
    assert {key: more[key] for key in fewer} == fewer
    assert len(more) == len(fewer) + SETTINGS.files_per_day


def test_keys_are_hive_folders_with_unpadded_part_numbers_per_day() -> None:
    settings = SampleSettings(first_day=date(2025, 12, 31), days=2, files_per_day=12, rows_per_file=1)
    keys = [file.key for file in sample_files(configured("klaviyo/flows"), settings=settings)]
    assert keys[0] == "klaviyo/flows/year=2025/month=12/day=31/part_0.parquet"
    assert keys[11] == "klaviyo/flows/year=2025/month=12/day=31/part_11.parquet"
    assert keys[12] == "klaviyo/flows/year=2026/month=01/day=01/part_0.parquet"


def test_several_syncs_a_day_start_on_the_day_of_their_folder_and_hold_their_rows() -> None:
    files = list(sample_files(configured("shopify/customers"), settings=replace(SETTINGS, syncs_per_day=3)))
    assert len({file.sync_at for file in files}) == 3 * SETTINGS.days
    for file, after in zip(files, [*files[1:], None], strict=True):
        assert file.sync_at.strftime("year=%Y/month=%m/day=%d") in file.key
        extracted = [row["_airbyte_extracted_at"] for row in file.rows()]
        assert file.sync_at <= file.extracted_at == extracted[0]
        assert extracted == sorted(extracted)
        assert after is None or extracted[-1] < after.extracted_at


@pytest.mark.parametrize("name", NAMES)
def test_records_hold_only_what_the_contract_knows_and_in_its_types(name: str) -> None:
    fields = {column.name: column.type for column in configured(name).fields}
    for row in rows_of(name):
        assert row.keys() >= METADATA
        for field, value in content(row).items():
            assert field in fields, field
            check(value, kind=fields[field], path=field)


def check(value: Any, *, kind: ColumnType, path: str) -> None:
    if value is None:
        return
    match kind:
        case Struct(fields=fields):
            parts = dict(fields)
            assert value.keys() <= parts.keys(), (path, value.keys() - parts.keys())
            for name, part in value.items():
                check(part, kind=parts[name], path=f"{path}.{name}")
        case ListOf(item=item):
            for part in value:
                check(part, kind=item, path=f"{path}[]")
        case Scalar(name=name):
            assert type(value) is TYPES[name], (path, name, value)
            assert type(value) is not datetime or value.tzinfo is UTC, path
        case MapOf():
            raise AssertionError(path)


@pytest.mark.parametrize("name", NAMES)
def test_versions_of_a_record_get_newer_with_the_file(name: str) -> None:
    stream = configured(name)
    seen: dict[Any, list[tuple[Any, Any]]] = defaultdict(list)
    for number, file in enumerate(sample_files(stream, settings=SETTINGS)):
        for row in file.rows():
            cursor = row[stream.cursor_field]
            assert cursor <= row["_airbyte_extracted_at"]
            seen[row["id"]].append((cursor, number))
    assert len(seen) == record_count(stream, settings=SETTINGS)
    moving = name not in ("klaviyo/events", "shopify/order_refunds")
    assert any(len(set(cursors)) > 1 for cursors in seen.values())
    assert any(len({cursor for cursor, _ in versions}) > 1 for versions in seen.values()) == moving


def test_a_file_holds_new_records_updates_a_resent_block_and_a_late_older_version(orders: list[Row]) -> None:
    newest_so_far: dict[int, datetime] = {}
    sent: dict[tuple[int, datetime], Row] = {}
    counts: dict[str, int] = defaultdict(int)
    raw_ids = [row["_airbyte_raw_id"] for row in orders]
    assert len(set(raw_ids)) == len(raw_ids)
    for row in orders:
        version = (row["id"], row["updated_at"])
        known = newest_so_far.get(row["id"])
        if known is None:
            counts["new"] += 1
        elif version in sent:
            assert content(sent[version]) == content(row)
            assert sent[version]["_airbyte_extracted_at"] < row["_airbyte_extracted_at"]
            counts["resent" if known == row["updated_at"] else "late"] += 1
        else:
            assert row["updated_at"] > known
            counts["updated"] += 1
        sent.setdefault(version, row)
        newest_so_far[row["id"]] = max(row["updated_at"], known or row["updated_at"])
    assert sum(counts.values()) == SETTINGS.files * SETTINGS.rows_per_file
    later = sum(counts.values()) - SETTINGS.rows_per_file
    assert 0.18 < counts["updated"] / later < 0.25
    assert 0.01 < counts["resent"] / later < 0.04
    assert 0.005 < counts["late"] / later < 0.03


def test_orders_add_up(orders: list[Row]) -> None:
    for order in orders:
        lines = order["line_items"]
        total = cents(order["total_line_items_price"])
        discounts = sum(cents(part["amount"]) for line in lines for part in line["discount_allocations"])
        taxes = sum(cents(tax["price"]) for line in lines for tax in line["tax_lines"])
        shipping = sum(cents(line["price"]) for line in order["shipping_lines"])
        assert total == sum(cents(line["price"]) * line["quantity"] for line in lines)
        assert discounts == cents(order["total_discounts"]) == sum(cents(c["amount"]) for c in order["discount_codes"])
        assert taxes == cents(order["total_tax"]) == sum(cents(tax["price"]) for tax in order["tax_lines"])
        assert cents(order["subtotal_price"]) == total - discounts
        assert cents(order["total_price"]) == total - discounts + taxes + shipping
        assert order["total_price_set"]["shop_money"] == {
            "amount": order["total_price"],
            "currency_code": order["currency"],
        }


def test_orders_know_the_customer(orders: list[Row]) -> None:
    customers = newest("shopify/customers")
    for order in orders:
        customer = customers[order["customer_id"]]
        assert order["customer"]["id"] == customer["id"]
        assert order["email"] == customer["email"]
        assert customer["created_at"] < order["created_at"]
    repeats = len(orders) - len({order["customer_id"] for order in orders})
    assert repeats > len(orders) // 4


def test_refunds_belong_to_earlier_orders_and_never_exceed_them(orders: list[Row]) -> None:
    bought = {order["id"]: order for order in orders}
    back: dict[int, int] = defaultdict(int)
    refunds = newest("shopify/order_refunds")
    for refund in refunds.values():
        order = bought[refund["order_id"]]
        (item,) = refund["refund_line_items"]
        (payment,) = refund["transactions"]
        lines = {line["id"]: line for line in order["line_items"]}
        adjusted = -sum(cents(adjustment["amount"]) for adjustment in refund["order_adjustments"])
        assert refund["created_at"] > order["created_at"]
        assert item["quantity"] <= lines[item["line_item_id"]]["quantity"]
        assert item["line_item"]["title"] == lines[item["line_item_id"]]["title"]
        assert cents(payment["amount"]) == cents(item["subtotal"]) + cents(item["total_tax"]) + adjusted > 0
        back[order["id"]] += cents(payment["amount"])
    assert all(amount <= cents(bought[order]["total_price"]) for order, amount in back.items())
    assert len(back) < len(refunds), "some orders have a second refund"


def test_an_order_shows_the_refunds_made_so_far(orders: list[Row]) -> None:
    refunds = newest("shopify/order_refunds")
    shown = 0
    for order in orders:
        amounts = [cents(payment["amount"]) for refund in order["refunds"] for payment in refund["transactions"]]
        assert cents(order["current_total_price"]) == cents(order["total_price"]) - sum(amounts)
        assert all(refunds[refund["id"]]["order_id"] == order["id"] for refund in order["refunds"])
        assert (order["financial_status"] in ("refunded", "partially_refunded")) == bool(order["refunds"])
        shown += len(order["refunds"])
    assert shown


def test_klaviyo_knows_the_shops_customers_and_others() -> None:
    customers = {row["email"] for row in newest("shopify/customers").values() if row["email"]}
    mails = [row["attributes"]["email"] for row in newest("klaviyo/profiles").values() if row["attributes"]["email"]]
    shared = [mail for mail in mails if mail.lower() in customers]
    assert 0.6 * len(mails) < len(shared) < 0.9 * len(mails)
    assert any(mail != mail.lower() for mail in shared)
    assert len({mail.lower() for mail in mails}) == len(mails)
    assert all(mail == mail.lower() for mail in customers)


def test_events_refer_to_profiles_and_metrics_that_exist() -> None:
    profiles, metrics = newest("klaviyo/profiles"), newest("klaviyo/metrics")
    for event in newest("klaviyo/events").values():
        relations = event["relationships"]
        assert relations["metric"]["data"]["id"] in metrics
        assert profiles[relations["profile"]["data"]["id"]]["attributes"]["created"] < event["datetime"]
        assert event["attributes"]["timestamp"] == int(event["datetime"].timestamp())


def test_columns_of_json_text_hold_json() -> None:
    for row in rows_of("klaviyo/events"):
        assert isinstance(json.loads(row["attributes"]["event_properties"]), dict)
    for row in rows_of("klaviyo/profiles"):
        assert isinstance(json.loads(row["attributes"]["properties"]), dict)
        assert json.loads(row["segments"]) == []
    for row in rows_of("klaviyo/metrics"):
        assert json.loads(row["attributes"]["integration"])["object"] == "integration"


@pytest.mark.parametrize("name", ["shopify/orders", "shopify/customers", "klaviyo/events", "klaviyo/profiles"])
def test_a_value_that_was_lost_is_null_and_told_in_the_metadata(name: str) -> None:
    stream = configured(name)
    spared = {*stream.primary_key, stream.cursor_field}
    bad = 0
    for row in rows_of(name):
        for change in row["_airbyte_meta"]["changes"]:
            assert change == {"field": change["field"], "change": "NULLED", "reason": "DESTINATION_TYPECAST_ERROR"}
            assert row[change["field"]] is None
            assert change["field"] not in spared
            bad += 1
    assert 0 < bad < 0.05 * SETTINGS.files * SETTINGS.rows_per_file


def test_texts_have_accents_emoji_and_quotes(orders: list[Row]) -> None:
    notes = {order["note"] for order in orders}
    assert None in notes
    text = "".join(note for note in notes if note)
    assert all(part in text for part in ('"', "'", "🎁", "\\", "\n", "П"))
