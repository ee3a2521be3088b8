"""A fact table of one's own, as docs/first-fact-table.md makes one: new, edited, selected, or left to others."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.real.lake import PROJECT, Lake

GUIDE = (PROJECT / "docs" / "first-fact-table.md").read_text(encoding="utf-8")
_FILE = re.compile(r"^```sql\n(?:-- |\{# )(dbt/\S+)(?: #\})?\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILES = dict(_FILE.findall(GUIDE))
MODEL, MACRO = "dbt/models/enriched/fct_orders_by_day.sql", "dbt/macros/money.sql"
NAME = "fct_orders_by_day"
SAMPLE = ("sample.rows_per_file=20", "sample.files_per_day=1", "sample.syncs_per_day=1")


@dataclass
class Shop:
    """A lake with a day of orders, and the project that is edited."""

    lake: Lake
    folder: Path

    @property
    def words(self) -> tuple[str, ...]:
        return ("shopify/orders", f"dbt.project_dir={self.folder / 'dbt'}", "feed.executor=inline")

    def feed(self, *more: str) -> list[str]:
        """The models that a feed built, the merge's own among them."""
        return self._built("feed", *self.words, *more)

    def enrich(self, *more: str) -> list[str]:
        return self._built("enrich", f"+stream={self.words[0]}", *self.words[1:], *more)

    def _built(self, *words: str) -> list[str]:
        return [event["model"] for event in self.lake.ok(*words).events if event["event"] == "model_ran"]

    def edit(self, path: str, before: str, after: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))

    def rows(self) -> tuple[int, float]:
        """The table's rows and its total."""
        ((rows, total),) = self.lake.query(f"SELECT count(*), sum(total)::DOUBLE FROM lakehouse.main.{NAME}")
        return rows, total

    def seen(self) -> int:
        ((mark,),) = self.lake.query(
            f"SELECT (built_from ->> '$.snapshot')::BIGINT FROM lakehouse.meta.enriched_marks WHERE model = '{NAME}'"
        )
        return int(mark)

    def snapshots(self) -> set[int]:
        return {number for (number,) in self.lake.query("SELECT snapshot_id FROM lakehouse.snapshots()")}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Shop:
    folder = tmp_path_factory.mktemp("own")
    made = Shop(Lake.new(folder / "lake", extensions=extension_directory), folder)
    shutil.copytree(PROJECT / "dbt", folder / "dbt", ignore=shutil.ignore_patterns("target", "dbt_packages"))
    made.lake.ok("sample", "shopify/orders", "sample.days=1", *SAMPLE)
    assert made.feed() == ["int_shopify__orders"]
    return made


def test_a_fact_table_of_ones_own_follows_its_files_and_its_inputs(shop: Shop) -> None:
    for path, text in FILES.items():
        (shop.folder / path).write_text(text)
    assert FILES.keys() == {MODEL, MACRO}
    assert shop.feed() == [NAME], "a new model, by a feed with nothing new"
    ((orders, total),) = shop.lake.query(
        "SELECT count(DISTINCT created_at::DATE), sum(total_price)::DOUBLE FROM lakehouse.main.int_shopify__orders "
        "WHERE deleted_at IS NULL"
    )
    assert shop.rows() == (orders, pytest.approx(total))
    assert shop.feed() == [] == shop.enrich()

    shop.edit(MACRO, "coalesce({{ column }}, 0)", "10 * coalesce({{ column }}, 0)")
    assert shop.enrich() == [NAME], "a macro that it uses"
    assert shop.rows() == (orders, pytest.approx(10 * total))

    shop.edit(MODEL, "as total", "* 2 as total")
    assert shop.enrich("--select", NAME) == [NAME]
    assert shop.rows() == (orders, pytest.approx(20 * total))
    assert shop.enrich("--select", NAME, "--full-refresh") == [NAME]
    wrong = shop.lake.run("enrich", "--select", "fct_order_by_day", *shop.words[1:])
    assert (wrong.code, NAME in wrong.out) == (2, True)
    assert shop.feed() == [], "what was edited is built: only that is noted"

    shop.lake.ok("sample", "shopify/orders", "sample.days=2", *SAMPLE)
    mark = shop.seen()
    assert shop.feed("feed.enrich=false", "retention.snapshot_days=0") == ["int_shopify__orders"]
    assert shop.seen() == mark and set(range(mark + 1, max(shop.snapshots()))) <= shop.snapshots(), "expiry passed it"
    assert shop.feed("retention.snapshot_days=0") == [NAME]
    assert shop.rows()[0] >= orders and shop.seen() > mark
    shop.feed("retention.snapshot_days=0")
    assert min(shop.snapshots()) > mark + 1, "nobody waits any more"
