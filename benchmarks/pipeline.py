"""A backfill of twenty batches, in this process and on Ray: how busy the committer is, and what overlaps its work.

Run alone: ``python -m benchmarks.pipeline [inline|ray] [rows=60000]``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, keep, lakeray

_STREAM = "klaviyo/events"
_BATCHES = 20
_FILES_A_BATCH = 4
_ROWS = 60_000
"""Of a file: about 20 MB, so that a batch is about as large as the files of a sync that is worth a backfill."""
_EXECUTORS = ("inline", "ray")


def main(words: Sequence[str] = ()) -> None:
    """Measure on the named executors, or on both."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    rows = int(options.get("rows", _ROWS))
    names = [word for word in words if "=" not in word] or list(_EXECUTORS)
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        raw = _sampled(Path(folder), rows=rows)
        keep("pipeline", {name: _backfill(name, raw=raw) for name in names})


def _sampled(folder: Path, *, rows: int) -> Path:
    """Make the files; says where."""
    files = _BATCHES * _FILES_A_BATCH
    per_day = ["sample.days=1", "sample.syncs_per_day=1", f"sample.files_per_day={files}"]
    lakeray("sample", f"paths.root={folder}", f"+stream={_STREAM}", *per_day, f"sample.rows_per_file={rows}")
    return folder / "raw"


def _backfill(executor: str, *, raw: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        lake = [f"paths.root={folder}", f"storage.url={raw.as_uri()}", f"+stream={_STREAM}", "output=json"]
        lake.append("retention.raw=keep")  # several lakes read the same files
        told = _told(lake, [f"batch.max_files={_FILES_A_BATCH}", f"feed.executor={executor}"])
    commits = [event for event in told if event["event"] == "batch_committed"]
    (worked,) = [event for event in told if event["event"] == "committer_worked"]
    if len(commits) != _BATCHES:
        raise RuntimeError(f"{len(commits)} batches were committed; {_BATCHES} were to be")
    return {
        "stream": _STREAM,
        "batches": len(commits),
        "files": sum(event["files"] for event in commits),
        "rows": sum(event["rows"] for event in commits),
        "committer_busy_s": worked["busy_s"],
        "committer_s": worked["seconds"],
        "committer_busy_share": round(worked["busy_s"] / worked["seconds"], 3),
        "trace": _trace(told),
    }


def _told(lake: Sequence[str], words: Sequence[str]) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "lakeray", "feed", *lake, *words]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    # Ray writes in front of a line who of its workers says it.
    lines = (line[line.find("{") :] for line in ran.stderr.splitlines() if '"event"' in line)
    return [json.loads(line) for line in lines]


def _trace(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each commit and each transform, with the seconds at which it began and ended."""
    kinds = {"batch_committed": "commit", "batch_transformed": "transform"}
    started = datetime.fromisoformat(told[0]["at"])
    spans = []
    for event in told:
        if event["event"] in kinds:
            ended_s = (datetime.fromisoformat(event["at"]) - started).total_seconds()
            began_s = ended_s - event["seconds"]
            spans.append({"what": kinds[event["event"]], "from_s": round(began_s, 3), "to_s": round(ended_s, 3)})
    return spans


if __name__ == "__main__":
    main(sys.argv[1:])
