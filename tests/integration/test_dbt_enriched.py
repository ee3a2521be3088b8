"""Enriched models replace the rows of what changed, and are then what a whole build would make them (ADR 0020)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dbt_lake import DbtLake, Project, failures, nodes

ORDERS, REFUNDS, CUSTOMERS, PROFILES = (
    "shopify__orders",
    "shopify__order_refunds",
    "shopify__customers",
    "klaviyo__profiles",
)
MODELS = ("fct_sales", "dim_customers")
IDS = 40


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.parse(tmp_path_factory.mktemp("dbt"))


@pytest.fixture
def shop(tmp_path: Path, project: Project) -> Shop:
    return Shop(DbtLake(tmp_path / "lake", project))


class Shop:
    """A lake whose processed tables change, and its enriched tables."""

    def __init__(self, lake: DbtLake) -> None:
        self.lake = lake
        self._hours = 0
        everything = range(1, IDS + 1)
        self.arrive(ORDERS, *(self.order(key) for key in everything))
        self.arrive(REFUNDS, self.refund(1, 1))
        self.arrive(CUSTOMERS, *(self.customer(key, f"{key}@x.y") for key in everything))
        self.arrive(PROFILES, self.profile("p1", "1@x.y"))

    def arrive(self, slug: str, *rows: dict[str, Any]) -> None:
        """Land the rows and merge them into the stream's processed table."""
        self.lake.merge(slug, self.lake.land(slug, *rows))

    def enrich(self, *words: str, models: tuple[str, ...] = MODELS) -> dict[str, bool]:
        """Build the enriched tables, compare them with whole builds: which of them were built in part."""
        result = self.lake.run("run", "--select", *models, *words, lakeray_token=7)
        assert result.success, failures(result)
        in_part = {node.node.name: "lakeray_affected_" in node.node.compiled_code for node in nodes(result)}
        for model in models:
            assert self.rows(model) == self.whole(model)
        return in_part

    def rows(self, model: str) -> list[tuple[Any, ...]]:
        """The table as it is."""
        return self.lake.sql(f"SELECT * FROM lakehouse.main.{model} ORDER BY ALL")

    def whole(self, model: str) -> list[tuple[Any, ...]]:
        """What a whole build would make it now."""
        compiled = next(node for node in nodes(self.lake.run("compile", "--select", model)) if node.node.name == model)
        return self.lake.sql(f"SELECT * FROM ({compiled.node.compiled_code}) ORDER BY ALL")

    def written(self, model: str) -> set[Any]:
        """The keys of the rows that the newest build of the table wrote."""
        (last,) = self.lake.sql(f"SELECT max(snapshot_id) FROM (SELECT snapshot_id FROM lakehouse.main.{model})")[0]
        key = "order_id" if model == "fct_sales" else "customer_id"
        rows = self.lake.sql(
            f"SELECT {key} FROM ducklake_table_insertions('lakehouse', 'main', '{model}', {last}, {last})"
        )
        return {row[0] for row in rows}

    def order(self, key: int, **more: Any) -> dict[str, Any]:
        """An order as it is an hour later."""
        return {
            "id": key,
            "name": f"#{key}",
            "updated_at": self._later(),
            "total_line_items_price": float(self._hours),
            "line_items": [{"quantity": 1}],
            **more,
        }

    def refund(self, key: int, order_id: int) -> dict[str, Any]:
        """A refund of one euro."""
        items = [{"subtotal": 1.0, "total_tax": 0.1}]
        adjustments = [{"kind": "shipping_refund", "amount": "-0.5", "tax_amount": "0"}]
        made = {"id": key, "order_id": order_id, "created_at": self._later()}
        return {**made, "refund_line_items": items, "order_adjustments": adjustments}

    def customer(self, key: int, email: str | None) -> dict[str, Any]:
        """A customer, with another address perhaps."""
        return {"id": key, "email": email, "updated_at": self._later()}

    def profile(self, key: str, email: str | None) -> dict[str, Any]:
        """A profile, with another address perhaps."""
        return {"id": key, "updated": self._later(), "attributes": {"email": email}}

    def _later(self) -> str:
        self._hours += 1
        return f"2026-01-{1 + self._hours // 24 % 28:02d} {self._hours % 24:02d}:00:00Z"


def test_the_first_build_is_whole_and_the_next_writes_what_changed_alone(shop: Shop) -> None:
    assert shop.enrich() == {"fct_sales": False, "dim_customers": False}
    shop.arrive(ORDERS, shop.order(3), shop.order(IDS + 1))
    shop.arrive(REFUNDS, shop.refund(2, 5), shop.refund(1, 7))
    shop.arrive(PROFILES, shop.profile("p1", " 9@X.y"))
    assert shop.enrich() == {"fct_sales": True, "dim_customers": True}
    # Refund 1 was of order 1 before.
    assert shop.written("fct_sales") == {1, 3, 5, 7, IDS + 1}
    assert shop.written("dim_customers") == {1, 9}


def test_nothing_changed_nothing_written(shop: Shop) -> None:
    shop.enrich()
    before = {model: shop.written(model) for model in MODELS}
    assert shop.enrich() == {"fct_sales": True, "dim_customers": True}
    assert {model: shop.written(model) for model in MODELS} == before


def test_rows_that_leave_the_inputs_leave_the_tables(shop: Shop) -> None:
    shop.enrich()
    shop.arrive(ORDERS, {"id": 2, "deleted_at": "2026-02-01 00:00:00Z"})
    shop.lake.sql("DELETE FROM lakehouse.main.int_shopify__orders WHERE id = 4")
    shop.lake.sql("DELETE FROM lakehouse.main.int_klaviyo__profiles")
    assert shop.enrich() == {"fct_sales": True, "dim_customers": True}
    assert len(shop.rows("fct_sales")) == IDS - 2


def expired(shop: Shop) -> None:
    shop.arrive(ORDERS, shop.order(2))
    versions = [row[0] for row in shop.lake.sql("SELECT snapshot_id FROM lakehouse.snapshots() ORDER BY 1")]
    shop.lake.sql("CALL ducklake_expire_snapshots('lakehouse', versions => ?)", versions[:-1])


def made_anew(shop: Shop) -> None:
    shop.lake.build("run", "--full-refresh", "--select", f"tag:{ORDERS}")


def altered(shop: Shop) -> None:
    shop.lake.sql("ALTER TABLE lakehouse.main.int_shopify__orders ADD COLUMN gift VARCHAR")


def half_changed(shop: Shop) -> None:
    shop.arrive(ORDERS, *(shop.order(key) for key in range(1, IDS // 2 + 2)))


def mark_lost(shop: Shop) -> None:
    shop.lake.sql("DELETE FROM lakehouse.meta.enriched_marks")


def another_text(shop: Shop) -> None:
    shop.lake.sql(
        "UPDATE lakehouse.meta.enriched_marks SET built_from ="
        """ json_merge_patch(built_from, '{"code": "other"}')::VARCHAR"""
    )


def dropped(shop: Shop) -> None:
    shop.lake.sql("DROP TABLE lakehouse.main.fct_sales")


def test_the_whole_table_is_built_when_the_changes_are_not_known(shop: Shop) -> None:
    shop.enrich(models=("fct_sales",))
    for happen in (expired, half_changed, mark_lost, another_text, dropped, made_anew, altered):
        happen(shop)
        assert shop.enrich(models=("fct_sales",)) == {"fct_sales": False}, happen.__name__
        shop.arrive(ORDERS, shop.order(3))
        assert shop.enrich(models=("fct_sales",)) == {"fct_sales": True}, happen.__name__


def test_a_full_refresh_builds_the_whole_table(shop: Shop) -> None:
    shop.enrich()
    assert shop.enrich("--full-refresh") == {"fct_sales": False, "dim_customers": False}


def test_a_build_that_is_refused_has_seen_nothing(shop: Shop) -> None:
    shop.enrich()
    shop.arrive(ORDERS, shop.order(3))
    before = shop.rows("fct_sales")
    assert not shop.lake.run("run", "--select", "fct_sales", lakeray_token=6).success
    assert shop.rows("fct_sales") == before
    assert shop.enrich()["fct_sales"] and shop.written("fct_sales") == {3}


@pytest.mark.parametrize("seed", range(2))
def test_whatever_changes_the_tables_are_those_of_a_whole_build(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)

    def key() -> int:
        return dice.randint(1, IDS + 5)

    def address() -> str | None:
        return dice.choice([None, "", f"{key()}@x.y", f" {key()}@X.Y"])

    happenings: list[Callable[[], object]] = [
        lambda: shop.arrive(ORDERS, *(shop.order(key(), test=dice.random() < 0.2) for _ in range(3))),
        lambda: shop.arrive(ORDERS, {"id": key(), "deleted_at": "2026-02-01 00:00:00Z"}),
        lambda: shop.arrive(REFUNDS, *(shop.refund(key(), key()) for _ in range(3))),
        lambda: shop.arrive(CUSTOMERS, *(shop.customer(key(), address()) for _ in range(3))),
        lambda: shop.arrive(PROFILES, *(shop.profile(f"p{key()}", address()) for _ in range(3))),
        lambda: shop.lake.sql(f"DELETE FROM lakehouse.main.int_{dice.choice((ORDERS, CUSTOMERS))} WHERE id = {key()}"),
        lambda: shop.lake.sql(f"DELETE FROM lakehouse.main.int_klaviyo__profiles WHERE id = 'p{key()}'"),
    ]
    parts = 0
    for _ in range(6):
        for _ in range(dice.randint(0, 3)):
            dice.choice(happenings)()
        parts += sum(shop.enrich().values())
    assert parts >= 8
