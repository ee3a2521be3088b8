"""A command finds its project from each of its folders; what the project does not say is lakeray's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakeray.cli import project
from lakeray.cli.commands.generate import drifted
from lakeray.cli.commands.generate import run as generate
from lakeray.cli.compose import default_of, settings_of, stream_names
from lakeray.cli.main import main
from lakeray.cli.parse import parse
from lakeray.cli.terminal import Output
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError
from tests.support.real.lake import PROJECT

STREAM = """# @package streams.shop__orders
source: shop
stream: orders
primary_key: [id]
cursor_field: null
fields: {id: BIGINT}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one's own, with one stream, and in it."""
    folder = tmp_path / "it's, a [shop]"
    (folder / "conf/stream/shop").mkdir(parents=True)
    shutil.copy(project.OURS / "init/conf/project.yaml", folder / "conf")
    (folder / "conf/stream/shop/orders.yaml").write_text(STREAM)
    (folder / "deep/down").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.delenv(project.HOME, raising=False)
    return folder


def settings(*words: str) -> Settings:
    return settings_of(parse(["feed", *words]))


def test_from_each_folder_of_a_project_a_command_works_on_the_same_lake(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings()
    assert made.paths.root == here / ".lakeray"
    assert made.dbt.project_dir == here / "dbt"
    assert made.lake.data_path == f"{here}/.lakeray/lake/"
    for folder in ("conf", "deep", "deep/down"):
        monkeypatch.chdir(here / folder)
        again = settings()
        assert again.lake.catalog.reveal() == made.lake.catalog.reveal() == f"sqlite:{here}/.lakeray/catalog.sqlite"
        assert (again.paths, again.storage, again.dbt) == (made.paths, made.storage, made.dbt)


def test_places_that_are_written_relative_are_so_to_the_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here / "deep")
    made = settings("paths.root=data", "dbt.project_dir=models", "lake.data_path=tables/", "lake.catalog=sqlite:c.db")
    assert (made.paths.root, made.dbt.project_dir) == (here / "data", here / "models")
    assert (made.lake.data_path, made.lake.catalog.reveal()) == (f"{here}/tables/", f"sqlite:{here}/c.db")


def test_the_projects_settings_go_before_lakerays_and_its_environments_before_them(here: Path) -> None:
    assert settings().retention.days == 7
    (here / "conf/project.yaml").write_text("# @package _global_\nretention: {days: 30}\nfeed: {lookback_days: 9}\n")
    (here / "conf/env").mkdir()
    (here / "conf/env/mine.yaml").write_text("# @package _global_\nenv: mine\nfeed: {lookback_days: 11}\n")
    assert (settings().retention.days, settings().feed.lookback_days) == (30, 9)
    assert settings("env=mine").feed.lookback_days == 11
    assert settings("env=mine", "feed.lookback_days=12").feed.lookback_days == 12
    assert (settings("batch.max_files=5").batch.max_files, default_of("retention.days")) == (5, "30")


def test_what_was_there_before_the_first_feed_is_not_deleted_in_a_project_that_does_not_say_so(here: Path) -> None:
    assert settings().retention.delete_existing is False


def test_the_streams_of_a_project_are_its_own(here: Path) -> None:
    assert list(stream_names(None)) == ["shop/orders"]
    with pytest.raises(UsageError, match="stream shopify/orders"):
        settings("shopify/orders")


def test_outside_of_a_project_a_command_says_so_and_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(project.HOME, raising=False)
    for command in ("feed", "status", "doctor", "generate", "demo"):
        assert main([command]) == 2
        told = capsys.readouterr().err
        assert "not in a lakeray project" in told and str(tmp_path) in told and "lakeray init" in told
    for words in (["--help"], ["feed", "--help"], ["--version"]):
        assert main(words) == 0
    assert not list(tmp_path.iterdir())


def test_the_environment_may_name_the_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here.parent)
    monkeypatch.setenv(project.HOME, str(here))
    assert settings().paths.root == here / ".lakeray"
    monkeypatch.setenv(project.HOME, str(here / "deep"))
    with pytest.raises(UsageError, match="LAKERAY_HOME"):
        settings()


def test_the_lake_of_another_project_is_that_ones_own(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    for name in ("conf/project.yaml", ".lakeray/catalog.sqlite"):
        (other / name).parent.mkdir(parents=True, exist_ok=True)
        (other / name).touch()
    monkeypatch.chdir(other)
    monkeypatch.setenv(project.HOME, str(here))
    assert settings().paths.root == here / ".lakeray"


def test_a_lake_that_lies_where_an_earlier_version_made_it_is_not_passed_over(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = here / "deep/.lakeray"
    left.mkdir()
    (left / "catalog.sqlite").touch()
    monkeypatch.chdir(here / "deep")
    with pytest.raises(UsageError, match=r"paths\.root") as refused:
        settings()
    assert f"paths.root={left}" in refused.value.todo
    assert settings(f'paths.root="{left}"').paths.root == left


def test_this_repository_is_such_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT / "tests/support")
    assert project.found() == PROJECT
    assert settings().retention.delete_existing is True


def test_the_dbt_project_may_have_any_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = settings("dbt.project_dir=warehouse")
    assert generate(made, [], Output(as_json=False)) == 0
    assert (here / "warehouse/landing/shop/stg_shop__orders.sql").is_file()
    assert (here / "warehouse/models/processed/shop/int_shop__orders.sql").is_file()
    assert not (here / "dbt").exists() and not (here / "landing").exists()
    assert "wrote warehouse/landing/shop/stg_shop__orders.sql" in capsys.readouterr().out
    assert drifted(made) == []


def test_streams_are_words_or_a_setting_names_or_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    shopify = ["shopify__customers", "shopify__order_refunds", "shopify__orders"]
    for words, slugs in (
        (["shopify/orders"], ["shopify__orders"]),
        (["shopify/orders", "klaviyo/lists"], ["klaviyo__lists", "shopify__orders"]),
        (["shopify/*"], shopify),
        (["+stream=shopify/*"], shopify),
        (["stream=[shopify/*,klaviyo/lists]"], ["klaviyo__lists", *shopify]),
        (["*/orders", "+stream=shopify/orders"], ["shopify__orders"]),
    ):
        assert sorted(settings(*words).streams) == slugs
    for word in ("shop/*", "shopify/order"):
        with pytest.raises(UsageError, match="stream shop"):
            settings(word)
