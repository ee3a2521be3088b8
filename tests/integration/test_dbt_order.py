"""One total order of records, a property of the records: any order of registration gives the same table (P12)."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeray.adapters.dbt.package import PACKAGE
from lakeray.values.keys import natural_order
from lakeray.values.origins import ORIGIN, RECORD_ORDER, origin
from tests.integration.dbt_lake import DBT, DbtLake, Project
from tests.support.fakes.records import origin_rank

ORDERS = "shopify__orders"
TABLE = "lakehouse.main.int_shopify__orders"
MACROS = PACKAGE / "macros" / "order.sql"
TEXT_CURSOR = """
{{{{ config(
    materialized='lakeray_merge', unique_key=['id'], newest_first='note', cursor_type={kind}, tags=['{name}']
) }}}}
select * from {{{{ lakeray.latest(
    lakeray.new_rows('shopify', 'orders'), key=['id'], newest_first='note', cursor_type={kind}
) }}}}
"""
# DuckLake has virtual columns of these names, and user's tables may have their own.
HIDING = '"RowID" BIGINT, filename VARCHAR, file_row_number BIGINT, snapshot_id VARCHAR'
KEY_TYPES = "d DOUBLE, u STRUCT(k VARCHAR, n BIGINT), l VARCHAR[], m MAP(VARCHAR, BIGINT), name VARCHAR"
AIRBYTE = "_airbyte_raw_id VARCHAR, _airbyte_extracted_at TIMESTAMP WITH TIME ZONE"
OWN_STREAM = """
{{{{ config(materialized='lakeray_merge', unique_key={key}, tags=['shopify__{name}']{more}) }}}}
select * from {{{{ lakeray.latest(lakeray.new_rows('shopify', '{name}'), key={key}) }}}}
"""
OWN_SOURCES = """
version: 2
sources:
  - name: shopify
    database: lakehouse
    schema: staging
    tables: [{name: stg_shopify__hiding}, {name: stg_shopify__buried}, {name: stg_shopify__keys}]
"""
COMPOSITE = """
{{ config(materialized='lakeray_merge', unique_key=['id', 'shop_url'], newest_first='updated_at', tags=['composite']) }}
select * from {{ lakeray.latest(
    lakeray.new_rows('shopify', 'orders'), key=['id', 'shop_url'], newest_first='updated_at'
) }}
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with models whose cursor is a text, and one whose key has two columns."""
    root = tmp_path_factory.mktemp("dbt_order")
    folder = Path(shutil.copytree(DBT, root / "dbt", ignore=shutil.ignore_patterns("target", "logs")))
    (folder / "models" / "own").mkdir()
    for name, kind in {"guessed": "'auto'", "told": "'BIGINT'"}.items():
        text = TEXT_CURSOR.format(name=name, kind=kind)
        (folder / "models" / "own" / f"own_{name}.sql").write_text(text, encoding="utf-8")
    (folder / "models" / "own" / "own_composite.sql").write_text(COMPOSITE, encoding="utf-8")
    more = ", deleted_column='deleted_at', hard_delete=true"
    for name, key, rest in (
        ("hiding", "['id', 'rowid']", ""),
        ("buried", "['id']", more),
        ("keys", "['d', 'u', 'l', 'm']", ""),
    ):
        text = OWN_STREAM.format(name=name, key=key, more=rest)
        (folder / "models" / "own" / f"int_shopify__{name}.sql").write_text(text, encoding="utf-8")
    (folder / "models" / "own" / "sources.yml").write_text(OWN_SOURCES, encoding="utf-8")
    return Project.parse(root, folder=folder)


@pytest.fixture
def lake(tmp_path: Path, project: Project) -> DbtLake:
    return DbtLake(tmp_path / "lake", project)


def day(number: int) -> str:
    return f"2026-01-{number:02d} 00:00:00Z"


def order(key: int | None, name: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "updated_at": day(1), **more}


def merge_into(lake: DbtLake, tag: str, *rows: dict[str, Any], **more: Any) -> None:
    """Deliver a batch to the models of a tag."""
    batch = lake.land(ORDERS, *rows, **more)
    lake.build("run", "--select", f"tag:{tag}", lakeray_marks={ORDERS: {"from": batch, "to": batch}})


def names(lake: DbtLake, table: str = "int_shopify__orders") -> list[tuple[Any, ...]]:
    return lake.table(table, "id, name")


# ---- the order -----------------------------------------------------------------------------------------------------


def drawn(draw: random.Random) -> tuple[list[list[dict[str, Any]]], list[datetime]]:
    """Files of records that tie in cursor, extraction time and raw id, and when their objects were written."""
    files = [
        [
            order(
                draw.randint(1, 4),
                f"{number}-{row}",
                updated_at=draw.choice([None, day(1), day(2)]),
                _airbyte_extracted_at=day(draw.randint(4, 5)),
                _airbyte_raw_id=f"raw {draw.randint(1, 2)}",
            )
            for row in range(draw.randint(1, 6))
        ]
        for number in range(4)
    ]
    written = [datetime(2026, 2, 1, tzinfo=UTC) + timedelta(days=draw.randint(0, 1)) for _ in files]
    return files, written


def newest(files: Sequence[Sequence[dict[str, Any]]], origins: Sequence[str]) -> list[tuple[Any, ...]]:
    """What P12 says of them, by Python."""
    best: dict[int, tuple[Any, str]] = {}
    for rows, where in zip(files, origins, strict=True):
        for number, row in enumerate(rows):
            rank = (
                row["updated_at"] or "",
                row["_airbyte_extracted_at"],
                origin_rank(where),
                number,
                row["_airbyte_raw_id"],
            )
            if row["id"] not in best or rank > best[row["id"]][0]:
                best[row["id"]] = (rank, row["name"])
    return sorted((key, name) for key, (_, name) in best.items())


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_registration_a_replay_and_a_retry_give_the_same_table(
    tmp_path: Path, project: Project, seed: int
) -> None:
    files, written = drawn(random.Random(seed))
    keys = [f"part_{number}" for number in (9, 10, 2, 30)]
    expected = newest(files, [origin(key, at) for key, at in zip(keys, written, strict=True)])
    for turn in range(2):
        lake = DbtLake(tmp_path / f"lake_{turn}", project)
        turns = random.Random(seed + 100 * turn).sample(range(4), 4)
        snapshots = [lake.land(ORDERS, *files[at], modified_at=written[at], key=keys[at]) for at in turns]
        if turn == 0:
            lake.merge(ORDERS, snapshots[0], snapshots[-1])
        else:
            for snapshot in snapshots:
                lake.merge(ORDERS, snapshot)
        assert names(lake) == expected
        before = lake.snapshot()
        lake.merge(ORDERS, snapshots[1], snapshots[2])
        lake.merge(ORDERS, snapshots[0], snapshots[-1], by="rowscan")
        assert (names(lake), lake.snapshot()) == (expected, before)
        lake.build("run", "--select", f"tag:{ORDERS}", "--full-refresh")
        assert names(lake) == expected


def test_the_order_is_written_once(lake: DbtLake) -> None:
    listed = ", ".join(RECORD_ORDER)
    assert listed in " ".join(MACROS.read_text(encoding="utf-8").split())
    protocol = Path(DBT.parent / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert listed in " ".join(protocol.split())


@given(st.lists(st.text(alphabet=st.sampled_from("a/_-.=019٣é\u0000"), max_size=12), max_size=8))
@settings(deadline=None, max_examples=60)
def test_sql_and_python_have_one_natural_order(texts: list[str]) -> None:
    texts = [*texts, "9" * 80, "part_2", "part_10"]
    assert natural(texts) == [natural_order(text) for text in texts]


def natural(texts: Sequence[str]) -> list[str]:
    """What the macro makes of the texts."""
    import duckdb
    from jinja2 import Environment

    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals["return"] = lambda value: value
    template = environment.from_string(_macro("natural") + "{{ natural('text') }}")
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"SELECT {template.render()} FROM (SELECT unnest(?::VARCHAR[]) AS text)", [list(texts)]
        )
        return [row[0] for row in rows.fetchall()]


def _macro(name: str) -> str:
    text = MACROS.read_text(encoding="utf-8")
    start = text.index("{% macro " + name + "(")
    return text[start : text.index("{%- endmacro %}", start) + len("{%- endmacro %}")]


def test_a_table_of_an_earlier_version_gets_the_column_and_its_rows_are_the_oldest(lake: DbtLake) -> None:
    first = lake.land(ORDERS, order(1, "there", _airbyte_raw_id="z"), order(2, "there", _airbyte_raw_id="z"))
    lake.merge(ORDERS, first)
    lake.sql(f"ALTER TABLE {TABLE} DROP COLUMN {ORIGIN}")
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "level", _airbyte_raw_id="a"), order(2, "older", updated_at=None)))
    assert names(lake) == [(1, "level"), (2, "there")]
    assert lake.table("int_shopify__orders", f"id, {ORIGIN} IS NULL") == [(1, False), (2, True)]
    lake.merge(ORDERS, first)
    lake.merge(ORDERS, first)
    assert names(lake) == [(1, "level"), (2, "there")]


def test_a_file_that_an_earlier_version_took_in_has_its_key_alone(lake: DbtLake) -> None:
    batch = lake.land(ORDERS, order(1, "one"), key="part_7")
    lake.sql("DROP TABLE lakehouse.meta.origins")
    lake.merge(ORDERS, batch)
    assert lake.table("int_shopify__orders", ORIGIN) == [(origin("part_7", None),)]


def test_a_deletion_that_is_level_by_its_times_is_judged_by_its_object(lake: DbtLake) -> None:
    # Both say the same times; the object that was written later is the newer one, whichever is merged first.
    dead, born = order(1, "dead", deleted_at=day(1)), order(1, "born")
    for first, second in ((dead, born), (born, dead)):
        lake.merge(ORDERS, lake.land(ORDERS, first, modified_at=datetime(2026, 1, 1, tzinfo=UTC)))
        lake.merge(ORDERS, lake.land(ORDERS, second, modified_at=datetime(2026, 1, 2, tzinfo=UTC)))
        assert names(lake)[0][1] == second["name"]
        lake.sql(f"DELETE FROM {TABLE}")


# ---- columns that hide DuckLake's ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [{}, {"by": "rowscan"}])
def test_columns_that_hide_ducklakes_virtual_ones_are_asked_for_nothing(lake: DbtLake, by: dict[str, str]) -> None:
    lake.sql(f"CREATE TABLE lakehouse.staging.stg_shopify__hiding ({AIRBYTE}, id BIGINT, {HIDING}, name VARCHAR)")

    def record(key: int, name: str, rowid: int = 7) -> dict[str, Any]:
        return {"id": key, "name": name, "RowID": rowid, "filename": "f", "file_row_number": 5, "snapshot_id": "s"}

    slug = "shopify__hiding"
    written = datetime(2026, 1, 3, tzinfo=UTC)
    first = lake.land(slug, record(1, "a"), record(2, "b"), record(3, "c"), record(3, "c2"), record(3, "d", 8))
    lake.merge(slug, first, **by)
    earlier = lake.land(slug, record(1, "none"), record(2, "x"), modified_at=written - timedelta(days=100))
    later = lake.land(slug, record(1, "a2"), record(1, "a3"), record(4, "e"), modified_at=written)
    lake.merge(slug, earlier, later, **by)
    columns = "id, name, rowid, filename, file_row_number, snapshot_id"
    expected = [(1, "a3", 7), (2, "b", 7), (3, "c2", 7), (3, "d", 8), (4, "e", 7)]
    assert sorted(lake.table("int_shopify__hiding", columns)) == [(*row, "f", 5, "s") for row in expected]
    before = lake.snapshot()
    lake.merge(slug, first, later, **by)
    assert lake.snapshot() == before


def test_a_deletion_takes_the_row_of_its_key_alone_out_of_a_table_with_a_column_rowid(lake: DbtLake) -> None:
    columns = f"{AIRBYTE}, id BIGINT, rowid BIGINT, deleted_at VARCHAR"
    lake.sql(f"CREATE TABLE lakehouse.staging.stg_shopify__buried ({columns})")
    slug = "shopify__buried"
    lake.merge(slug, lake.land(slug, *({"id": key, "rowid": key % 2} for key in range(4))))
    lake.merge(slug, lake.land(slug, {"id": 1, "rowid": 0, "deleted_at": day(2)}))
    assert lake.table("int_shopify__buried", "id, rowid") == [(0, 0), (2, 0), (3, 1)]


# ---- text cursors --------------------------------------------------------------------------------------------------


def test_a_text_cursor_is_compared_as_what_all_its_values_parse_as_and_that_is_kept(lake: DbtLake) -> None:
    merge_into(
        lake, "guessed", order(1, "old", note="2023-07-21T23:41:01Z"), order(1, "new", note="2023-07-21T23:41:01.767Z")
    )
    assert names(lake, "own_guessed") == [(1, "new")]
    merge_into(
        lake,
        "guessed",
        order(1, "older", note="2023-07-21T23:41:01.7Z"),
        order(2, "zone", note="2023-01-01T00:00:00+02:00"),
    )
    merge_into(lake, "guessed", order(2, "newer", note="2022-12-31T22:00:00.5Z"))
    assert names(lake, "own_guessed") == [(1, "new"), (2, "newer")]
    kept = lake.sql("SELECT model, column_name, cursor_type FROM lakehouse.meta.cursor_types")
    assert kept == [("own_guessed", "note", "TIMESTAMP WITH TIME ZONE")]


@pytest.mark.parametrize(
    ("values", "kind", "newest_value"),
    [
        (["9", "10", "9.5"], "DECIMAL(38, 9)", "10"),
        (["00000000000000000000000000009", "10"], "DECIMAL(38, 9)", "10"),
        (["mysql-bin.000003", "mysql-bin.000010"], "VARCHAR", "mysql-bin.000010"),
        (["9", "2023-01-01"], "VARCHAR", "9"),
        (["2023-01-01", "2022-12-31T23:00:00-02:00"], "TIMESTAMP WITH TIME ZONE", "2022-12-31T23:00:00-02:00"),
    ],
)
def test_times_come_before_numbers_and_numbers_before_text(
    lake: DbtLake, values: list[str], kind: str, newest_value: str
) -> None:
    merge_into(lake, "guessed", *(order(1, value, note=value) for value in values))
    assert names(lake, "own_guessed") == [(1, newest_value)]
    assert lake.sql("SELECT cursor_type FROM lakehouse.meta.cursor_types") == [(kind,)]


def test_a_value_that_breaks_the_kept_type_is_counted_and_counts_as_no_cursor(lake: DbtLake) -> None:
    merge_into(lake, "guessed", order(1, "dated", note="2023-01-01"))
    batch = lake.land(
        ORDERS, order(1, "broken", note="zzz"), order(2, "broken", note="n/a"), order(3, "none", note=None)
    )
    for _ in range(2):
        lake.build("run", "--select", "tag:guessed", lakeray_marks={ORDERS: {"from": batch, "to": batch}})
    assert names(lake, "own_guessed") == [(1, "dated"), (2, "broken"), (3, "none")]
    warned = lake.sql("SELECT model, kind, sum(row_count) FROM lakehouse.meta.row_warnings GROUP BY ALL")
    assert warned == [("own_guessed", "cursor_breaks", 2)]


def test_a_cursor_of_nulls_alone_keeps_nothing(lake: DbtLake) -> None:
    merge_into(lake, "guessed", order(1, "one", note=None))
    assert lake.sql("SELECT * FROM lakehouse.meta.cursor_types") == []
    merge_into(lake, "guessed", order(1, "two", note="5"))
    assert names(lake, "own_guessed") == [(1, "two")]


def test_a_cursor_is_compared_as_the_config_says(lake: DbtLake) -> None:
    merge_into(lake, "told", order(1, "nine", note="9"), order(1, "ten", note="10"), order(2, "no number", note="x"))
    merge_into(lake, "told", order(1, "8", note="8"), order(2, "a number", note="1"))
    assert names(lake, "own_told") == [(1, "ten"), (2, "a number")]
    assert lake.sql("SELECT * FROM lakehouse.meta.cursor_types") == []


# ---- keys ----------------------------------------------------------------------------------------------------------


def test_a_null_in_a_part_of_a_key_is_a_value_and_rows_without_any_part_are_counted(lake: DbtLake) -> None:
    def line(key: int | None, shop: str | None, name: str, number: int) -> dict[str, Any]:
        return order(key, name, shop_url=shop, updated_at=day(number))

    merge_into(
        lake,
        "composite",
        line(1, None, "a", 1),
        line(None, "b", "b", 1),
        line(1, "b", "c", 1),
        line(None, None, "lost", 1),
    )
    merge_into(lake, "composite", line(1, None, "a2", 2), line(None, "b", "b2", 2), line(None, None, "lost", 2))
    merge_into(lake, "composite", line(1, None, "late", 1), line(1, "b", "c2", 2))
    rows = lake.sql("SELECT id, shop_url, name FROM lakehouse.main.own_composite ORDER BY name")
    assert rows == [(1, None, "a2"), (None, "b", "b2"), (1, "b", "c2")]
    warned = lake.sql("SELECT kind, sum(row_count), count(*) FROM lakehouse.meta.row_warnings GROUP BY ALL")
    assert warned == [("without_key", 2, 2)]


def test_keys_of_any_type_meet_themselves_again(lake: DbtLake) -> None:
    lake.sql(f"CREATE TABLE lakehouse.staging.stg_shopify__keys ({AIRBYTE}, {KEY_TYPES})")
    slug = "shopify__keys"
    keys: list[dict[str, Any]] = [
        {"d": "NaN", "u": {"k": "integer", "n": 1}, "l": ["a", None], "m": {"a": 1}},
        {"d": -0.0, "u": {"k": "string", "n": None}, "l": [], "m": {}},
        {"d": "-NaN", "u": None, "l": None, "m": None},
        {"d": "Infinity", "u": {"k": None, "n": None}, "l": [None], "m": {"b": None}},
    ]
    zero = {**keys[1], "d": 0.0}
    lake.merge(slug, lake.land(slug, *({**key, "name": "old"} for key in keys)))
    again = [keys[0], zero, *keys[2:]]
    lake.merge(slug, lake.land(slug, *({**key, "name": "new"} for key in again), {**keys[0], "m": {}, "name": "other"}))
    rows = lake.sql("SELECT name, count(*) FROM lakehouse.main.int_shopify__keys GROUP BY ALL ORDER BY ALL")
    assert rows == [("new", 4), ("other", 1)]
