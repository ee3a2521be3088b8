"""Every config composes, converts and agrees with what is generated from it; what is misspelt is named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lakeray.cli.commands.generate import drifted, wanted
from lakeray.cli.compose import settings_of, stream_names
from lakeray.cli.parse import Call, parse
from lakeray.run import rules_for
from lakeray.settings.conversion import batch_for
from lakeray.settings.values import Settings
from lakeray.streams.generated import is_generated
from lakeray.values.errors import UsageError
from lakeray.wiring import check_places
from tests.support.real.lake import PROJECT

ENVS = sorted(path.stem for path in (PROJECT / "conf" / "env").glob("*.yaml"))
STREAMS = sorted(stream_names(None))
GROUPS = [
    f"{folder.name}={path.stem}"
    for folder in sorted((PROJECT / "conf").iterdir())
    if folder.is_dir() and folder.name not in ("env", "stream")
    for path in sorted(folder.glob("*.yaml"))
]


def settings(*words: str) -> Settings:
    return settings_of(parse(["feed", *words]))


def refused(*words: str) -> UsageError:
    with pytest.raises(UsageError) as wrong:
        settings(*words)
    return wrong.value


def test_the_streams_and_environments_are_there() -> None:
    assert len(STREAMS) >= 9 and {"shopify/orders", "klaviyo/profiles"} <= set(STREAMS)
    assert ENVS == ["dev", "local", "prod"]


PLACES = {
    "S3_RAW_URL": "s3://mine/raw",
    "DUCKLAKE_DATA_PATH": "s3://mine/lake/",
    "DUCKLAKE_DB_HOST": "db.example",
    "DUCKLAKE_DB_NAME": "lake",
    "DUCKLAKE_DB_USER": "me",
}
"""The environment variable of each place that env=prod does not guess."""
OF = dict.fromkeys(PLACES, "lake.catalog") | {"S3_RAW_URL": "storage.url", "DUCKLAKE_DATA_PATH": "lake.data_path"}


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are set."""
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("name", PLACES)
def test_in_production_no_place_is_guessed(places: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for absent in (lambda: monkeypatch.delenv(name), lambda: monkeypatch.setenv(name, "")):
        absent()
        error = refused("env=prod", "+stream=shopify/orders")
        assert (error.about, error.exit_code) == (OF[name], 2)
        assert name in error.expected and name in error.todo and OF[name] in error.todo


def test_in_production_places_come_from_the_environment_or_the_settings(places: None) -> None:
    made = settings("env=prod", "+stream=shopify/orders")
    assert (made.storage.url, made.lake.data_path) == (PLACES["S3_RAW_URL"], PLACES["DUCKLAKE_DATA_PATH"])
    assert made.lake.catalog.reveal() == "postgres:host=db.example port=5432 dbname=lake user=me"


def test_what_is_set_needs_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PLACES:
        monkeypatch.delenv(name, raising=False)
    words = ("storage.url=s3://a/raw", "lake.data_path=s3://a/lake/", "lake.catalog=sqlite:/here")
    assert settings("env=prod", *words, "+stream=shopify/orders").storage.url == "s3://a/raw"


@pytest.mark.parametrize("env", ENVS)
def test_every_stream_composes_in_every_environment(env: str, places: None) -> None:
    for name in STREAMS:
        made = settings(f"env={env}", f"+stream={name}")
        assert [str(stream.name) for stream in made.streams.values()] == [name]
        assert made.env == env
        rules = rules_for(made, next(iter(made.streams.values())))
        assert str(rules.stream) == name and rules.contract.primary_key
        if env != "dev":  # needs its services up
            check_places(made)


@pytest.mark.parametrize("choice", GROUPS)
def test_every_config_of_every_group_composes(choice: str) -> None:
    assert settings(choice, "+stream=shopify/orders").streams


def test_without_a_stream_all_are_fed() -> None:
    made = settings()
    assert sorted(str(stream.name) for stream in made.streams.values()) == STREAMS
    assert {slug: stream.name.slug for slug, stream in made.streams.items()} == {slug: slug for slug in made.streams}


def test_several_streams_and_a_stream_without_the_plus_are_understood() -> None:
    made = settings("stream=[shopify/orders,klaviyo/events]", "+streams.shopify__orders.batch.target_bytes=1MB")
    assert sorted(made.streams) == ["klaviyo__events", "shopify__orders"]
    assert batch_for(made, made.streams["shopify__orders"]).target_bytes == 1_000_000
    assert batch_for(made, made.streams["klaviyo__events"]).target_bytes == made.batch.target_bytes


@pytest.mark.parametrize(
    ("word", "about", "told"),
    [
        ("feed.lookback_dayz=3", "feed.lookback_dayz", "feed.lookback_days"),
        ("bach.max_files=3", "bach.max_files", "batch.max_files"),
        ("+stream=shopify/order", "stream shopify/order", "shopify/orders"),
        ("+stream=[shopify/orders,klaviyo/event]", "stream klaviyo/event", "klaviyo/events"),
        ("env=lokal", "env/lokal", "env/local"),
        ("lake=sqlit", "lake/sqlit", "lake/sqlite"),
        ("+feed.lookback_dayz=3", "feed.lookback_dayz", "lookback_days"),
    ],
)
def test_a_misspelt_word_is_named_with_the_nearest(word: str, about: str, told: str) -> None:
    error = refused(word)
    assert error.about == about
    assert told in error.todo
    assert error.exit_code == 2


@pytest.mark.parametrize("word", ["feed.lookback_days=many", "batch.target_bytes=many", "feed.executor=rai"])
def test_a_wrong_value_is_named(word: str) -> None:
    assert refused(word).about == word.split("=", 1)[0]


@pytest.mark.parametrize("word", ["feed.lookback_days=[1", "feed.lookback_days=${nothing}", "=3", "a=b=c=d"])
def test_what_hydra_cannot_read_is_a_usage_error(word: str) -> None:
    assert refused(word).exit_code == 2


@pytest.mark.parametrize("words", [["--verbose"], ["shopify/orders/2026"], ["now"]])
def test_a_word_that_is_no_setting_is_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(["feed", *words])


def test_a_setting_that_a_stream_leaves_out_can_be_given_all_the_same() -> None:
    made = settings("+stream=shopify/orders", "streams.shopify__orders.retention.days=30")
    assert rules_for(made, made.streams["shopify__orders"]).retention_days == 30
    with pytest.raises(UsageError, match=r"streams\.shopify__orders\.retentoin") as found:
        settings("+stream=shopify/orders", "streams.shopify__orders.retentoin.days=30")
    assert "retention" in found.value.todo


def test_a_folder_of_ones_own_may_add_streams(tmp_path: Path) -> None:
    folder = tmp_path / "stream" / "shop"
    folder.mkdir(parents=True)
    (folder / "orders.yaml").write_text(
        "# @package streams.shop__orders\nsource: shop\nstream: orders\nprimary_key: [id]\ncursor_field: null\n"
        "fields: {id: BIGINT}\n"
    )
    made = settings("--config-dir", str(tmp_path), "+stream=shop/orders")
    assert made.streams["shop__orders"].primary_key == ("id",)


def test_what_is_generated_agrees_with_the_configs() -> None:
    made = settings()
    assert drifted(made) == []
    texts = wanted(made)
    for name in STREAMS:
        source, stream = name.split("/")
        assert f"dbt/landing/{source}/stg_{source}__{stream}.sql" in texts
        assert f"dbt/models/processed/{source}/int_{source}__{stream}.sql" in texts


def test_no_generated_file_is_left_from_a_stream_that_is_gone() -> None:
    texts = wanted(settings())
    for path in [*(PROJECT / "dbt" / "landing").rglob("*.sql"), *(PROJECT / "dbt/models/processed").rglob("*.*")]:
        relative = path.relative_to(PROJECT).as_posix()
        assert relative in texts or not is_generated(path.read_text(encoding="utf-8")), relative


def test_every_streams_key_and_cursor_are_among_its_fields() -> None:
    for stream in settings().streams.values():
        assert set(stream.primary_key) <= set(stream.fields), stream.name
        assert stream.cursor_field is None or stream.cursor_field in stream.fields, stream.name
        assert set(stream.descriptions) <= set(stream.fields), stream.name


def test_composing_needs_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys; from lakeray.cli.parse import parse; from lakeray.cli.compose import settings_of; "
        "settings_of(parse(['feed']));"
        "print(sorted({'ray', 'dbt', 'duckdb', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_flags_and_what_follows_them_are_the_commands() -> None:
    call = parse(["enrich", "--select", "fct_sales", "dim_x", "--full-refresh", "output=json"])
    assert (call.arguments, call.overrides) == (("--select", "fct_sales", "dim_x", "--full-refresh"), ("output=json",))
    for words in (["feed", "--select", "x"], ["enrich", "--selekt", "x"]):
        with pytest.raises(UsageError, match="--"):
            parse(words)


def test_a_call_is_a_value() -> None:
    call = parse(["why", "shopify/orders/a=b.parquet", "env=local"])
    assert call == Call(
        command="why",
        arguments=("shopify/orders/a=b.parquet",),
        overrides=("env=local",),
        config_dir=None,
        show_config=False,
    )
