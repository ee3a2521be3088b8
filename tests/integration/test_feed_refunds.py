"""fct_sales over several feeds: a refund that arrives later adds to those before, and counts once (P12)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from tests.support.real.lake import Lake, Row
from tests.support.real.parquet import START, TIMES, write

ORDERS, REFUNDS = "shopify/orders", "shopify/order_refunds"
FEED = ("feed", f"+stream=[{ORDERS},{REFUNDS}]")
ORDER_TYPES = {
    "id": pa.int64(), "updated_at": TIMES, "total_line_items_price": pa.float64(), "total_discounts": pa.float64(),
    "total_tax": pa.float64(), "financial_status": pa.string(),
}  # fmt: skip
ITEM = pa.struct({"id": pa.int64(), "subtotal": pa.float64(), "total_tax": pa.float64()})
REFUND_TYPES = {"id": pa.int64(), "order_id": pa.int64(), "created_at": TIMES, "refund_line_items": pa.list_(ITEM)}


def land_order(lake: Lake, part: int, *, number: int = 1, status: str = "paid") -> None:
    order = {"id": number, "total_line_items_price": 100.0, "total_discounts": 5.0, "total_tax": 8.0}
    changed = {"updated_at": START + timedelta(hours=part), "financial_status": status}
    write(lake.raw / ORDERS / f"year=2026/month=01/day=01/part_{part}.parquet", order | changed, types=ORDER_TYPES)


def land_refund(lake: Lake, part: int, *, number: int, amount: float, order: int = 1) -> None:
    refund = {
        "id": number,
        "order_id": order,
        "created_at": START + timedelta(hours=number),
        "refund_line_items": [{"id": number, "subtotal": amount, "total_tax": 0.0}],
    }
    write(lake.raw / REFUNDS / f"year=2026/month=01/day=01/part_{part}.parquet", refund, types=REFUND_TYPES)


def sales(lake: Lake) -> dict[int, Row]:
    """By order: gross, returns, net, total, status."""
    columns = "order_id, gross, returns, net, total, financial_status"
    rows = lake.query(f"SELECT {columns} FROM lakehouse.main.fct_sales")
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


def numbers(*amounts: int) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount) for amount in amounts)


def test_refunds_of_several_feeds_add_up_whenever_they_arrive_and_each_counts_once(
    tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    land_order(lake, 0)
    land_refund(lake, 0, number=1, amount=10.0)
    land_refund(lake, 1, number=7, amount=40.0, order=2)  # before its order
    lake.ok(*FEED)
    assert sales(lake) == {1: (*numbers(100, 10, 85, 93), "paid")}

    land_refund(lake, 2, number=2, amount=20.0)
    land_refund(lake, 3, number=1, amount=10.0)  # a retried sync sends the first one again
    land_order(lake, 1, number=2)
    lake.ok(*FEED)
    assert sales(lake) == {1: (*numbers(100, 30, 65, 73), "paid"), 2: (*numbers(100, 40, 55, 63), "paid")}

    land_order(lake, 2, status="partially_refunded")
    lake.ok(*FEED)
    assert sales(lake)[1] == (*numbers(100, 30, 65, 73), "partially_refunded")
