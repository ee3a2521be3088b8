"""What a feed says of rows: those without a key, and keys that a catalog cannot be asked for (P12)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from tests.support.real.lake import Lake
from tests.support.real.parquet import START, TIMES, write

METRICS = "klaviyo/metrics"
FEED = ("feed", f"+stream={METRICS}")
TYPES = {"id": pa.string(), "updated": TIMES, "type": pa.string()}
KEYS = {
    "nul": "a\0b",
    "nul too": "a\0c",
    "quote": "it's",
    "empty": "",
    "long": "x" * 1_000_000,
    "longer": "x" * 1_000_001,
}


def land(lake: Lake, part: int, *, keys: dict[str, str | None]) -> None:
    rows = [
        {"id": key, "type": f"{name} {part}", "updated": START + timedelta(hours=part)} for name, key in keys.items()
    ]
    write(lake.raw / METRICS / f"year=2026/month=01/day=01/part_{part}.parquet", *rows, types=TYPES)


def test_rows_without_a_key_are_left_out_and_counted_and_any_text_is_a_key(
    tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    land(lake, 0, keys={**KEYS, "none": None})
    lake.ok(*FEED)
    land(lake, 1, keys={**KEYS, "none": None, "none too": None})
    fed = lake.ok(*FEED)
    rows = dict(lake.query("SELECT id, type FROM lakehouse.main.int_klaviyo__metrics"))
    assert rows == {key: f"{name} 1" for name, key in KEYS.items()}
    assert [event["rows"] for event in fed.events if event["event"] == "rows_left_out"] == [2]
    status = lake.ok("status", f"+stream={METRICS}").stream(METRICS)
    assert (status["rows_without_key"], status["cursor_breaks"]) == (3, 0)
    findings = lake.ok("doctor", f"+stream={METRICS}").document["findings"]
    assert [(item["kind"], item["detail"].split()[0]) for item in findings] == [
        ("rows_without_key", "1"),
        ("rows_without_key", "2"),
    ]
    lake.ok("doctor", f"+stream={METRICS}", "repair=all")
