"""The transform of one batch by dbt, beside DuckDB's plain copy (read, cast, write) of the same rows in the same run.

With 0 % and 20 % repeated keys into an empty table, and into a table of many rows with updates of its newest records
and with updates spread at random; and what a transform costs outside DuckDB. Run alone:
``python -m benchmarks.transform [ROWS TABLE_ROWS]``, by default batches of 4 million rows and a table of 50 million.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from benchmarks.report import ROOT, keep, spread, timed
from lakeray import sql
from lakeray.adapters.dbt_runner import DbtProject, DbtRunner
from lakeray.adapters.ducklake.connection import LakeAddress, connect
from lakeray.airbyte import AIRBYTE_COLUMNS
from lakeray.column_types import parse_type
from lakeray.generate import StreamSpec, generated_files, landing_ddl
from lakeray.model import Column, Contract, PendingTransform, StreamName

_MEMORY_BYTES = 4 * 2**30 - 400_000_000
_FILES = 16
_SMALL_RUNS = 9
_FIELDS = {
    "id": "BIGINT",
    "updated_at": "TIMESTAMP WITH TIME ZONE",
    "created_at": "TIMESTAMP WITH TIME ZONE",
    "email": "VARCHAR",
    "name": "VARCHAR",
    "financial_status": "VARCHAR",
    "total_price": "DOUBLE",
    "total_tax": "DOUBLE",
    "note": "VARCHAR",
    "price_set": "STRUCT(amount DOUBLE, currency VARCHAR)",
    "line_items": "STRUCT(id BIGINT, title VARCHAR, price DOUBLE, quantity BIGINT)[]",
    "test": "BOOLEAN",
}
_CONTRACT = Contract(
    columns=(*AIRBYTE_COLUMNS, *(Column(name=name, type=parse_type(kind)) for name, kind in _FIELDS.items())),
    primary_key=("id",),
)
_ROW = """
SELECT uuid()::VARCHAR AS _airbyte_raw_id, TIMESTAMPTZ '2026-01-01' + to_days({sync}) AS _airbyte_extracted_at,
    {{'sync_id': {sync}::BIGINT, 'changes': []::STRUCT(field VARCHAR, change VARCHAR, reason VARCHAR)[]}}
        AS _airbyte_meta,
    1::BIGINT AS _airbyte_generation_id, ({key})::BIGINT AS id,
    TIMESTAMPTZ '2025-01-01' + to_seconds(n % 20000000) + to_days(400 * {sync}) AS updated_at,
    TIMESTAMPTZ '2025-01-01' + to_seconds(n % 20000000) AS created_at,
    'user' || hash(n) % 1000000 || '@example.com' AS email,
    '#' || n AS name, ['paid', 'pending', 'refunded'][1 + n % 3] AS financial_status,
    (hash(n) % 100000) / 100.0 AS total_price, (hash(n + 1) % 1000) / 100.0 AS total_tax,
    'note ' || hash(n + 2) % 1000 || ' some words that are repeated' AS note,
    {{'amount': (hash(n) % 100000) / 100.0, 'currency': 'EUR'}} AS price_set,
    [{{'id': n * 10 + k, 'title': 'item ' || k * n % 97, 'price': (hash(k) % 999) / 10.0, 'quantity': k::INTEGER}}
     FOR k IN range(1, 2 + (n % 3)::INT)] AS line_items, n % 7 = 0 AS test
FROM range({first}, {last}) AS numbers(n)
"""
# What a merge reads of the table, and little else: making 50 million whole rows takes longer than all that is measured.
_NARROW_ROW = """
SELECT md5_number_lower(n::VARCHAR)::VARCHAR AS _airbyte_raw_id, TIMESTAMPTZ '2026-01-01' AS _airbyte_extracted_at,
    n AS id,
    TIMESTAMPTZ '2025-01-01' + to_seconds(n % 20000000) AS updated_at, n % 100000 / 100.0 AS total_price
FROM range({first}, {last}) AS numbers(n)
"""
# A fifth of the rows have the key of a row 100,000 to 200,000 rows before.
_REPEATING = "CASE WHEN hash(n) % 5 = 0 THEN greatest(n - 100000 - (hash(n + 7) % 100000)::BIGINT, 0) ELSE n END"


@dataclass
class Bench:
    """A lake and a dbt project of its own, with one stream for each scenario."""

    root: Path
    batches: int = 0
    in_duckdb_s: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.streams = {name: StreamName("bench", name) for name in ("unique", "repeated", "big", "small")}
        self.address = LakeAddress(
            catalog=f"sqlite:{self.root}/catalog.sqlite",
            data_path=f"{self.root}/lake/",
            extension_directory=self.root / "extensions",
            temp_directory=self.root / "tmp",
            memory_bytes=_MEMORY_BYTES,
            threads=2,
        )
        self.lake = connect(self.address, read_only=False)
        self.lake.execute(sql.load("meta_schema"))
        for stream in self.streams.values():
            self.lake.execute(landing_ddl(stream, _CONTRACT))
        self.runner = DbtRunner(self._project())

    def _project(self) -> DbtProject:
        folder = self.root / "dbt"
        shutil.copytree(ROOT / "dbt", folder, ignore=shutil.ignore_patterns("models", "landing", "target", "logs"))
        specs = [StreamSpec(name=name, contract=_CONTRACT, cursor_field="updated_at") for name in self.streams.values()]
        for path, text in generated_files(specs).items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8")
        return DbtProject(
            project_dir=folder,
            target_dir=self.root / "target",
            environment={
                "LAKERAY_DBT_CATALOG": self.address.attach_path,
                "LAKERAY_DBT_DATA_PATH": self.address.data_path,
                "LAKERAY_DBT_EXTENSION_DIRECTORY": str(self.address.extension_directory),
                "LAKERAY_DBT_TEMP_DIRECTORY": str(self.address.temp_directory),
                "LAKERAY_DBT_MEMORY_LIMIT": f"{_MEMORY_BYTES}B",
            },
        )

    def files(self, key: str, *, rows: int, first: int = 0, sync: int = 1, files: int = _FILES) -> list[str]:
        """Parquet files of a batch, as Airbyte writes them."""
        self.batches += 1
        made = []
        for part in range(files):
            ends = {"first": first + part * rows // files, "last": first + (part + 1) * rows // files}
            made.append(f"{self.root}/raw/batch_{self.batches}_{part}.parquet")
            Path(made[-1]).parent.mkdir(exist_ok=True)
            select = _ROW.format(key=key, sync=sync, **ends)
            self.lake.execute(f"COPY ({select}) TO '{made[-1]}' (FORMAT parquet, COMPRESSION zstd)")
        return made

    def transform(self, name: str, files: list[str]) -> float:
        """Register the files, then seconds to transform them."""
        stream = self.streams[name]
        self.lake.execute(
            "CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging')", [stream.landing_table, files]
        )
        row = self.lake.execute("SELECT max(snapshot_id) FROM lakehouse.snapshots()").fetchone()
        assert row is not None
        token = self.lake.execute("SELECT coalesce(max(token), 0) FROM lakehouse.meta.committer").fetchone()
        assert token is not None
        if token[0] == 0:
            self.lake.execute("INSERT INTO lakehouse.meta.committer VALUES (1, 'benchmark', now(), 0)")
        pending = PendingTransform(stream=stream, from_snapshot=row[0], to_snapshot=row[0])
        return timed(lambda: self.runner.run_processed(pending, by_rowscan=False, token=1))

    def copy(self, files: list[str]) -> float:
        """Seconds of a plain copy: read, cast, write."""
        columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in _CONTRACT.columns)
        target = f"{self.root}/copy.parquet"
        return timed(
            lambda: self.lake.execute(
                f"COPY (SELECT {columns} FROM read_parquet({files})) TO '{target}' (FORMAT parquet)"
            )
        )

    def fill(self, rows: int, *, step: int = 2_000_000) -> None:
        """Give the big table its rows, as batches would: in the order of their keys."""
        table = f"lakehouse.main.{self.streams['big'].processed_table}"
        landing = f"lakehouse.staging.{self.streams['big'].landing_table}"
        self.lake.execute(f"CREATE TABLE {table} AS SELECT * FROM {landing} LIMIT 0")
        for first in range(0, rows, step):
            ends = {"first": first, "last": min(first + step, rows)}
            self.lake.execute(f"INSERT INTO {table} BY NAME {_NARROW_ROW.format(**ends)}")

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Add up the seconds that dbt's statements take in DuckDB."""
        self.in_duckdb_s = 0.0
        execute = DuckDBCursorWrapper.execute

        def counted(cursor: DuckDBCursorWrapper, statement: str, bindings: object = None) -> object:
            started = time.perf_counter()
            try:
                return execute(cursor, statement, bindings)
            finally:
                self.in_duckdb_s += time.perf_counter() - started

        with patch.object(DuckDBCursorWrapper, "execute", counted):
            yield


def main() -> None:
    """Measure all scenarios."""
    words = [int(word) for word in sys.argv[1:] if word.isdigit()]
    rows, table_rows = words or (4_000_000, 50_000_000)
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        (Path(folder) / "tmp").mkdir()
        bench = Bench(Path(folder))
        small = _small(bench)
        unique, repeated = bench.files("n", rows=rows), bench.files(_REPEATING, rows=rows)
        size = sum(Path(path).stat().st_size for path in unique)
        bench.copy(unique)  # once for nothing: the pages of the files are in memory for all
        results = {
            "batch_rows": rows,
            "batch_bytes": size,
            "table_rows": table_rows,
            **_beside_copy(bench, "unique", unique),
            **_beside_copy(bench, "repeated", repeated),
            **_into_big(bench, rows=rows, table_rows=table_rows, unique=unique),
            **small,
        }
    keep("transform", results)


def _beside_copy(bench: Bench, name: str, files: list[str]) -> dict[str, object]:
    before, transform, after = bench.copy(files), bench.transform(name, files), bench.copy(files)
    copy = (before + after) / 2
    return {
        f"{name}_copy_s": [round(before, 2), round(after, 2)],
        f"{name}_transform_s": round(transform, 2),
        f"{name}_transform_to_copy": round(transform / copy, 2),
    }


def _into_big(bench: Bench, *, rows: int, table_rows: int, unique: list[str]) -> dict[str, object]:
    bench.fill(table_rows)
    stride = table_rows // rows
    recent = bench.files("n", rows=rows, first=table_rows - rows)
    spread_out = bench.files(f"n * {stride} + hash(n) % {stride}", rows=rows, sync=2)
    bench.lake.execute(f"DELETE FROM lakehouse.main.{bench.streams['unique'].processed_table}")
    empty = bench.transform("unique", unique)
    into = {"recent": bench.transform("big", recent), "random": bench.transform("big", spread_out)}
    return {
        "into_empty_s": round(empty, 2),
        **{f"into_big_{name}_s": round(seconds, 2) for name, seconds in into.items()},
        **{f"into_big_{name}_to_empty": round(seconds / empty, 2) for name, seconds in into.items()},
    }


def _small(bench: Bench) -> dict[str, object]:
    """Batches of a hundred rows: what is left outside DuckDB when there is hardly anything to do."""
    outside, inside = [], []
    for run in range(_SMALL_RUNS + 2):
        files = bench.files("n", rows=100, first=run * 50, sync=1 + run, files=1)
        with bench.counting():
            wall = bench.transform("small", files)
        outside.append(wall - bench.in_duckdb_s)
        inside.append(bench.in_duckdb_s)
    return {"outside_duckdb_s": spread(outside[2:]), "inside_duckdb_s": spread(inside[2:])}


if __name__ == "__main__":
    main()
