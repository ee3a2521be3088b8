"""What the merge pays for: repeated keys alone, changed rows alone; and the macros in models of one's own (P12)."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.integration.dbt_lake import DBT, DbtLake, Project, failures, nodes

ORDERS = "shopify__orders"
TABLE = "lakehouse.main.int_shopify__orders"
OWN_MODELS = {
    "own_table": """
{{ config(materialized='table') }}
select id, label, shouted
from {{ lakeray.latest(
    '(select *, upper(name) as shouted, name as label from ' ~ lakeray.new_rows('shopify', 'orders') ~ ')',
    key=['id', 'shop_url'],
    newest_first=['updated_at', 'deleted_at'],
) }}
""",
    "own_incremental": """
{{ config(
    materialized='incremental', incremental_strategy='merge', unique_key=['id'], tags=['own'],
    merge_update_condition=lakeray.is_newer('updated_at'),
) }}
select id, name, updated_at, _airbyte_extracted_at, _airbyte_raw_id
from {{ lakeray.latest(lakeray.new_rows('shopify', 'orders'), key='id', newest_first='updated_at') }}
""",
    "own_removing": """
{{ config(
    materialized='lakeray_merge', unique_key=['id'], newest_first=['updated_at', 'deleted_at'], tags=['removing'],
    deleted_column='deleted_at', hard_delete=true,
) }}
select *
from {{ lakeray.latest(
    lakeray.new_rows('shopify', 'orders'), key=['id'], newest_first=['updated_at', 'deleted_at']
) }}
""",
    "own_whole": """
{{ config(materialized='lakeray_enriched') }}
select count(*) as orders from {{ ref('int_shopify__orders') }}
""",
    "own_keyless": """
{{ config(materialized='lakeray_enriched') }}
{% set orders = ref('int_shopify__orders') %}
{% set since = lakeray.since([orders]) %}
{% set affected = lakeray.affected(since, 'select id from ' ~ lakeray.changes(orders, since)) %}
select id from {{ orders }} as orders where {{ lakeray.among(affected, 'orders.id') }}
""",
    "own_merge": """
-- As a model that was taken over from an earlier version calls the macros.
{{ config(materialized='lakeray_merge', unique_key='id', newest_first='updated_at', tags=['own']) }}
select id, name || {{ "'!'" if is_incremental() else "'?'" }} as name, updated_at,
    _airbyte_extracted_at, _airbyte_raw_id
from {{ lakeray_latest(lakeray_new_rows('shopify', 'orders'), key='id', newest_first='updated_at') }}
""",
}


OWN_TESTS = """
version: 2
models:
  - name: own_table
    data_tests:
      - lakeray.unique_key: {arguments: {columns: [id, label]}}
      - lakeray.key_not_null: {arguments: {columns: '["id"]'}}
      - lakeray_unique_key: {arguments: {columns: [id]}}
      - lakeray_not_null: {arguments: {columns: [label]}}
"""
"""Tests of the package, and by their names of an earlier version."""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with models that a user has added."""
    root = tmp_path_factory.mktemp("dbt_merge")
    folder = Path(shutil.copytree(DBT, root / "dbt", ignore=shutil.ignore_patterns("target", "logs")))
    (folder / "models" / "own").mkdir()
    for name, text in OWN_MODELS.items():
        (folder / "models" / "own" / f"{name}.sql").write_text(text, encoding="utf-8")
    (folder / "models" / "own" / "own.yml").write_text(OWN_TESTS, encoding="utf-8")
    return Project.parse(root, folder=folder)


@pytest.fixture
def lake(tmp_path: Path, project: Project) -> DbtLake:
    return DbtLake(tmp_path / "lake", project)


def day(number: int) -> str:
    return f"2026-01-{number:02d} 00:00:00Z"


def order(key: int | None, name: str, updated: str | None, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": name, "updated_at": updated, "shop_url": "a.example", **more}


def written(lake: DbtLake, since: int) -> tuple[int, int]:
    """Rows written to and deleted from the processed table after a snapshot."""
    return tuple(  # type: ignore[return-value]
        lake.sql(f"SELECT count(*) FROM ducklake_table_{what}('lakehouse', 'main', ?, ?, ?)", *values)[0][0]
        for what in ("insertions", "deletions")
        for values in [("int_shopify__orders", since + 1, lake.snapshot())]
    )


def drawn(seed: int, rows: int) -> list[dict[str, Any]]:
    """Records of few keys, with ties in every age column, whole rows twice, and nulls in key and cursor."""
    draw = random.Random(seed)
    made = [
        order(
            draw.choice([None, *range(1, 12)]),
            f"row {number}",
            draw.choice([None, day(1), day(2), day(3)]),
            _airbyte_extracted_at=day(draw.randint(4, 6)),
            _airbyte_raw_id=f"raw {draw.randint(1, 9)}",
            deleted_at=draw.choice([None, None, day(2), day(7)]),
        )
        for number in range(rows)
    ]
    # Ids are of an emission: a raw id twice is the same record twice.
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    return [
        dict(seen.setdefault((r["id"], r["updated_at"], r["_airbyte_extracted_at"], r["_airbyte_raw_id"]), r))
        for r in made
    ]


@pytest.mark.parametrize("seed", range(3))
def test_any_cut_into_batches_ends_in_the_rows_that_a_window_over_all_would_choose(lake: DbtLake, seed: int) -> None:
    rows = drawn(seed, 120)
    lake.merge(ORDERS, lake.land(ORDERS, *rows[:10]))
    for first in range(10, 120, 37):
        lake.merge(ORDERS, lake.land(ORDERS, *rows[first : first + 37]))
    # The files are as old as their numbers say.
    file = "regexp_extract(filename, '(\\d+)\\.parquet', 1)::INT"
    times = "coalesce(updated_at, deleted_at) DESC NULLS LAST, _airbyte_extracted_at DESC"
    age = f"{times}, {file} DESC, file_row_number DESC"
    expected = lake.sql(
        "SELECT id, name FROM lakehouse.staging.stg_shopify__orders WHERE id IS NOT NULL"
        f" QUALIFY row_number() OVER (PARTITION BY id ORDER BY {age}) = 1 ORDER BY id"
    )
    assert lake.table("int_shopify__orders", "id, name") == expected
    lake.build("run", "--full-refresh", "--select", f"tag:{ORDERS}")
    assert lake.table("int_shopify__orders", "id, name") == expected


def test_a_record_delivered_twice_in_one_batch_is_one_row(lake: DbtLake) -> None:
    twice = [order(1, "same", day(1), _airbyte_raw_id="raw"), order(1, "same", day(1), _airbyte_raw_id="raw")]
    lake.merge(ORDERS, lake.land(ORDERS, *twice))
    lake.merge(ORDERS, lake.land(ORDERS, *({**row, "id": 2} for row in twice)))
    assert lake.table("int_shopify__orders", "id, name") == [(1, "same"), (2, "same")]


def test_only_rows_that_changed_are_written(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, *(order(key, "old", day(5)) for key in range(1, 101))))
    batch = lake.land(
        ORDERS,
        *(order(key, "older", day(4)) for key in range(1, 50)),
        *(order(key, "newer", day(6)) for key in range(50, 53)),
        order(101, "new", day(1)),
    )
    lake.merge(ORDERS, batch)
    assert written(lake, batch) == (4, 3)
    again = lake.land(ORDERS, *(order(key, "older", day(4)) for key in range(1, 102)))
    lake.merge(ORDERS, again)
    assert written(lake, again) == (1, 1)  # 101 was of day 1
    assert sorted(lake.sql(f"SELECT name, count(*) FROM {TABLE} GROUP BY name")) == [
        ("newer", 3),
        ("old", 97),
        ("older", 1),
    ]


def test_new_keys_alone_delete_nothing_and_old_records_alone_write_nothing(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(5))))
    new = lake.land(ORDERS, order(2, "two", day(5)), order(3, "three", day(5)))
    lake.merge(ORDERS, new)
    assert written(lake, new) == (2, 0)
    old = lake.land(ORDERS, order(1, "late", day(1)), order(2, "late", None))
    lake.merge(ORDERS, old)
    assert lake.snapshot() == old


def test_a_first_run_leaves_later_registrations_to_their_own_turn(lake: DbtLake) -> None:
    first = lake.land(ORDERS, order(1, "one", day(1)))
    second = lake.land(ORDERS, order(2, "two", day(1)))
    lake.merge(ORDERS, first)
    assert lake.table("int_shopify__orders", "id") == [(1,)]
    lake.merge(ORDERS, second)
    assert lake.table("int_shopify__orders", "id") == [(1,), (2,)]


def test_the_macros_serve_in_models_of_ones_own(lake: DbtLake) -> None:
    first = lake.land(ORDERS, order(1, "b", day(2)), order(1, "a", day(1)), order(2, "c", day(1)))
    lake.merge(ORDERS, first)
    lake.build("run", "--select", "own_table", "tag:own")
    assert lake.table("own_table", "id, label, shouted") == [(1, "b", "B"), (2, "c", "C")]
    assert len(lake.build("test", "--select", "own_table")) == 4
    second = lake.land(ORDERS, order(1, "late", day(1)), order(2, "d", day(3)), order(2, "e", day(2)))
    marks = {ORDERS: {"from": second, "to": second}}
    lake.build("run", "--select", "own_table", "tag:own", lakeray_marks=marks)
    assert lake.table("own_table", "id, label, shouted") == [(1, "b", "B"), (2, "d", "D")]
    assert lake.table("own_incremental", "id, name") == [(1, "b"), (2, "d")]
    assert lake.table("own_merge", "id, name") == [(1, "b?"), (2, "d!")]


def test_the_rows_that_a_model_wrote_are_told(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "one", day(1))))
    batch = lake.land(ORDERS, order(1, "two", day(2)), order(2, "two", day(2)), order(3, "x", day(2)))
    result = lake.run("run", "--select", f"tag:{ORDERS}", lakeray_marks={ORDERS: {"from": batch, "to": batch}})
    assert result.success, failures(result)
    assert [node.adapter_response["rows_affected"] for node in nodes(result)] == [3]


def removing(lake: DbtLake, *rows: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Deliver a batch to the model that removes deleted rows: what is in its table then."""
    batch = lake.land(ORDERS, *rows)
    lake.build("run", "--select", "tag:removing", lakeray_marks={ORDERS: {"from": batch, "to": batch}})
    return lake.table("own_removing", "id, name")


def test_a_hard_delete_removes_the_row_and_no_older_record_brings_it_back(lake: DbtLake) -> None:
    three = order(1, "one", day(1)), order(2, "two", day(1)), order(3, "born dead", day(2), deleted_at=day(2))
    assert removing(lake, *three) == [(1, "one"), (2, "two")]
    assert removing(lake, {"id": 1, "deleted_at": day(5)}, order(3, "older", None)) == [(2, "two")]
    assert removing(lake, order(1, "late", day(4)), order(2, "two again", day(4))) == [(2, "two again")]
    assert removing(lake, {"id": 2, "deleted_at": day(3)}) == [(2, "two again")]
    assert removing(lake, order(1, "new life", day(6))) == [(1, "new life"), (2, "two again")]
    assert removing(lake, {"id": 1, "deleted_at": day(5)}, order(1, "late", day(2))) == [
        (1, "new life"),
        (2, "two again"),
    ]
    lake.build("run", "--full-refresh", "--select", "tag:removing")
    assert lake.table("own_removing", "id, name") == [(1, "new life"), (2, "two again")]
    assert removing(lake, order(3, "older", day(1))) == [(1, "new life"), (2, "two again")]


def test_a_table_whose_deletions_were_flagged_goes_over_to_removing_them(lake: DbtLake) -> None:
    one, two = order(1, "one", day(1)), order(2, "two", day(2), deleted_at=day(2))
    lake.merge(ORDERS, lake.land(ORDERS, one, two))
    lake.sql(f"CREATE TABLE lakehouse.main.own_removing AS FROM {TABLE}")
    assert lake.table("own_removing", "id, name") == [(1, "one"), (2, "two")]
    assert removing(lake, order(2, "late", day(1)), order(3, "three", day(1))) == [(1, "one"), (3, "three")]


def replace_below(lake: DbtLake, generation: int, *, tag: str = ORDERS, part: tuple[int, int] = (0, 1)) -> int:
    """Replace the generations below one: how many rows were said to have left."""
    marks = {"from": 1, "to": 1, "generation": generation, "part": list(part), "stream": "shopify/orders"}
    result = lake.run("run", "--select", f"tag:{tag}", lakeray_marks={tag: marks}, lakeray_token=7)
    assert result.success, failures(result)
    return sum(node.adapter_response.get("rows_affected", 0) for node in nodes(result))


def generation(number: int, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**item, "_airbyte_generation_id": number} for item in rows]


def two_generations(lake: DbtLake) -> None:
    """The newer one lacks two keys, has one by an older cursor, twice, and one as it was; a row says none."""
    old = generation(
        1, order(1, "old", day(9)), order(2, "old", day(1)), order(3, "old", day(1)), order(4, "old", day(1))
    )
    lake.merge(ORDERS, lake.land(ORDERS, *old, order(6, "says none", day(1))))
    newer = (
        order(1, "older of two", day(2)),
        order(1, "newer of two", day(3)),
        order(4, "new", day(1)),
        order(5, "new", day(1)),
    )
    lake.merge(ORDERS, lake.land(ORDERS, *generation(2, *newer), extracted_at=day(5)))
    assert lake.table("int_shopify__orders", "id, name")[0] == (1, "old")


REPLACED = [(1, "newer of two"), (4, "new"), (5, "new")]


def test_rows_of_older_generations_leave_and_their_keys_keep_what_is_left(lake: DbtLake) -> None:
    two_generations(lake)
    Path(lake.root, "raw", "part_1.parquet").unlink()  # nothing of the older generation is read
    before = lake.snapshot()
    assert replace_below(lake, 2) == 3
    assert lake.table("int_shopify__orders", "id, name") == REPLACED
    assert lake.snapshot() == before + 1  # one transaction, the fence in it
    before = lake.snapshot()
    assert replace_below(lake, 2) == 0
    assert written(lake, before) == (0, 0)


def test_parts_of_a_replacement_together_are_the_whole(lake: DbtLake) -> None:
    two_generations(lake)
    left = [replace_below(lake, 2, part=(number, 3)) for number in range(3)]
    assert sum(left) == 3
    assert lake.table("int_shopify__orders", "id, name") == REPLACED


def test_a_replacement_has_the_enriched_models_built_again(lake: DbtLake) -> None:
    two_generations(lake)
    lake.sql(
        "INSERT INTO lakehouse.meta.enriched_marks VALUES ('*', ?, now())", '{"klaviyo/lists": 3, "shopify/orders": 2}'
    )
    assert replace_below(lake, 1) == 1  # the row that says none
    assert lake.sql("SELECT built_from FROM lakehouse.meta.enriched_marks") == [('{"klaviyo/lists": 3}',)]


def test_a_replacement_without_the_lease_changes_nothing(lake: DbtLake) -> None:
    two_generations(lake)
    before = lake.snapshot()
    marks = {"from": 1, "to": 1, "generation": 2, "part": [0, 1], "stream": "shopify/orders"}
    result = lake.run("run", "--select", f"tag:{ORDERS}", lakeray_marks={ORDERS: marks}, lakeray_token=6)
    assert not result.success and "another committer took over" in failures(result)
    assert (lake.snapshot(), len(lake.table("int_shopify__orders", "id"))) == (before, 6)


def test_tombstones_of_older_generations_leave_too(lake: DbtLake) -> None:
    old = (
        order(1, "one", day(1)),
        order(2, "two", day(9), deleted_at=day(9)),
        order(3, "three", day(9), deleted_at=day(9)),
    )
    assert removing(lake, *generation(1, *old)) == [(1, "one")]
    new = order(2, "alive again", day(2)), order(4, "dead", day(2), deleted_at=day(2)), order(5, "five", day(2))
    assert removing(lake, *generation(2, *new)) == [(1, "one"), (5, "five")]
    replace_below(lake, 2, tag="removing")
    assert lake.table("own_removing", "id, name") == [(2, "alive again"), (5, "five")]
    assert lake.table("own_removing__tombstones", "id") == [(4,)]


def test_a_model_without_the_generation_keeps_its_rows(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, *generation(1, order(1, "a", day(1)))))
    lake.build("run", "--select", "tag:own")
    replace_below(lake, 2, tag="own")
    assert lake.table("own_merge", "id, name") == [(1, "a?")]
    assert lake.table("own_incremental", "id, name") == [(1, "a")]


def test_an_enriched_model_that_does_not_ask_what_changed_is_built_whole(lake: DbtLake) -> None:
    for number in (1, 2):
        batch = lake.land(ORDERS, *(order(key, "a", day(1)) for key in range(number)))
        lake.merge(ORDERS, batch)
        lake.build("run", "--select", "own_whole")
        assert lake.table("own_whole", "orders") == [(number,)]


def test_an_enriched_model_without_a_key_says_so_when_it_needs_one(lake: DbtLake) -> None:
    lake.merge(ORDERS, lake.land(ORDERS, *(order(key, "a", day(1)) for key in range(5))))
    lake.build("run", "--select", "own_keyless")
    lake.merge(ORDERS, lake.land(ORDERS, order(1, "b", day(2))))
    result = lake.run("run", "--select", "own_keyless")
    assert not result.success and "unique_key must name the key's column of own_keyless" in failures(result)
    lake.build("run", "--full-refresh", "--select", "own_keyless")
