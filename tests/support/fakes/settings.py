"""Settings without Hydra: the mapping that a composed config is, and what it becomes."""

from __future__ import annotations

import copy
from typing import Any

from lakeray.settings.conversion import settings_from
from lakeray.settings.values import Settings

RAW: dict[str, Any] = {
    "env": "local",
    "output": "text",
    "paths": {"root": ".lakeray"},
    "storage": {"url": "file:///raw"},
    "lake": {"catalog": "sqlite:/catalog.sqlite", "data_path": "/lake/"},
    "batch": {"target_bytes": "64MB", "memory_bytes": "2GiB", "reserved_bytes": "300MB", "max_files": 500},
    "feed": {"lookback_days": 3, "prefetch_batches": 2},
    "retention": {"days": 7, "snapshot_days": 1, "delete_existing": True},
    "ray": {},
    "kuberay": {},
    "dbt": {"project_dir": "dbt"},
    "telemetry": {},
    "sample": {
        "first_day": "2026-01-01",
        "days": 1,
        "syncs_per_day": 1,
        "files_per_day": 1,
        "rows_per_file": 1,
        "seed": 1,
    },
    "replay": {"from": None, "to": "2026-01-31"},
    "clean": {},
    "services": {},
    "doctor": {},
    "rebuild": {},
    "streams": {
        "shop__orders": {
            "source": "shop",
            "stream": "orders",
            "primary_key": "id",
            "cursor_field": None,
            "fields": {"id": "BIGINT", "name": "VARCHAR"},
        }
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """The mapping with one value changed, ``feed.lookback_days``."""
    raw = copy.deepcopy(RAW)
    *parents, last = path.split(".")
    place = raw
    for name in parents:
        place = place[name]
    place[last] = value
    return raw


def settings(**changes: Any) -> Settings:
    """Settings with changes, ``feed__executor="inline"``; ``streams`` replaces the streams."""
    raw = copy.deepcopy(RAW)
    for name, value in changes.items():
        *parents, last = name.split("__") if name != "streams" else ["streams"]
        place = raw
        for part in parents:
            place = place[part]
        place[last] = value
    return settings_from(raw)
