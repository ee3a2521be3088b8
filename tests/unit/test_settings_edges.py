"""Settings at their edges: taken, or refused by name; never a traceback."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeray.settings.conversion import batch_for, settings_from
from lakeray.settings.ranges import RANGES, numbers_of
from lakeray.settings.values import Settings
from lakeray.steps.clean import clean_before
from lakeray.steps.discover import horizon
from lakeray.values.errors import UsageError
from lakeray.values.model import Cursor
from tests.support.fakes.settings import RAW, changed

ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            " ",
            "~nobody-of-this-name/x",
            "file://host/x",
            "file:///x",
            "s3://",
            "s3://b/x",
            "file://[",
            "a\0b",
            "1e999MB",
        ]
    ),
    st.sampled_from([10**9, 999_999, 800_000, -1, 0, 2**70]),
    st.lists(st.text(max_size=5), max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)


def leaves(raw: Any, at: str = "") -> list[str]:
    if not isinstance(raw, dict) or not raw:
        return [at]
    return [leaf for name, value in raw.items() for leaf in leaves(value, f"{at}.{name}" if at else name)]


FULL = {
    **RAW,
    "feed": {
        **RAW["feed"],
        "max_batches": 1,
        "executor": "auto",
        "watch": False,
        "poll_s": 1.0,
        "on_changed": "report",
    },
    "ray": {"address": None, "num_cpus": 1, "auto_files": 1},
    "lake": {**RAW["lake"], "schema": "public", "password": "p", "lease_wait_s": 1.0, "writer": "auto"},
    "storage": {**RAW["storage"], "endpoint_url": None, "region": None, "concurrency": 1, "timeout_s": 1.0},
    "services": {"s3_port": 0, "postgres_port": 0},
    "dbt": {"project_dir": "dbt", "threads": 1, "tests": False},
    "telemetry": {"exporter": "none", "endpoint": None, "service_name": "lakeray"},
    "clean": {"dry_run": False},
    "doctor": {"dry_run": False},
    "repair": None,
}


def with_value(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(FULL)
    *parents, last = path.split(".")
    place = raw
    for name in parents:
        place = place[name]
    place[last] = value
    return raw


def taken(raw: dict[str, Any]) -> Settings:
    """The settings, and what every command makes of them before it does anything."""
    made = settings_from(raw)
    for stream in made.streams.values():
        batch_for(made, stream)
        stream.landing_contract()
        cursor = Cursor(stream=stream.name, path="shop/orders/year=2026/month=1/day=1/a.parquet")
        horizon(cursor, lookback_days=made.feed.lookback_days, retention_days=made.retention.days)
        clean_before(cursor, retention_days=made.retention.days)
    return made


def refusal(raw: dict[str, Any]) -> UsageError | None:
    try:
        taken(raw)
    except UsageError as refused:
        return refused
    return None


@settings(max_examples=400)
@given(path=st.sampled_from(leaves(FULL)), value=ANYTHING)
def test_whatever_a_setting_says_it_is_taken_or_refused_by_name(path: str, value: Any) -> None:
    refused = refusal(with_value(path, value))
    assert refused is None or (refused.about and refused.expected)


def test_every_number_of_the_settings_has_a_range() -> None:
    made = settings_from(FULL)
    assert {name for name, _ in numbers_of(made)} <= RANGES.keys()
    assert RANGES.keys() <= {name for name, _ in numbers_of(made)}


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("retention.days", 999_999, "retention.days"),
        ("feed.lookback_days", 800_000, "feed.lookback_days"),
        ("retention.snapshot_days", float("nan"), "retention.snapshot_days"),
        ("feed.poll_s", -1, "feed.poll_s"),
        ("paths.root", "", "paths.root"),
        ("storage.url", "file://host/x", "storage.url"),
        ("storage.url", "http://bucket/x", "storage.url"),
        ("storage.endpoint_url", "s3.example.com", "storage.endpoint_url"),
        ("telemetry.exporter", "otpl", "telemetry.exporter"),
        ("streams.shop__orders.stream", "orders\n", "streams.shop__orders"),
        ("batch.memory_bytes", "9" * 400 + "TB", "batch.memory_bytes"),
        ("streams.shop__orders.batch", {"max_files": 0}, "streams.shop__orders.batch.max_files"),
    ],
)
def test_a_value_at_the_edge_is_refused_and_named(path: str, value: Any, named: str) -> None:
    refused = refusal(with_value(path, value))
    assert refused is not None and refused.about == named


@pytest.mark.parametrize(
    "kind", ["ENUM", "DECIMAL(39,2)", "DECIMAL(5,6)", "STRUCT(a BIGINT, A BIGINT)", "NONSENSE[]", "MAP(ENUM, INT)"]
)
def test_a_type_that_no_table_can_have_is_refused_by_the_fields_name(kind: str) -> None:
    made = settings_from(changed("streams.shop__orders.fields", {"id": "BIGINT", "n": kind}))
    with pytest.raises(UsageError, match=r"streams\.shop__orders\.fields\.n"):
        made.streams["shop__orders"].landing_contract()
