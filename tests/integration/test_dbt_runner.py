"""dbt in this process: what it ran is told, what failed is typed, and a whole rebuild keeps to its memory."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch

import pytest

from lakeray.adapters.dbt.python import DbtProject, PythonDbt
from lakeray.adapters.dbt.transformer import DbtTransformer
from lakeray.adapters.ducklake.duckdb_errors import failed_around
from lakeray.adapters.ducklake.writing.merge_records import set_row_group
from lakeray.values.errors import LakerayError, ModelTestError, TransformError, TransformMemoryError
from lakeray.values.memory import row_group_bytes
from lakeray.values.model import BuildResult, PendingTransform, StreamName
from tests.integration.dbt_lake import DBT, DbtLake, Project, environment

METRICS = StreamName("klaviyo", "metrics")
TABLE = "lakehouse.main.int_klaviyo__metrics"


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.parse(tmp_path_factory.mktemp("dbt_runner"))


@pytest.fixture
def lake(tmp_path: Path, project: Project) -> DbtLake:
    return DbtLake(tmp_path / "lake", project)


def runner(lake: DbtLake, *, tests: bool = False, memory: str = "1GB", spill: str | None = None) -> DbtTransformer:
    more = {"LAKERAY_DBT_MEMORY_LIMIT": memory}
    if spill is not None:
        more["LAKERAY_DBT_TEMP_DIRECTORY"] = spill
    variables = {**environment(lake.catalog, lake.root, lake.project.extensions), **more}
    project = DbtProject(project_dir=DBT, target_dir=lake.root / "target", environment=variables, tests=tests)
    return DbtTransformer(dbt=PythonDbt(project), failed_around=failed_around)


def merge(dbt: DbtTransformer, first: int, last: int | None = None) -> BuildResult:
    pending = PendingTransform(stream=METRICS, from_snapshot=first, to_snapshot=last or first)
    with patch.dict(os.environ):
        (outcome,) = dbt.run_group([pending], by_rowscan=[], token=7)
    if isinstance(outcome, LakerayError):
        raise outcome
    return outcome


def many(lake: DbtLake, rows: int) -> int:
    """Register a file of so many rows, two of each key and none of them short."""
    path = lake.root / "raw" / "many.parquet"
    lake.connection.execute(
        "COPY (SELECT md5(n::VARCHAR) AS _airbyte_raw_id, TIMESTAMPTZ '2026-01-01' AS _airbyte_extracted_at,"
        f" md5((n // 2)::VARCHAR) AS id, repeat(md5(n::VARCHAR), 8) AS type FROM range({rows}) AS t(n))"
        f" TO '{path}' (FORMAT parquet, ROW_GROUP_SIZE 10000)"
    )
    lake.sql(
        "CALL ducklake_add_data_files('lakehouse', 'stg_klaviyo__metrics', ?, schema => 'staging',"
        " allow_missing => true)",
        str(path),
    )
    return lake.snapshot()


def test_each_model_and_test_is_told_with_its_rows_and_status(lake: DbtLake) -> None:
    dbt = runner(lake, tests=True)
    merge(dbt, lake.land("klaviyo__metrics", {"id": "1"}, {"id": "2"}))
    built = merge(dbt, lake.land("klaviyo__metrics", {"id": "2"}, {"id": "3"}, extracted_at="2026-01-02 00:00:00Z"))
    assert (built.models, built.rows_affected) == (("int_klaviyo__metrics",), 2)
    told = [(run.kind, run.status, run.rows) for run in built.runs]
    assert told == [("model", "success", 2), ("test", "pass", 0), ("test", "pass", 0)]
    assert all(run.seconds > 0 for run in built.runs)


def test_a_failing_dbt_test_is_an_error_of_its_own(lake: DbtLake) -> None:
    merge(runner(lake), lake.land("klaviyo__metrics", {"id": "1"}))
    lake.sql(f"INSERT INTO {TABLE} SELECT * FROM {TABLE}")
    batch = lake.land("klaviyo__metrics", {"id": "2"})
    with pytest.raises(ModelTestError) as caught:
        merge(runner(lake, tests=True), batch)
    assert caught.value.kind == "test_failed" and "unique_int_klaviyo__metrics_id" in caught.value.found
    assert merge(runner(lake), batch).rows_affected == 0


def test_a_model_that_does_not_fit_its_table_is_a_transform_error(lake: DbtLake) -> None:
    merge(runner(lake), lake.land("klaviyo__metrics", {"id": "1"}))
    lake.sql(f"ALTER TABLE {TABLE} DROP COLUMN _airbyte_raw_id")
    lake.sql(f"ALTER TABLE {TABLE} ADD COLUMN _airbyte_raw_id STRUCT(a INTEGER)")
    with pytest.raises(TransformError) as caught:
        merge(runner(lake), lake.land("klaviyo__metrics", {"id": "1"}))
    assert caught.value.kind == "transform"


def test_out_of_memory_is_an_error_of_its_own_and_writes_nothing(lake: DbtLake) -> None:
    batch = many(lake, 200_000)
    with pytest.raises(TransformMemoryError):
        merge(runner(lake, memory="8MB", spill=""), batch)
    assert lake.sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'int_klaviyo__metrics'") == [(0,)]
    assert merge(runner(lake), batch).rows_affected == 100_000


def test_a_first_run_and_a_full_refresh_of_more_than_the_memory_limit_succeed(lake: DbtLake) -> None:
    set_row_group(lake.connection, row_group_bytes(200_000_000, threads=2))  # as a committer with so much does
    batch = many(lake, 1_000_000)  # 320 MB of values
    assert merge(runner(lake, memory="200MB"), batch).rows_affected == 500_000
    with patch.dict(os.environ, {"LAKERAY_DBT_MEMORY_LIMIT": "200MB"}):
        lake.build("run", "--full-refresh", "--select", "tag:klaviyo__metrics")
    assert lake.sql(f"SELECT count(*), count(DISTINCT id) FROM {TABLE}") == [(500_000, 500_000)]


LISTS = StreamName("klaviyo", "lists")
NO_MODEL = StreamName("acme", "nothing")


def test_several_streams_are_merged_in_one_invocation_and_one_that_fails_stops_no_other(lake: DbtLake) -> None:
    metrics = lake.land("klaviyo__metrics", {"id": "m1", "updated": "2026-01-01T00:00:00Z"})
    lists = lake.land("klaviyo__lists", {"id": "l1", "updated": "2026-01-01T00:00:00Z"})
    asked = [
        PendingTransform(stream=stream, from_snapshot=at, to_snapshot=at)
        for stream, at in ((METRICS, metrics), (NO_MODEL, lists), (LISTS, lists))
    ]
    with patch.dict(os.environ):
        built, without, other = runner(lake).run_group(asked, by_rowscan=[LISTS], token=7)
    assert isinstance(built, BuildResult) and built.models == ("int_klaviyo__metrics",)
    assert isinstance(other, BuildResult) and other.models == ("int_klaviyo__lists",)
    assert isinstance(without, TransformError) and "selected no model" in without.about
    assert lake.table("int_klaviyo__lists", "id") == [("l1",)]
    assert lake.table("int_klaviyo__metrics", "id") == [("m1",)]


def test_a_model_that_fails_in_company_is_an_error_of_its_stream_alone(lake: DbtLake) -> None:
    merge(runner(lake), lake.land("klaviyo__metrics", {"id": "m0"}))
    lake.sql(f"ALTER TABLE {TABLE} DROP COLUMN _airbyte_raw_id")
    lake.sql(f"ALTER TABLE {TABLE} ADD COLUMN _airbyte_raw_id STRUCT(a INTEGER)")
    metrics = lake.land("klaviyo__metrics", {"id": "m1", "updated": "2026-01-01T00:00:00Z"})
    lists = lake.land("klaviyo__lists", {"id": "l1", "updated": "2026-01-01T00:00:00Z"})
    asked = [
        PendingTransform(stream=stream, from_snapshot=at, to_snapshot=at)
        for stream, at in ((METRICS, metrics), (LISTS, lists))
    ]
    with patch.dict(os.environ):
        failed, other = runner(lake).run_group(asked, by_rowscan=[], token=7)
    assert isinstance(failed, TransformError) and "int_klaviyo__metrics" in failed.found
    assert isinstance(other, BuildResult) and other.models == ("int_klaviyo__lists",)
    assert lake.table("int_klaviyo__lists", "id") == [("l1",)]
