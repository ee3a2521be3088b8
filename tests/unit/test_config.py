"""Settings: what is misspelt is named, with the nearest; what is wrong says what was expected."""

from __future__ import annotations

import copy
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.settings.conversion import batch_for, parse_size, settings_from
from lakeray.settings.values import Secret, Settings, Size
from lakeray.values.errors import UsageError, nearest
from lakeray.values.model import OnNewColumn, OnTypeChange
from tests.support.fakes.settings import RAW, changed


def without(path: str) -> dict[str, Any]:
    raw = copy.deepcopy(RAW)
    *parents, last = path.split(".")
    place = raw
    for name in parents:
        place = place[name]
    del place[last]
    return raw


def refused(raw: Any) -> UsageError:
    with pytest.raises(UsageError) as wrong:
        settings_from(raw)
    return wrong.value


def test_a_whole_config_becomes_settings() -> None:
    settings = settings_from(RAW)
    assert isinstance(settings, Settings)
    assert settings.paths.root == Path(".lakeray")
    assert (settings.batch.memory_bytes, settings.retention.snapshot_days) == (2**31, 1.0)
    assert (settings.replay.from_, settings.replay.to) == (None, date(2026, 1, 31))
    stream = settings.streams["shop__orders"]
    assert stream.primary_key == ("id",)
    assert [column.name for column in stream.landing_contract().columns][-2:] == ["id", "name"]
    assert stream.contract.on_new_column is OnNewColumn.ADD


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("feed.lookback_dayz", 3, "lookback_days"),
        ("bach", {}, "batch"),
        ("streams.shop__orders.primary_keys", ["id"], "primary_key"),
        ("streams.shop__orders.contract", {"on_new_colum": "add"}, "on_new_column"),
        ("replay.from_", "2026-01-01", "from"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest(path: str, value: Any, told: str) -> None:
    error = refused(changed(path, value))
    assert path.split(".", 1)[0] in error.about and "none of this name" in error.found
    assert error.todo == f"Did you mean {told}?"


@pytest.mark.parametrize("path", ["env", "batch.target_bytes", "storage.url", "streams.shop__orders.source", "lake"])
def test_a_missing_key_is_named(path: str) -> None:
    assert refused(without(path)).about == path


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("feed.lookback_days", "3", "a whole number"),
        ("feed.lookback_days", 3.5, "a whole number"),
        ("feed.lookback_days", True, "a whole number"),
        ("feed.lookback_days", None, "a whole number"),
        ("retention.snapshot_days", "1", "a number"),
        ("clean.dry_run", "yes", "true or false"),
        ("clean.dry_run", 1, "true or false"),
        ("storage.url", 5, "a text"),
        ("storage", "file:///raw", "a mapping"),
        ("streams", ["shop"], "a mapping"),
        ("streams.shop__orders.fields", ["id"], "a mapping"),
        ("streams.shop__orders.primary_key", 5, "a list"),
        ("batch.target_bytes", "many", "a size"),
        ("batch.oversize", "spil", "spill or refuse"),
        ("feed.executor", "rai", "auto or ray or inline"),
        ("replay.from", "yesterday", "a day"),
        ("sample.first_day", "2026-13-01", "a day"),
        ("output", "yaml", "text or json"),
        ("batch.max_files", 0, "at least 1"),
        ("feed.prefetch_batches", 0, "at least 1"),
        ("feed.lookback_days", -1, "at least 0"),
        ("feed.max_batches", 0, "at least 1"),
        ("feed.max_batches", -1, "at least 1"),
        ("storage.concurrency", 0, "at least 1"),
        ("sample.syncs_per_day", 0, "at least 1"),
        ("batch.memory_bytes", "60MB", "at least 64,000,000"),
    ],
)
def test_a_wrong_value_says_what_was_expected(path: str, value: Any, expected: str) -> None:
    error = refused(changed(path, value))
    assert error.about == path and expected in error.expected


def test_a_wrong_value_deep_inside_is_named_by_its_whole_key() -> None:
    error = refused(changed("streams.shop__orders.fields", {"id": 5}))
    assert (error.about, error.expected) == ("streams.shop__orders.fields.id", "a text")


@pytest.mark.parametrize("name", ["Shop", "shop orders", "1shop", 'shop"; DROP', ""])
def test_a_stream_has_a_name_that_is_an_identifier(name: str) -> None:
    assert refused(changed("streams.shop__orders.source", name)).about == "streams.shop__orders"


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_a_config_is_a_mapping(raw: Any) -> None:
    assert refused(raw).expected == "a mapping"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (5, 5),
        ("5", 5),
        ("5B", 5),
        ("1kB", 1000),
        ("1k", 1000),
        ("1KiB", 1024),
        ("500MB", 500_000_000),
        ("2GiB", 2**31),
        ("1.5 gb", 1_500_000_000),
        ("1ti", 2**40),
        (" 7 MB ", 7_000_000),
    ],
)
def test_sizes_are_read_in_powers_of_ten_and_of_two(text: object, count: int) -> None:
    assert parse_size(text, at="here") == count


@pytest.mark.parametrize("text", ["", "MB", "-5MB", "5XB", "5iB", "5i", "1e3", "5 M B", True, None, 1.5j])
def test_what_is_no_size_is_refused_with_its_key(text: object) -> None:
    with pytest.raises(UsageError) as wrong:
        parse_size(text, at="batch.target_bytes")
    assert wrong.value.about == "batch.target_bytes"


@given(st.text(max_size=8))
def test_any_text_is_a_size_or_a_usage_error(text: str) -> None:
    try:
        count = parse_size(text, at="x")
    except UsageError:
        return
    assert isinstance(count, Size) and count >= 0


def test_a_secret_never_shows() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {[secret]}" and secret.reveal() == "hunter2"
    settings = settings_from(changed("storage.secret_access_key", "hunter2"))
    assert "hunter2" not in repr(settings) and "sqlite:/catalog" not in repr(settings.lake)
    assert pickle.loads(pickle.dumps(settings)).storage.secret_access_key.reveal() == "hunter2"


def test_a_stream_may_have_batches_of_its_own() -> None:
    settings = settings_from(changed("streams.shop__orders.batch", {"target_bytes": "1MB", "oversize": "refuse"}))
    own = batch_for(settings, settings.streams["shop__orders"])
    assert (own.target_bytes, own.oversize, own.max_files) == (1_000_000, "refuse", 500)
    wrong = settings_from(changed("streams.shop__orders.batch", {"target_byte": 1}))
    with pytest.raises(UsageError, match=r"streams\.shop__orders\.batch\.target_byte"):
        batch_for(wrong, wrong.streams["shop__orders"])


@pytest.mark.parametrize(
    ("path", "value", "about"),
    [
        ("fields", {"id": "BIGINT", "x": "STRUCT("}, "fields.x"),
        ("primary_key", [], "primary_key"),
        ("primary_key", ["id", "nothing"], "primary_key"),
        ("fields", {"id": "BIGINT", "_LakeRay_origin": "VARCHAR"}, "fields._LakeRay_origin"),
        ("fields", {"id": "BIGINT", "x": "BIGINT", "ID": "BIGINT"}, "fields.ID"),
        ("fields", {"id": "BIGINT", "": "BIGINT"}, "fields.''"),
        ("fields", {"id": "BIGINT", "x": 'STRUCT("a" BIGINT, "A" BIGINT)'}, "fields.x"),
        ("fields", {"id": "BIGINT", "x": 'STRUCT("" BIGINT)'}, "fields.x"),
    ],
)
def test_a_stream_that_cannot_land_is_refused(path: str, value: Any, about: str) -> None:
    settings = settings_from(changed(f"streams.shop__orders.{path}", value))
    with pytest.raises(UsageError) as wrong:
        settings.streams["shop__orders"].landing_contract()
    assert wrong.value.about == f"streams.shop__orders.{about}"


@pytest.mark.parametrize(
    ("cursor", "kind", "expected"),
    [
        ("name", "BIGINT", None),
        (None, "BIGINT", "a cursor_field beside it"),
        ("name", "BIG INT", "a DuckDB type"),
        ("name", "BIGINT[]", "a type without parts"),
    ],
)
def test_a_cursor_type_is_a_plain_type_of_a_cursor(cursor: str | None, kind: str, expected: str | None) -> None:
    raw = changed("streams.shop__orders.cursor_type", kind)
    raw["streams"]["shop__orders"]["cursor_field"] = cursor
    stream = settings_from(raw).streams["shop__orders"]
    if expected is None:
        assert stream.landing_contract().primary_key == ("id",)
    else:
        with pytest.raises(UsageError, match=expected):
            stream.landing_contract()


def test_names_are_as_the_fields_write_them() -> None:
    fields = {"Id": "BIGINT", "É": "BIGINT", "é": "BIGINT", "_AIRBYTE_RAW_ID": "UUID"}
    raw = changed("streams.shop__orders.fields", fields)
    raw["streams"]["shop__orders"] |= {"primary_key": ["ID", "id", "é"], "deleted_column": "É"}
    stream = settings_from(raw).streams["shop__orders"]
    assert stream.landing_contract().primary_key == ("Id", "é")
    named = [column.name for column in stream.landing_contract().columns]
    assert named[-4:] == ["Id", "É", "é", "_AIRBYTE_RAW_ID"] and "_airbyte_raw_id" not in named
    assert (stream.as_written("iD"), stream.as_written("other")) == ("Id", "other")


def test_policies_reach_the_contract() -> None:
    settings = settings_from(changed("streams.shop__orders.contract", {"on_type_change": "fail"}))
    assert settings.streams["shop__orders"].landing_contract().on_type_change is OnTypeChange.FAIL


def test_the_nearest_is_told_only_when_it_is_near() -> None:
    assert nearest("shopify/order", ["shopify/orders", "klaviyo/events"]) == "Did you mean shopify/orders?"
    assert nearest("xyz", ["shopify/orders"]) == ""
