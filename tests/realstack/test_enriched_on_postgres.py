"""Enriched models replace what changed on a lake whose catalog is in a schema of its own in Postgres (ADR 0020)."""

from __future__ import annotations

import json

from tests.realstack.stack import Stack

STREAMS = ("shopify/orders", "shopify/order_refunds")
ONE_SYNC = ("sample.days=1", "sample.syncs_per_day=1")
FIRST = (*ONE_SYNC, "sample.files_per_day=2", "sample.rows_per_file=40")
SECOND = (*ONE_SYNC, "sample.files_per_day=1", "sample.rows_per_file=8", "sample.first_day=2026-01-02")


def test_a_second_feed_writes_the_rows_that_changed_alone(stack: Stack) -> None:
    lake = stack.lake(streams=list(STREAMS), sample=FIRST)
    lake.fed("retention.snapshot_days=1")
    more = lake.run("sample", *SECOND)
    assert more.code == 0, more.err
    ran = lake.fed("retention.snapshot_days=1")
    assert ran.document["enriched"] == ["fct_sales"]
    told = [json.loads(line) for line in ran.err.splitlines() if '"model": "fct_sales"' in line]
    with lake.connection() as connection:
        orders = "lakehouse.main.int_shopify__orders WHERE NOT coalesce(test, false) AND deleted_at IS NULL"
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in ("lakehouse.main.fct_sales", orders)
        ]
    assert counts[0] == counts[1]
    assert len(told) == 1 and 0 < told[0]["rows"] < counts[0] / 2
