"""``lakeray feed`` beside the plain design (benchmarks/plain_feed.py), from raw files to the processed table.

Both as processes of their own, on the same real SeaweedFS and Postgres, 30 ms and 1 ms away, with the same files that
``sample`` made, each into a lake of its own; at the end both processed tables must hold the same rows. Run alone:
``python -m benchmarks.end_to_end [files=N] [rows=N] [batches=N]``: ``batches`` cuts the files into so many by size,
for both; by default lakeray's own limits hold, and the plain design has one batch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.proxies import proxy
from benchmarks.report import ROOT, keep, lakeray, timed
from benchmarks.stack import Place, Stack, servers, stream_of
from lakeray import wiring
from lakeray.adapters.services import seaweedfs
from lakeray.streams.generated import landing_ddl

STORAGE_MS, POSTGRES_MS = 30, 1
_STREAM = "klaviyo/events"
_PREFIX = "raw"
_FILES, _ROWS, _DAYS = 2000, 50, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The raw files of a run."""

    files: int
    size_bytes: int


def main(words: Sequence[str] = ()) -> None:
    """Measure both, and keep the ratio."""
    options = {name: int(value) for name, value in (word.split("=", 1) for word in words)}
    with (
        servers() as stack,
        proxy(stack.state.s3_port, delay_s=STORAGE_MS / 1000) as s3_port,
        proxy(stack.state.postgres_port, delay_s=POSTGRES_MS / 1000) as postgres_port,
    ):
        raw = _sample(stack, files=options.get("files", _FILES), rows=options.get("rows", _ROWS))
        target_bytes = raw.size_bytes // options["batches"] + 1 if "batches" in options else 500_000_000
        places = [
            stack.place(prefix=_PREFIX, stream=_STREAM, s3_port=s3_port, postgres_port=postgres_port) for _ in "12"
        ]
        ours = _lakeray(places[0], target_bytes=target_bytes)
        plain = _plain(places[1], target_bytes=target_bytes)
        same_rows = _same_rows(places)
    for name, one in (("lakeray", ours), ("plain", plain)):
        if one["files"] != raw.files:
            raise RuntimeError(f"{name} took {one['files']} of {raw.files} files")
    results = {
        "stream": _STREAM,
        "files": raw.files,
        "bytes": raw.size_bytes,
        "rows_per_file": options.get("rows", _ROWS),
        "processed_rows": same_rows,
        "storage_ms": STORAGE_MS,
        "postgres_ms": POSTGRES_MS,
        "target_bytes": target_bytes,
        "plain": plain,
        "lakeray": ours,
        "plain_to_lakeray": round(plain["seconds"] / ours["seconds"], 2),
    }
    keep("end_to_end", results)


def _sample(stack: Stack, *, files: int, rows: int) -> Files:
    with tempfile.TemporaryDirectory(prefix="lrb-sample-") as folder:
        shape = [f"sample.files_per_day={files // _DAYS}", f"sample.days={_DAYS}", f"sample.rows_per_file={rows}"]
        lakeray("sample", f"paths.root={folder}", f"+stream={_STREAM}", *shape)
        raw = Path(folder, "raw")
        paths = sorted(raw.rglob("*.parquet"))
        bodies = [path.read_bytes() for path in paths]
    stack.upload(_PREFIX, bodies, [str(path.relative_to(raw)) for path in paths])
    return Files(files=len(paths), size_bytes=sum(len(body) for body in bodies))


def _lakeray(place: Place, *, target_bytes: int) -> dict[str, Any]:
    told: list[dict[str, Any]] = []

    def feed() -> None:
        ran = lakeray("feed", *place.words(), f"batch.target_bytes={target_bytes}", "output=json")
        told.extend(json.loads(ran.stdout)["streams"])

    seconds = timed(feed)
    (stream,) = told
    return {"seconds": round(seconds, 2), "files": stream["files"], "batches": stream["batches"]}


def _plain(place: Place, *, target_bytes: int) -> dict[str, Any]:
    settings = place.settings()
    stream, services = stream_of(settings), place.stack.state
    project = wiring.dbt_project(settings, lake=wiring.backend(settings))
    address = f"{place.conninfo} password={services.postgres_password}"
    order = {
        "bucket": seaweedfs.BUCKET,
        "prefix": f"{_PREFIX}/{_STREAM}/",
        "landing": stream.name.landing_table,
        "landing_ddl": landing_ddl(stream.name, stream.landing_contract()),
        "table": stream.name.processed_table,
        "newest_first": stream.cursor_field,
        "target_bytes": target_bytes,
        "extensions": str(place.stack.root / "extensions"),
        "secret": f"CREATE SECRET ({place.secret()})",
        "attach": f"ATTACH 'ducklake:postgres:{address}' AS lakehouse ({place.attach_options()})",
        "store": {
            "endpoint": f"http://127.0.0.1:{place.s3_port}",
            "access_key_id": services.s3_access_key_id,
            "secret_access_key": services.s3_secret_access_key,
            "region": "us-east-1",
        },
        "profiles_dir": str(ROOT / "lakeray" / "dbt_package"),
        "target": str(place.stack.root / "plain-dbt"),
    }
    told: list[dict[str, Any]] = []

    def feed() -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "benchmarks.plain_feed"],
            cwd=ROOT,
            env={**os.environ, **project.environment},
            input=json.dumps(order),
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise RuntimeError(f"the plain design failed: {ran.stderr.strip()[-2000:]}")
        told.append(json.loads(ran.stdout.strip().splitlines()[-1]))

    seconds = timed(feed)
    (found,) = told
    parts = {name: round(found[name], 2) for name in ("register_s", "dbt_s")}
    return {"seconds": round(seconds, 2), "files": found["files"], "batches": found["batches"], **parts}


def _same_rows(places: Sequence[Place]) -> int:
    """How many rows both processed tables have, every column of every row the same.

    Raises:
        RuntimeError: they differ.
    """
    found = []
    for place in places:
        table = stream_of(place.settings()).name.processed_table
        with place.duckdb(threads=2) as connection:
            query = f"SELECT count(*), bit_xor(hash(one)), sum(hash(one)) FROM lakehouse.main.{table} AS one"
            found.append(connection.execute(query).fetchone())
    if found[0] is None or found[0] != found[1] or found[0][0] == 0:
        raise RuntimeError(f"the processed tables differ, rows and digests: {found}")
    return int(found[0][0])


if __name__ == "__main__":
    main(sys.argv[1:])
