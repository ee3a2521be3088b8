"""Two versions of lakeray beside each other, in alternating pairs: a feed with nothing new, and a small backfill.

CPU seconds of the whole process tree, user and system, so that what else the machine does counts little; the ratio pair
by pair. Needs another checkout whose environment is made: ``python -m benchmarks.versions FOLDER [pairs=5]``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, keep, spread
from lakeray.values.keys import CLAIM

_STREAM = "klaviyo/events"
_PAIRS = 5
_SAMPLE = ("sample.days=1", "sample.syncs_per_day=1", "sample.files_per_day=12", "sample.rows_per_file=20000")
_BATCHES = ("batch.max_files=3", "feed.executor=inline")


def main(words: Sequence[str]) -> None:
    """Measure; the first word is the other checkout."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    (other,) = [Path(word).resolve() for word in words if "=" not in word]
    pairs = int(options.get("pairs", _PAIRS))
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        raw = Path(folder) / "raw"
        _ran(ROOT, "sample", f"paths.root={folder}", f"+stream={_STREAM}", *_SAMPLE)
        found = {
            name: _compared(other, raw=raw, pairs=pairs, nothing_new=name == "noop") for name in ("noop", "pipeline")
        }
    before = _commit_of(other)
    keep("versions", {"before": before, "stream": _STREAM, "sample": list(_SAMPLE), **found})


def _compared(other: Path, *, raw: Path, pairs: int, nothing_new: bool) -> dict[str, Any]:
    """CPU seconds of both, and this version's share of the other's, pair by pair; the first pair is not counted."""
    before, after = [], []
    for number in range(pairs + 1):
        both = (other, before), (ROOT, after)
        for checkout, seconds in both if number % 2 else both[::-1]:
            seconds.append(_cpu_s(checkout, raw=raw, nothing_new=nothing_new))
    ratios = [new / old for old, new in zip(before[1:], after[1:], strict=True)]
    return {"before_cpu_s": spread(before[1:]), "after_cpu_s": spread(after[1:]), "ratio": spread(ratios)}


def _cpu_s(checkout: Path, *, raw: Path, nothing_new: bool) -> float:
    for claim in raw.rglob(CLAIM):
        claim.unlink()  # the lake of the run before is gone
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as root:
        words = ["feed", f"paths.root={root}", f"storage.url={raw.as_uri()}", f"+stream={_STREAM}", *_BATCHES]
        if nothing_new:
            _ran(checkout, *words)
        return _ran(checkout, *words)


def _ran(checkout: Path, *words: str) -> float:
    """Run a command of a checkout by its own environment; its CPU seconds, its children's included."""
    before = os.times()
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "lakeray", *words]
    subprocess.run(command, cwd=checkout, capture_output=True, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _commit_of(checkout: Path) -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main(sys.argv[1:])
