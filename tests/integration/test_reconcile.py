"""reconcile: landing tables become what the stream's config says, by widening alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakeray.values.column_types import parse_type
from tests.support.real.lake import PROJECT, Lake
from tests.support.real.parquet import record, write

STREAM = "klaviyo/metrics"
TABLE = "staging.stg_klaviyo__metrics"
NEW_FIELD = "+streams.klaviyo__metrics.fields.colour=VARCHAR"


@pytest.fixture
def lake(tmp_path: Path, extension_directory: Path) -> Lake:
    return Lake.new(tmp_path / "lake", extensions=extension_directory)


@pytest.fixture
def words(tmp_path: Path) -> tuple[str, ...]:
    """Settings that name the stream and a dbt project whose DDL may be written anew."""
    project = shutil.copytree(PROJECT / "dbt", tmp_path / "project" / "dbt", ignore=shutil.ignore_patterns("target"))
    return (f"+stream={STREAM}", f"dbt.project_dir={project}")


def reconcile(lake: Lake, *words: str) -> list[str]:
    """Write the DDL and reconcile: the changes."""
    lake.ok("generate", *words)
    changes: list[str] = lake.ok("reconcile", *words).document["changes"]
    return changes


def test_reconcile_creates_what_is_missing_once(lake: Lake, words: tuple[str, ...]) -> None:
    first = lake.ok("reconcile", "+stream=[klaviyo/metrics,klaviyo/lists]", words[1]).document["changes"]
    assert [change.split(" with ")[0] for change in first] == [
        "created staging.stg_klaviyo__lists",
        "created staging.stg_klaviyo__metrics",
    ]
    before = lake.columns(TABLE)
    assert lake.ok("reconcile", *words).document["changes"] == []
    assert lake.columns(TABLE) == before


def test_a_new_field_becomes_a_column(lake: Lake, words: tuple[str, ...]) -> None:
    lake.ok("reconcile", *words)
    before = lake.columns(TABLE)
    assert reconcile(lake, *words, NEW_FIELD) == ["added stg_klaviyo__metrics.colour VARCHAR"]
    assert lake.columns(TABLE) == {**before, "colour": "VARCHAR"}
    assert reconcile(lake, *words, NEW_FIELD) == []


def test_a_new_nested_field_and_a_wider_number_are_taken_over(lake: Lake, words: tuple[str, ...]) -> None:
    size = "+streams.klaviyo__metrics.fields.size"
    place = "+streams.klaviyo__metrics.fields.place"
    reconcile(lake, *words, f"{size}=INTEGER", f"{place}='STRUCT(\"city\" VARCHAR)'")
    reconcile(lake, *words, f"{size}=BIGINT", f'{place}=\'STRUCT("city" VARCHAR, "zip" VARCHAR)\'')
    columns = lake.columns(TABLE)
    assert (columns["size"], columns["place"]) == ("BIGINT", "STRUCT(city VARCHAR, zip VARCHAR)")


CHANGES = pytest.mark.parametrize(
    ("before", "after"),
    [
        ("BIGINT", "INTEGER"),
        ("VARCHAR", "BIGINT"),
        ("INTEGER", "DOUBLE"),
        ("'STRUCT(\"city\" VARCHAR)'", "'STRUCT(\"city\" BIGINT)'"),
    ],
    ids=["fewer bits", "another type", "a type that files cannot be filtered by", "another nested type"],
)


@CHANGES
def test_a_column_without_rows_becomes_what_the_config_says(
    before: str, after: str, lake: Lake, words: tuple[str, ...]
) -> None:
    field = "+streams.klaviyo__metrics.fields.size"
    reconcile(lake, *words, f"{field}={before}")
    assert reconcile(lake, *words, f"{field}={after}") != []
    assert parse_type(lake.columns(TABLE)["size"]) == parse_type(after.strip("'"))


@CHANGES
def test_a_column_with_rows_is_never_changed_and_the_other_streams_are(
    before: str, after: str, lake: Lake, words: tuple[str, ...]
) -> None:
    field = "+streams.klaviyo__metrics.fields.size"
    both = (f"+stream=[{STREAM},klaviyo/lists]", words[1])
    reconcile(lake, *words, f"{field}={before}")
    path = lake.raw / STREAM / "year=2026/month=01/day=01/part_0.parquet"
    write(path, record("a"))
    feed_without_dbt(lake, *words, f"{field}={before}")
    columns = lake.columns(TABLE)
    lake.ok("generate", *both, f"{field}={after}", NEW_FIELD)
    refused = lake.run("reconcile", *both, f"{field}={after}", NEW_FIELD)
    assert refused.code == 1
    error = refused.stream(STREAM)["error"]
    assert (error["kind"], "size" in error["about"], refused.document["error"]) == ("contract", True, error)
    assert error["expected"].endswith("or a wider type")
    assert "lakeray rebuild" in error["todo"] and "conf/stream/klaviyo/metrics.yaml" in error["todo"]
    assert lake.columns(TABLE) == columns
    assert refused.stream("klaviyo/lists")["error"] is None and lake.columns("staging.stg_klaviyo__lists")


def test_fields_that_only_landing_has_stay(lake: Lake, words: tuple[str, ...]) -> None:
    field = "+streams.klaviyo__metrics.fields.size"
    reconcile(lake, *words, f'{field}=\'STRUCT("city" VARCHAR, "zip" VARCHAR)\'')
    assert reconcile(lake, *words, f"{field}='STRUCT(\"city\" VARCHAR)'") == []
    assert lake.columns(TABLE)["size"] == "STRUCT(city VARCHAR, zip VARCHAR)"


def feed_without_dbt(lake: Lake, *words: str) -> None:
    """Register what is there; the merge does not matter here, and fails."""
    empty = lake.root / "no models"
    (empty / "dbt").mkdir(parents=True)
    (empty / "dbt" / "int_klaviyo__metrics.sql").touch()  # a stream without a model is not fed at all
    fed = lake.run("feed", *words[:1], f"dbt.project_dir={empty / 'dbt'}", *words[2:])
    assert fed.stream(STREAM)["error"]["kind"] == "transform"
    assert lake.landing(STREAM, "id") == [("a",)]


def test_a_ddl_that_does_not_follow_from_the_config_is_named_before_anything_is_done(
    lake: Lake, words: tuple[str, ...]
) -> None:
    refused = lake.run("reconcile", *words, NEW_FIELD)
    assert refused.code == 2
    assert refused.document["error"]["about"] == "dbt/landing/klaviyo/stg_klaviyo__metrics.sql"
    assert "generate" in refused.document["error"]["todo"]
    assert not (lake.root / "catalog.sqlite").exists()


def test_a_ddl_that_does_not_follow_fails_its_stream_alone(lake: Lake, words: tuple[str, ...]) -> None:
    ran = lake.run("reconcile", f"+stream=[{STREAM},klaviyo/lists]", words[1], NEW_FIELD)
    assert ran.code == 1
    assert ran.stream(STREAM)["error"]["about"] == "dbt/landing/klaviyo/stg_klaviyo__metrics.sql"
    assert ran.stream("klaviyo/lists")["error"] is None and lake.columns("staging.stg_klaviyo__lists")
