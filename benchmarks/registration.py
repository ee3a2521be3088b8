"""Registering files: lakeray's feed from listing to landed, beside the ways that exist, all in one run.

Each at 0 and 30 ms from the object store and 0 and 1 ms from Postgres, both real. Two streams: ``narrow`` has 19 leaf
columns (klaviyo/metrics), ``orders`` 635 (shopify/orders, its whole contract). Slow ways get fewer files and are
compared per file. Run alone: ``python -m benchmarks.registration [narrow|orders] [files=N] [cells=S3MS/PGMS,…]``.
"""

from __future__ import annotations

import dataclasses
import functools
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.contenders import Took, feed_of, glob_call, list_call, per_file, pyiceberg
from benchmarks.proxies import proxy
from benchmarks.report import keep
from benchmarks.stack import Place, Stack, keys_of, sample_bodies, servers
from lakeray.settings.values import LakeSettings

CELLS = ((0, 0), (30, 0), (0, 1), (30, 1))
"""Milliseconds of round trip to the object store and to Postgres."""
_RUNS = 3
"""Of what takes a second or two; slow contenders run once, over enough files to be steady."""
_DAYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is registered, and how many files each contender gets."""

    name: str
    stream: str
    leaf_columns: int
    rows: int
    files: int
    per_file: int
    listed: int
    globbed: int
    pyiceberg: int
    extension: int


SUBJECTS = {
    "narrow": Subject(
        name="narrow",
        stream="klaviyo/metrics",
        leaf_columns=19,
        rows=20,
        files=5000,
        per_file=100,
        listed=200,
        globbed=1000,
        pyiceberg=300,
        extension=300,
    ),
    "orders": Subject(
        name="orders",
        stream="shopify/orders",
        leaf_columns=635,
        rows=20,
        files=1000,
        per_file=20,
        listed=40,
        globbed=60,
        pyiceberg=50,
        extension=55,
    ),
}


def main(words: Sequence[str] = ()) -> None:
    """Measure the named subjects, or both."""
    options = dict(word.split("=", 1) for word in words if "=" in word)
    names = [word for word in words if "=" not in word] or list(SUBJECTS)
    cells = _cells(options["cells"]) if "cells" in options else CELLS
    for name in names:
        subject = SUBJECTS[name]
        if "files" in options:
            subject = dataclasses.replace(subject, files=int(options["files"]))
        with servers() as stack:
            results = _measure(stack, subject, cells)
        keep("registration" if name == "narrow" else f"registration_{name}", results)


def writers() -> list[str]:
    """The writers that this version of lakeray has."""
    has_setting = any(field.name == "writer" for field in dataclasses.fields(LakeSettings))
    return ["extension", "catalog"] if has_setting else ["extension"]


def _measure(stack: Stack, subject: Subject, cells: Sequence[tuple[int, int]]) -> dict[str, Any]:
    bodies = sample_bodies(subject.stream, rows=subject.rows)
    wanted = {subject.files, subject.per_file, subject.listed, subject.globbed, subject.pyiceberg, subject.extension}
    for files in sorted(wanted):
        stack.upload(_prefix(files), bodies, _keys(subject, files))
    measured = [_cell(stack, subject, bodies[0], s3_ms, postgres_ms) for s3_ms, postgres_ms in cells]
    return {
        "stream": subject.stream,
        "leaf_columns": subject.leaf_columns,
        "rows_per_file": subject.rows,
        "bytes_per_file": round(statistics.mean(len(body) for body in bodies)),
        "cells": measured,
    }


def _cell(stack: Stack, subject: Subject, body: bytes, s3_ms: int, postgres_ms: int) -> dict[str, Any]:
    with (
        proxy(stack.state.s3_port, delay_s=s3_ms / 1000) as s3_port,
        proxy(stack.state.postgres_port, delay_s=postgres_ms / 1000) as postgres_port,
    ):

        def run(work: Callable[[Place, list[str]], Took], files: int, runs: int = 1) -> Took:
            return _median([_once(work, files) for _ in range(runs)])

        def _once(work: Callable[[Place, list[str]], Took], files: int) -> Took:
            place = stack.place(
                prefix=_prefix(files), stream=subject.stream, s3_port=s3_port, postgres_port=postgres_port
            )
            try:
                return work(place, _keys(subject, files))
            finally:
                stack.drop(place)

        took = {
            "per_file_loop": run(per_file, subject.per_file),
            "list_call": run(list_call, subject.listed),
            "glob_call": run(glob_call, subject.globbed),
            "pyiceberg_add_files": run(functools.partial(pyiceberg, body=body), subject.pyiceberg),
        }
        for writer in writers():
            fast = writer == "catalog"
            work = functools.partial(_feed, writer=writer if len(writers()) > 1 else None)
            files = subject.files if fast else subject.extension
            took[f"lakeray_{writer}"] = run(work, files, _RUNS if fast else 1)
    found = {name: one.as_dict() for name, one in took.items()}
    print(s3_ms, postgres_ms, {name: one["files_per_s"] for name, one in found.items()}, file=sys.stderr)
    return {"storage_ms": s3_ms, "postgres_ms": postgres_ms, "contenders": found, "ratios": _ratios(took)}


def _feed(place: Place, keys: Sequence[str], *, writer: str | None) -> Took:
    return feed_of(place, len(keys), words=[] if writer is None else [f"lake.writer={writer}"])


def _median(runs: Sequence[Took]) -> Took:
    return sorted(runs, key=lambda took: took.seconds)[len(runs) // 2]


def _ratios(took: dict[str, Took]) -> dict[str, float]:
    ours = {name: one for name, one in took.items() if name.startswith("lakeray_")}
    others = {name: one for name, one in took.items() if name not in ours}
    return {
        f"{name} / {other}": round(
            ours[name].files / ours[name].seconds * others[other].seconds / others[other].files, 1
        )
        for name in ours
        for other in others
    }


def _prefix(files: int) -> str:
    return f"raw-{files}"


def _keys(subject: Subject, files: int) -> list[str]:
    # The pattern of the glob call must match its files and no others: they are all in one day.
    return keys_of(subject.stream, files=files, days=1 if files == subject.globbed else _DAYS)


def _cells(text: str) -> tuple[tuple[int, int], ...]:
    pairs = [cell.split("/", 1) for cell in text.split(",")]
    return tuple((int(storage), int(catalog)) for storage, catalog in pairs)


if __name__ == "__main__":
    main(sys.argv[1:])
