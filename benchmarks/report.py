"""Where a number was measured, and how it is kept."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_PACKAGES = ("duckdb", "duckdb-extension-ducklake", "ray", "dbt-core", "dbt-duckdb", "pyarrow", "obstore")


def machine() -> dict[str, Any]:
    """Cores, memory, system, versions and commit."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(pages * size / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "commit": commit or None,
        "load_before": os.getloadavg()[0],
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Minimum, median and maximum, in the values' unit."""
    return {
        "min": round(min(values), 4),
        "median": round(statistics.median(values), 4),
        "max": round(max(values), 4),
        "runs": len(values),
    }


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def lakeray(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "lakeray", *words], cwd=ROOT, capture_output=True, text=True, check=True
    )


def kept(suite: str) -> dict[str, Any]:
    """The suite's last results."""
    path = ROOT / "benchmarks" / "results" / f"{suite}.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results


def keep(suite: str, results: dict[str, Any]) -> None:
    """Write the suite's JSON and print it."""
    path = ROOT / "benchmarks" / "results" / f"{suite}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"suite": suite, "machine": machine(), "results": results}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)
