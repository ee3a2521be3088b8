"""docs/performance.md says what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.document import PAGE, RESULTS, page

MACHINE = {
    "cores": 2,
    "memory_gib": 23.4,
    "python": "3.11.7",
    "versions": {"duckdb": "1.5.5"},
    "commit": "abc",
    "load_before": 0.1,
    "at": "2026-01-01T00:00:00+00:00",
}


def _contender(files: int, rate: float) -> dict[str, float]:
    return {"files": files, "files_per_s": rate, "ms_per_file": 1000 / rate, "serialized_ms_per_file": 1000 / rate}


def _write(folder: Path, suite: str, results: object) -> None:
    (folder / f"{suite}.json").write_text(json.dumps({"suite": suite, "machine": MACHINE, "results": results}))


def test_the_page_is_what_the_results_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RESULTS), "run python -m benchmarks.document"


def test_a_registration_becomes_tables_of_rates_and_ratios(tmp_path: Path) -> None:
    contenders = {"per_file_loop": _contender(100, 12.5), "lakeray_catalog": _contender(5000, 1250.4)}
    cell = {
        "storage_ms": 30,
        "postgres_ms": 1,
        "contenders": contenders,
        "ratios": {"lakeray_catalog / per_file_loop": 100.03},
    }
    head = {"stream": "a/b", "leaf_columns": 19, "rows_per_file": 20, "bytes_per_file": 5000, "cells": [cell]}
    _write(tmp_path, "registration", head)
    text = page(tmp_path)
    assert "| `ducklake_add_data_files`, a call per file | 12.5 (100 files) |" in text
    assert "| lakeray, `lake.writer=catalog` | 1,250 (5,000 files) |" in text
    assert "| `ducklake_add_data_files`, a call per file | 100 |" in text
    assert "2 cores, 23.4 GiB, load 0.1" in text


def test_a_lake_that_grows_becomes_seconds_and_growth(tmp_path: Path) -> None:
    sizes = [
        {"registered_files": files, "seconds": {"discovery_s": seconds}, "growth": {"discovery_s": seconds / 0.5}}
        for files, seconds in ((0, 0.5), (1_000_000, 0.75))
    ]
    _write(tmp_path, "scale", {"stream": "a/b", "writer": "catalog", "files_per_batch": 1000, "sizes": sizes})
    assert "| discovery: books and listing | 0.5 (×1) | 0.75 (×1.5) |" in page(tmp_path)


def test_a_suite_that_the_page_does_not_know_is_shown_as_it_is(tmp_path: Path) -> None:
    spread = {"min": 1.0, "median": 2.0, "max": 3.5, "runs": 9}
    _write(tmp_path, "other", {"one": {"feed_s": spread, "requests": 2}, "many": [1, 2]})
    text = page(tmp_path)
    assert "| `one.feed_s` | 2 (1 to 3.5, 9 runs) |" in text
    assert "| `one.requests` | 2 |" in text
    assert "| `many` | [1, 2] |" in text
