"""reconcile: landing tables become what the stream's config says, by widening alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.real.lake import PROJECT, Lake

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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("BIGINT", "INTEGER"),
        ("VARCHAR", "BIGINT"),
        ('\'STRUCT("city" VARCHAR, "zip" VARCHAR)\'', "'STRUCT(\"city\" VARCHAR)'"),
    ],
    ids=["fewer bits", "another type", "fewer nested fields"],
)
def test_a_narrower_type_is_refused_and_nothing_changes(
    before: str, after: str, lake: Lake, words: tuple[str, ...]
) -> None:
    field = "+streams.klaviyo__metrics.fields.size"
    reconcile(lake, *words, f"{field}={before}")
    columns = lake.columns(TABLE)
    lake.ok("generate", *words, f"{field}={after}", NEW_FIELD)
    refused = lake.run("reconcile", *words, f"{field}={after}", NEW_FIELD)
    assert refused.code == 1
    error = refused.document["error"]
    assert (error["kind"], "size" in error["about"]) == ("contract", True)
    assert error["expected"].endswith("or a wider type")
    assert "conf/stream/klaviyo/metrics.yaml" in error["todo"]
    assert lake.columns(TABLE) == columns


def test_a_ddl_that_does_not_follow_from_the_config_is_named_before_anything_is_done(
    lake: Lake, words: tuple[str, ...]
) -> None:
    refused = lake.run("reconcile", *words, NEW_FIELD)
    assert refused.code == 2
    assert refused.document["error"]["about"] == "dbt/landing/klaviyo/stg_klaviyo__metrics.sql"
    assert "generate" in refused.document["error"]["todo"]
    assert not (lake.root / "catalog.sqlite").exists()
