"""Ray kills a validation for its memory: its batch is validated in halves, and nothing is tried for ever (P5)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
GB = 10**9
FILE_GB = 1.0
"""What the double of the validator takes for each file of a batch."""
ROOM_GB = 2.6
"""How much more than now Ray lets this machine use: two files' worth, the workers, and what others take meanwhile."""


def validated(*, files: int, file_gb: float) -> dict[str, object]:
    """What a Ray of its own, with that much room, makes of one batch."""
    machine = psutil.virtual_memory()
    if machine.available < (ROOM_GB + files * file_gb + 2) * GB:
        pytest.skip("it takes memory to run out of it")
    used = 1 - machine.available / machine.total
    environment = {
        **os.environ,
        "RAY_memory_usage_threshold": f"{used + ROOM_GB * GB / machine.total:.4f}",
        "RAY_memory_monitor_refresh_ms": "50",
    }
    ran = subprocess.run(
        [sys.executable, "-m", "tests.robustness.hungry", str(files), str(file_gb)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, object] = json.loads(ran.stdout.splitlines()[-1])
    return found


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_batch_that_ray_kills_is_validated_in_halves() -> None:
    found = validated(files=4, file_gb=FILE_GB)
    assert found["verdicts"] == 4 and found["error"] is None
    assert found["sizes"] == [4, 2, 2] or found["sizes"] == [4, 2, 1, 1, 2] or found["sizes"] == [4, 2, 2, 1, 1], found


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_single_file_that_ray_kills_each_time_is_an_error_that_names_it() -> None:
    found = validated(files=2, file_gb=2 * ROOM_GB)
    assert found["error"] == "validation_out_of_memory"
    assert "0.parquet" in str(found["about"])
    assert found["sizes"] == [2, 1, 1, 1]
