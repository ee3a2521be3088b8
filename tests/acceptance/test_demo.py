"""``lakeray demo``: from nothing to merged tables, and the same tables when it is run again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from lakeray import wiring
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.values.errors import UsageError
from tests.support.real.lake import PROJECT, Lake, Ran, plain_environment
from tests.support.real.processes import lakeray, ran_as

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
    newest = [row["ordered_at"] for row in demo.document["fct_sales"]]
    assert len(newest) == 5 and newest == sorted(newest, reverse=True)


def test_demo_run_again_makes_the_same_tables(demo: Ran, root: Path) -> None:
    assert demo.code == 0
    lake = Lake(root)
    before = lake.digests()
    again = lakeray("demo", f"paths.root={root}")
    assert again.code == 0, again.err
    assert lake.digests() == before
    assert "fct_sales" in again.out  # a status table, for people
    assert again.out.splitlines()[-7] == "fct_sales, the newest orders"


def ask(demo: Ran, root: Path, question: str, *more: str) -> str:
    assert demo.code == 0
    ran = lakeray("sql", question, *more, f"paths.root={root}")
    assert ran.code == 0, ran.err
    return ran.out


def test_sql_answers_in_each_form(demo: Ran, root: Path, tmp_path: Path) -> None:
    rows = demo.document["enriched"]["fct_sales"]
    assert json.loads(ask(demo, root, "SELECT count(*) AS n FROM fct_sales", "output=json")) == [{"n": rows}]
    assert ask(demo, root, "SELECT count(*) AS n FROM fct_sales; SELECT 1 AS one").split()[:2] == ["n", str(rows)]
    assert (
        ask(demo, root, "FROM staging.stg_shopify__orders LIMIT 3", "--format", "csv").count("gid://shopify/Order/")
        >= 3
    )
    file = tmp_path / "sales.parquet"
    with file.open("wb") as target:
        done = subprocess.run(
            [sys.executable, "-m", "lakeray", "sql", "--format=parquet", f"paths.root={root}"],
            cwd=PROJECT, env=plain_environment(), stdout=target, input=b"FROM fct_sales", timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert duckdb.sql(f"SELECT count(*), count(DISTINCT order_id) FROM '{file}'").fetchall() == [(rows, rows)]


def test_sql_reads_and_nothing_else(demo: Ran, root: Path) -> None:
    assert demo.code == 0
    lake = Lake(root)
    for statement in (
        "DELETE FROM fct_sales",
        "SELECT 1; DROP TABLE fct_sales",
        "EXPLAIN ANALYZE DELETE FROM fct_sales",
        f"COPY fct_sales TO '{root}/copy.csv'",
        "CALL lakehouse.set_option('auto_compact', 'true')",
        "SET lock_configuration = false",
        "SELECT * FROM sqlite_query('__ducklake_metadata_lakehouse', 'DELETE FROM ducklake_table')",
    ):
        ran = lake.run("sql", statement)
        assert (ran.code, "read" in ran.err) == (2, True), statement
    assert not (root / "copy.csv").exists()
    wrong = lake.run("sql", "SELECT nothing FROM nowhere")
    assert (wrong.code, "nowhere" in wrong.err) == (2, True)
    with wiring.queries(settings_of(parse(["sql", f"paths.root={root}"]))) as session:
        with pytest.raises(UsageError, match=r"(?i)read.only"):  # and if the first gate were passed
            session.ask("DELETE FROM fct_sales")
        with pytest.raises(UsageError, match=r"(?i)read.only"):
            session.ask("DELETE FROM __ducklake_metadata_lakehouse.ducklake_table")


HEARD = (
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('lakeray', run_name='__main__', alter_sys=True)"
)
"""lakeray as at a terminal. What a shell starts in the background ignores the signal, and so do its children."""


@pytest.mark.parametrize("attempt", range(3))
def test_ctrl_c_ends_a_question_at_once(demo: Ran, root: Path, attempt: int) -> None:
    assert demo.code == 0  # more than one attempt: whether DuckDB has begun by then is chance
    with subprocess.Popen(
        [sys.executable, "-c", HEARD, "sql", "SELECT 1; SELECT sum(a.range) FROM range(10000000000000) AS a",
         f"paths.root={root}"],
        cwd=PROJECT, env=plain_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as asking:  # fmt: skip
        try:
            assert asking.stdout is not None and asking.stderr is not None
            asking.stdout.readline()
            asking.send_signal(signal.SIGINT)
            assert asking.wait(timeout=60) == 130
            assert asking.stderr.read() == "interrupted\n"
        finally:
            asking.kill()


@pytest.mark.parametrize("kind", ["python", "duckdb"])
def test_the_snippet_reads_the_lake(demo: Ran, root: Path, kind: str) -> None:
    assert demo.code == 0
    text = Lake(root).document("connect", kind)["snippet"]
    assert "fct_sales" in ran_as(kind, text, environment={})
