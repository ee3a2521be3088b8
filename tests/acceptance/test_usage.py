"""The command line: what is wrong is named, the nearest is suggested, help teaches, secrets stay secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lakeray.help import COMMANDS
from tests.real.processes import lakeray

WRONG = [
    (("fed",), "fed", "feed"),
    (("feed", "batch.max_fils=3"), "batch.max_fils", "batch.max_files"),
    (("feed", "+stream=shopify/ordrs"), "shopify/ordrs", "shopify/orders"),
    (("feed", "stream=[shopify/orders,klaviyo/profile]"), "klaviyo/profile", "klaviyo/profiles"),
    (("feed", "env=lcal"), "lcal", "local"),
    (("feed", "feed.executor=rai"), "feed.executor", "ray"),
    (("feed", "batch.target_bytes=12parsecs"), "batch.target_bytes", "500MB"),
    (("feed", "batch.memory_bytes=1MB"), "batch.memory_bytes", "batch.reserved_bytes"),
    (("feed", "feed.lookback_days=many"), "feed.lookback_days", "a whole number"),
    (("feed", "feed.lookback_days=-1"), "feed.lookback_days", "at least 0"),
    (("feed", "output=yaml"), "output", "json"),
    (("feed", "--watch"), "--watch", "--help"),
    (("feed", "shopify/orders"), "shopify/orders", "+stream=shopify/orders"),
    (("feed", "streams.klaviyo__lists.contract.on_new_column=ad"), "klaviyo__lists.contract.on_new_column", "add"),
    (("feed", "streams.klaviyo__lists.primary_key=[nr]"), "klaviyo__lists.primary_key", "nr"),
    (("replay", "+stream=klaviyo/lists"), "replay.from", "YYYY-MM-DD"),
    (("replay", "replay.from=2026-02-01", "replay.to=2026-01-01"), "replay.to", "2026-02-01"),
    (("quarantine", "retri", "a.parquet"), "retri", "retry"),
    (("quarantine", "retry", "klaviyo/lists/a.parquet"), "klaviyo/lists/a.parquet", "quarantine"),
    (("why",), "why", "path"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "named", "suggested"), WRONG, ids=[" ".join(words) for words, _, _ in WRONG])
def test_a_wrong_command_line_exits_2_names_what_is_wrong_and_what_would_be_right(
    words: tuple[str, ...], named: str, suggested: str, tmp_path: Path
) -> None:
    ran = lakeray(*words, f"paths.root={tmp_path / 'root'}")
    assert (ran.code, ran.out) == (2, ""), ran.err
    first, _, rest = ran.err.partition(";")
    assert named in ran.err
    assert suggested in ran.err.replace(named, "", 1), ran.err
    assert "Traceback" not in first + rest
    assert not (tmp_path / "root" / "catalog.sqlite").exists()


def test_an_error_is_one_json_document_when_json_is_asked_for(tmp_path: Path) -> None:
    ran = lakeray("feed", "batch.max_fils=3", "output=json", f"paths.root={tmp_path / 'root'}")
    assert ran.code == 2
    error = json.loads(ran.out)["error"]
    assert error.keys() >= {"kind", "about", "expected", "found", "todo"}
    assert (error["about"], error["todo"]) == ("batch.max_fils", "Did you mean batch.max_files?")


@pytest.mark.parametrize("size", ["500MB", "2GiB", "500000000"])
def test_sizes_are_read_as_people_write_them(size: str, tmp_path: Path) -> None:
    ran = lakeray("plan", f"batch.target_bytes={size}", "output=json", f"paths.root={tmp_path / 'root'}")
    assert ran.code == 0, ran.err
    assert [stream["files"] for stream in ran.document["streams"]] == [0] * 9


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)], ids=" ".join)
def test_help_names_every_command_and_the_exit_codes(words: tuple[str, ...]) -> None:
    ran = lakeray(*words)
    assert (ran.code, ran.err) == (0, "")
    assert all(f"\n  {name} " in ran.out for name in COMMANDS)
    assert "Exit codes: 0 done" in ran.out
    assert "env=local|dev|prod" in ran.out


def test_the_help_of_feed_shows_a_command_for_one_stream_and_for_several() -> None:
    ran = lakeray("feed", "--help")
    assert (ran.code, ran.err) == (0, "")
    for word in (
        "+stream=shopify/orders",
        "+stream=[shopify/orders,klaviyo/events]",
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
    places = {"S3_ENDPOINT": "http://127.0.0.1:9", "DUCKLAKE_DB_HOST": "127.0.0.1"}
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
    assert ran.stream("klaviyo/lists")["error"]["kind"] == "storage"
    assert "hush-hush" not in ran.out + ran.err
