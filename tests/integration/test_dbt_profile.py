"""dbt opens the lake as lakeray itself does."""

from __future__ import annotations

import yaml

from lakeray.adapters.ducklake.backends.connection import HTTP_RETRIES
from tests.support.real.lake import PROJECT


def test_dbt_tries_a_storage_again_as_often_as_lakeray_and_shares_all_other_settings() -> None:
    outputs = yaml.safe_load((PROJECT / "dbt" / "profiles.yml").read_text(encoding="utf-8"))["lakeray"]["outputs"]
    embedded, object_storage = outputs["embedded"]["settings"], outputs["object_storage"]["settings"]
    assert object_storage == embedded | HTTP_RETRIES
