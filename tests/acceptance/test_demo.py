"""``lakeray demo``: from nothing to merged tables, and the same tables when it is run again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.real.lake import Lake, Ran
from tests.support.real.processes import lakeray

pytestmark = pytest.mark.timeout(900)
STREAMS = [
    "klaviyo/campaigns", "klaviyo/events", "klaviyo/flows", "klaviyo/lists", "klaviyo/metrics", "klaviyo/profiles",
    "shopify/customers", "shopify/order_refunds", "shopify/orders",
]  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "root"


@pytest.fixture(scope="module")
def demo(root: Path) -> Ran:
    return lakeray("demo", f"paths.root={root}", "output=json")


def test_demo_fills_every_table(demo: Ran) -> None:
    assert demo.code == 0, demo.err
    states = {f"{state['source']}/{state['stream']}": state for state in demo.document["streams"]}
    assert sorted(states) == STREAMS
    for name, state in states.items():
        assert state["landing_rows"] > 0, name
        assert 0 < state["processed_rows"] <= state["landing_rows"], name
        assert (state["pending_files"], state["quarantined"], state["too_late"]) == (0, 0, 0), name
        assert state["transformed_snapshot"] == state["registered_snapshot"], name
    assert demo.document["enriched"].keys() >= {"fct_sales", "dim_customers"}
    assert all(rows > 0 for rows in demo.document["enriched"].values())


def test_demo_run_again_makes_the_same_tables(demo: Ran, root: Path) -> None:
    assert demo.code == 0
    lake = Lake(root)
    before = lake.digests()
    again = lakeray("demo", f"paths.root={root}")
    assert again.code == 0, again.err
    assert lake.digests() == before
    assert "fct_sales" in again.out  # a status table, for people
