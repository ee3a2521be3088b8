"""Judges files in a process of its own, so that a crash or a flood of memory is seen, and can be blamed on a file.

``python -m tests.robustness.judge FOLDER MB FIRST``: every file from number FIRST on, in the order of their names. A
line of JSON before each file and one after it. The address space may grow by MB megabytes, then allocations fail.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from lakeray.adapters.parquet.validation import BatchValidator
from lakeray.adapters.storage.object_store import open_store
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.steps import validate
from lakeray.values.column_types import parse_type
from lakeray.values.model import Batch, Column, Contract, Rejected, SourceFile, StreamName

CONTRACT = Contract(
    columns=(
        *AIRBYTE_COLUMNS,
        Column(name="id", type=parse_type("VARCHAR")),
        Column(name="type", type=parse_type("VARCHAR")),
        Column(name="updated", type=parse_type("TIMESTAMP WITH TIME ZONE")),
        Column(name="attributes", type=parse_type("STRUCT(name VARCHAR, integration VARCHAR)")),
    ),
    primary_key=("id",),
)


def main(folder: Path, *, megabytes: int, first: int) -> None:
    """Judge the files."""
    raw, lake = open_store(folder.as_uri()), open_store((folder.parent / "lake").as_uri())
    validator = BatchValidator(raw=raw, lake=lake, temp=folder.parent / "tmp", concurrency=1, judge=validate.verdict)
    files = sorted(raw.list_files(""), key=lambda file: file.key)
    warm = _batch(files[-1])
    validator.validate(warm, CONTRACT)
    limit = _kilobytes("VmSize") * 1024 + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for number, file in enumerate(files[first:], first):
        print(json.dumps({"begins": number, "key": file.key}), flush=True)
        Path("/proc/self/clear_refs").write_text("5")
        before, started = _kilobytes("VmRSS"), time.perf_counter()
        try:
            (verdict,) = validator.validate(_batch(file), CONTRACT)
            rejected = isinstance(verdict, Rejected)
            found = str(verdict.reason) if isinstance(verdict, Rejected) else "accepted"
            detail = verdict.detail if isinstance(verdict, Rejected) else ""
        except BaseException as error:  # noqa: BLE001 — whatever it is, it is what the test is about
            rejected, found, detail = False, "raised", f"{type(error).__name__}: {error}"[:500]
        print(
            json.dumps(
                {
                    "number": number,
                    "key": file.key,
                    "found": found,
                    "detail": detail,
                    "rejected": rejected,
                    "grew_mb": (_kilobytes("VmHWM") - before) // 1024,
                    "seconds": round(time.perf_counter() - started, 3),
                }
            ),
            flush=True,
        )


def _batch(file: SourceFile) -> Batch:
    return Batch(
        id="b", stream=StreamName("klaviyo", "metrics"), files=(file,), size_bytes=file.size_bytes, projected_bytes=0
    )


def _kilobytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)


if __name__ == "__main__":
    main(Path(sys.argv[1]), megabytes=int(sys.argv[2]), first=int(sys.argv[3]))
