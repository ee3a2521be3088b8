"""The command line: what is wrong is named, the nearest is suggested, help teaches, secrets stay secret.

What the process adds to ``main`` (its exit code, its two outputs) is tested once; the rest needs no process.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeray.cli.help import COMMANDS
from lakeray.cli.main import main
from tests.support.real.processes import lakeray

WRONG = [
    (("fed",), "fed", "feed"),
    (("feed", "batch.max_fils=3"), "batch.max_fils", "batch.max_files"),
    (("feed", "+stream=shopify/ordrs"), "shopify/ordrs", "shopify/orders"),
    (("feed", "stream=[shopify/orders,klaviyo/profile]"), "klaviyo/profile", "klaviyo/profiles"),
    (("feed", "env=lcal"), "lcal", "local"),
    (("feed", "feed.executor=rai"), "feed.executor", "ray"),
    (("feed", "batch.target_bytes=12parsecs"), "batch.target_bytes", "500MB"),
    (("feed", "batch.memory_bytes=1MB"), "batch.memory_bytes", "at least"),
    (("feed", "feed.lookback_days=many"), "feed.lookback_days", "a whole number"),
    (("feed", "feed.lookback_days=-1"), "feed.lookback_days", "at least 0"),
    (("feed", "output=yaml"), "output", "json"),
    (("feed", "--watch"), "--watch", "--help"),
    (("feed", "shopify/ordrs"), "shopify/ordrs", "shopify/orders"),
    (("feed", "orders"), "feed orders", "lakeray feed shopify/orders"),
    (("feed", "streams.klaviyo__lists.contract.on_new_column=ad"), "klaviyo__lists.contract.on_new_column", "add"),
    (("feed", "streams.klaviyo__lists.primary_key=[nr]"), "klaviyo__lists.primary_key", "nr"),
    (("replay", "+stream=klaviyo/lists"), "replay.from", "YYYY-MM-DD"),
    (("replay", "replay.from=2026-02-01", "replay.to=2026-01-01"), "replay.to", "2026-02-01"),
    (("quarantine", "retri", "a.parquet"), "retri", "retry"),
    (("quarantine", "retry", "klaviyo/lists/a.parquet"), "klaviyo/lists/a.parquet", "quarantine"),
    (("why",), "why", "path"),
    (("status", "lake.schema=mine"), "lake.schema", "an SQLite catalog has no schemas"),
    (("feed", "lake.schema=''"), "lake.schema", "public"),
    (("status", "lake.catalog='mysql:host=db'"), "lake.catalog", "sqlite:/path or postgres:"),
    (("status", "lake.catalog=sqlite:"), "lake.catalog", "sqlite:/path"),
    (("status", "lake.catalog='postgres:host=db'", "lake.schema=''"), "lake.schema", "1 to 63 bytes"),
    (("status", "lake.catalog='postgres:host=db'", f"lake.schema='{'ü' * 32}'"), "lake.schema", "1 to 63 bytes"),
    (("status", "lake.catalog='postgres:host=db no'"), "lake.catalog", "a libpq string"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "named", "suggested"), WRONG, ids=[" ".join(words) for words, _, _ in WRONG])
def test_a_wrong_command_line_exits_2_names_what_is_wrong_and_what_would_be_right(
    words: tuple[str, ...], named: str, suggested: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([*words, f"paths.root={tmp_path / 'root'}"])
    out, err = capsys.readouterr()
    assert (code, out) == (2, ""), err
    assert named in err
    assert suggested in err.replace(named, "", 1), err
    assert not (tmp_path / "root" / "catalog.sqlite").exists()


def test_the_process_exits_with_the_code_and_says_why_without_a_trace(tmp_path: Path) -> None:
    ran = lakeray("feed", "+stream=shopify/ordrs", f"paths.root={tmp_path / 'root'}")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("lakeray: stream shopify/ordrs; ")
    assert ran.err.rstrip().endswith("Did you mean shopify/orders?")
    assert "Traceback" not in ran.err


def test_an_error_is_one_json_document_when_json_is_asked_for(tmp_path: Path) -> None:
    ran = lakeray("feed", "batch.max_fils=3", "output=json", f"paths.root={tmp_path / 'root'}")
    assert ran.code == 2
    error = json.loads(ran.out)["error"]
    assert error.keys() >= {"kind", "about", "expected", "found", "todo"}
    assert (error["about"], error["todo"]) == ("batch.max_fils", "Did you mean batch.max_files?")


@pytest.mark.parametrize("size", ["500MB", "2GiB", "500000000", "0.5 GB"])
def test_sizes_are_read_as_people_write_them(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "root" / "raw").mkdir(parents=True)
    code = main(["plan", f"batch.target_bytes={size}", "output=json", f"paths.root={tmp_path / 'root'}"])
    out, err = capsys.readouterr()
    assert code == 0, err
    assert [stream["files"] for stream in json.loads(out)["streams"]] == [0] * 9


@pytest.mark.parametrize("command", ["feed", "plan", "status"])
def test_a_folder_that_is_not_there_is_an_error_and_reading_makes_none(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main([command, "+stream=klaviyo/lists", "output=json", f"paths.root={tmp_path / 'root'}"])
    out, err = capsys.readouterr()
    assert code == 1 and "Is storage.url right?" in out + err
    assert not (tmp_path / "root" / "raw").exists()


def test_help_names_every_command_and_the_exit_codes() -> None:
    ran = lakeray("--help")
    assert (ran.code, ran.err) == (0, "")
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)
    assert "Exit codes: 0 done" in ran.out
    assert "env=local|dev|prod" in ran.out


@pytest.mark.parametrize("words", [[], ["-h"], ["help"]], ids=" ".join)
def test_whoever_asks_for_help_in_any_way_gets_the_same(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == main(["--help"]) == 0
    out = capsys.readouterr().out
    assert out[: len(out) // 2] == out[len(out) // 2 :]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"lakeray {name}: ")
    assert f"lakeray {name}" in out.partition("\n")[2]


def test_the_help_of_feed_shows_a_command_for_one_stream_and_for_several() -> None:
    ran = lakeray("feed", "--help")
    assert (ran.code, ran.err) == (0, "")
    for word in (
        "lakeray feed shopify/orders ",
        "+stream=[shopify/orders,klaviyo/*]",
        "feed.executor",
        "batch.memory_bytes",
    ):
        assert word in ran.out


def test_the_settings_in_effect_are_shown_without_their_secrets(tmp_path: Path) -> None:
    secrets = {
        "S3_ACCESS_KEY_ID": "AKIDhush-hush",
        "S3_SECRET_ACCESS_KEY": "s3cret-hush-hush",
        "DUCKLAKE_DB_PASSWORD": "pgpass-hush-hush",
        "PGPASSWORD": "pgpass-hush-hush",
    }
    places = {
        "S3_ENDPOINT": "http://127.0.0.1:9",
        "S3_RAW_URL": "s3://landing/raw",
        "DUCKLAKE_DB_HOST": "127.0.0.1",
        "DUCKLAKE_DB_NAME": "ducklake",
        "DUCKLAKE_DB_USER": "ducklake",
        "DUCKLAKE_DATA_PATH": "s3://landing/lake/",
    }
    ran = lakeray("feed", "--cfg", "job", "env=prod", f"paths.root={tmp_path}", environment=secrets | places)
    assert ran.code == 0, ran.err
    assert "http://127.0.0.1:9" in ran.out
    assert "secret_access_key: '***'" in ran.out
    assert "hush-hush" not in ran.out + ran.err


def test_an_error_of_the_storage_holds_no_secret(tmp_path: Path) -> None:
    environment = {
        "S3_ENDPOINT": "http://127.0.0.1:9",
        "S3_ACCESS_KEY_ID": "AKIDhush-hush",
        "S3_SECRET_ACCESS_KEY": "s3cret-hush-hush",
    }
    places = ("storage=s3", "storage.timeout_s=1", f"paths.root={tmp_path / 'root'}")
    ran = lakeray("feed", "+stream=klaviyo/lists", *places, "output=json", environment=environment)
    assert ran.code == 1, ran.err
    assert ran.stream("klaviyo/lists")["error"]["kind"] == "storage_address"
    assert "hush-hush" not in ran.out + ran.err
