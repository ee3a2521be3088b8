"""The plain design, as a baseline of benchmarks/end_to_end.py: nothing of lakeray's runs here.

One process, one thing after the other: list what is behind the cursor, cut it into batches by size, register each file
with DuckLake's own call, ``dbt run`` in a process of its own, move the cursor, next batch. It keeps no ledger,
validates nothing, and reads nothing back. Its order is JSON on standard input; seconds and counts on standard output.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
from obstore.store import S3Store

_PROJECT = Path(__file__).resolve().parent / "plain"
_ADD = "CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging', allow_missing => true)"


def main() -> None:
    """Feed one stream, once, to the end."""
    order = json.load(sys.stdin)
    started = time.perf_counter()
    connection = _connect(order)
    cursor = _cursor(connection)
    took = {"files": 0, "batches": 0, "register_s": 0.0, "dbt_s": 0.0}
    for batch in _batches(_listed(order, after=cursor), target_bytes=order["target_bytes"]):
        first = _snapshot(connection) + 1
        began = time.perf_counter()
        for path, _ in batch:
            connection.execute(_ADD, [order["landing"], f"s3://{order['bucket']}/{path}"])
        took["register_s"] += time.perf_counter() - began
        began = time.perf_counter()
        _dbt_run(order, first=first, last=_snapshot(connection))
        took["dbt_s"] += time.perf_counter() - began
        connection.execute("DELETE FROM lakehouse.meta.plain_cursor")
        connection.execute("INSERT INTO lakehouse.meta.plain_cursor VALUES (?)", [batch[-1][0]])
        took["files"] += len(batch)
        took["batches"] += 1
    took["seconds"] = time.perf_counter() - started
    print(json.dumps(took))


def _connect(order: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"extension_directory": order["extensions"], "threads": "2"})
    connection.execute("LOAD ducklake; LOAD postgres_scanner; LOAD httpfs")
    for statement in (order["secret"], order["attach"]):
        connection.execute(statement)
    for schema in ("staging", "meta", "main"):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS lakehouse.{schema}")
    connection.execute(order["landing_ddl"])
    connection.execute("CREATE TABLE IF NOT EXISTS lakehouse.meta.plain_cursor (path VARCHAR)")
    return connection


def _cursor(connection: duckdb.DuckDBPyConnection) -> str:
    row = connection.execute("SELECT path FROM lakehouse.meta.plain_cursor").fetchone()
    return "" if row is None else str(row[0])


def _snapshot(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute("SELECT max(snapshot_id) FROM lakehouse.snapshots()").fetchone()
    assert row is not None
    return int(row[0])


def _listed(order: dict[str, Any], *, after: str) -> list[tuple[str, int]]:
    store = S3Store(order["bucket"], client_options={"allow_http": True}, **order["store"])
    found = [(item["path"], item["size"]) for page in store.list(order["prefix"]) for item in page]
    return sorted((path, size) for path, size in found if path > after and path.endswith(".parquet"))


def _batches(files: Sequence[tuple[str, int]], *, target_bytes: int) -> Iterator[list[tuple[str, int]]]:
    batch: list[tuple[str, int]] = []
    for path, size in files:
        if batch and sum(known for _, known in batch) + size > target_bytes:
            yield batch
            batch = []
        batch.append((path, size))
    if batch:
        yield batch


def _dbt_run(order: dict[str, Any], *, first: int, last: int) -> None:
    variables = {name: order[name] for name in ("landing", "table", "newest_first")} | {"from": first, "to": last}
    words = [str(Path(sys.executable).with_name("dbt")), "run", "--quiet", "--project-dir", str(_PROJECT)]
    paths = ["--profiles-dir", order["profiles_dir"], "--target-path", order["target"], "--log-path", order["target"]]
    subprocess.run([*words, *paths, "--vars", json.dumps(variables)], check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
