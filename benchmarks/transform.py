"""The transform of one batch by dbt, beside DuckDB's plain copy (read, cast, write) of the same rows in the same run.

With 0 % and 20 % repeated keys into an empty table, and into a table of many rows with updates of its newest records
and with updates spread at random; and what a transform costs outside DuckDB. Run alone:
``python -m benchmarks.transform [ROWS TABLE_ROWS]``, by default batches of 4 million rows and a table of 50 million.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from unittest.mock import patch

from dbt.adapters.duckdb.environments.local import DuckDBCursorWrapper

from benchmarks.report import ROOT, keep, spread
from lakeray.adapters.dbt.python import DbtProject, PythonDbt
from lakeray.adapters.dbt.transformer import DbtTransformer
from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import LakePlace
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.backends.sqlite.backend import SqliteBackend
from lakeray.adapters.ducklake.duckdb_errors import failed_around
from lakeray.adapters.lease.file import FileLease
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.streams.generated import StreamSpec, generated_files, landing_ddl
from lakeray.values.column_types import parse_type
from lakeray.values.errors import LakerayError
from lakeray.values.model import Column, Contract, PendingTransform, StreamName

_MEMORY_BYTES = 4 * 2**30 - 400_000_000
_FILES = 16
_SMALL_RUNS = 9
_RUNS = 3
"""Of each large scenario; medians are compared."""
_AGAIN = 3
"""Batches of random updates more, into the same table: what deleted rows that nobody has rewritten cost."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a piece of work took, in seconds."""

    wall_s: float
    cpu_s: float
    """Of this process, all its threads: steadier than the wall's where the machine has other work."""

    @classmethod
    def of(cls, work: Callable[[], object]) -> Cost:
        """Measure it, after what was written before is on the disk: that is not this work's to pay."""
        os.sync()
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return cls(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)


@dataclass
class Bench:
    """A lake and a dbt project of its own, with one stream for each scenario."""

    root: Path
    batches: int = 0
    in_duckdb_s: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.streams = {name: StreamName("bench", name) for name in ("unique", "repeated", "big", "small")}
        place = LakePlace(
            data_path=f"{self.root}/lake/",
            extension_directory=self.root / "extensions",
            temp_directory=self.root / "tmp",
            memory_bytes=_MEMORY_BYTES,
            threads=2,
        )
        own_lease = partial(FileLease, self.root / "lease")
        self.backend = SqliteBackend(f"{self.root}/catalog.sqlite", place=place, lease=own_lease)
        self.lake = connect(self.backend, read_only=False)
        self.lake.execute(sql.load("ducklake/meta_schema"))
        for stream in self.streams.values():
            self.lake.execute(landing_ddl(stream, _CONTRACT))
        self.runner = DbtTransformer(dbt=PythonDbt(self._project()), failed_around=failed_around)

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
                **self.backend.dbt_environment(),
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

    def transform(self, name: str, files: list[str]) -> Cost:
        """Register the files, then what it takes to transform them."""
        stream = self.streams[name]
        self.lake.execute(
            "CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging')", [stream.landing_table, files]
        )
        origins = [f"2026-01-01T00:00:00.{n:06d}Z bench/{name}/part_{n}.parquet" for n in range(len(files))]
        self.lake.execute(
            "INSERT INTO lakehouse.meta.origins SELECT 'bench', ?, unnest(?), unnest(?)", [name, files, origins]
        )
        row = self.lake.execute("SELECT max(snapshot_id) - 1 FROM lakehouse.snapshots()").fetchone()
        assert row is not None
        token = self.lake.execute("SELECT coalesce(max(token), 0) FROM lakehouse.meta.committer").fetchone()
        assert token is not None
        if token[0] == 0:
            self.lake.execute("INSERT INTO lakehouse.meta.committer VALUES (1, 'benchmark', now(), 0)")
        pending = PendingTransform(stream=stream, from_snapshot=row[0], to_snapshot=row[0])
        return Cost.of(lambda: self._merge(pending))

    def _merge(self, pending: PendingTransform) -> None:
        (outcome,) = self.runner.run_group([pending], by_rowscan=[], token=1)
        if isinstance(outcome, LakerayError):
            raise outcome

    def copy(self, files: list[str]) -> Cost:
        """What a plain copy takes: read, cast, write."""
        columns = ", ".join(f'"{column.name}"::{column.type} AS "{column.name}"' for column in _CONTRACT.columns)
        target = f"{self.root}/copy.parquet"
        return Cost.of(
            lambda: self.lake.execute(
                f"COPY (SELECT {columns} FROM read_parquet({files})) TO '{target}' (FORMAT parquet)"
            )
        )

    def fill(self, rows: int, *, step: int = 2_000_000) -> None:
        """Give the big table its rows, as batches would: in the order of their keys."""
        table = f"lakehouse.main.{self.streams['big'].processed_table}"
        landing = f"lakehouse.staging.{self.streams['big'].landing_table}"
        self.lake.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * FROM {landing} LIMIT 0")
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
            "runs": _RUNS,
            "beside_copy": {
                "unique": _beside_copy(bench, "unique", unique),
                "repeated": _beside_copy(bench, "repeated", repeated),
            },
            "into_big": _into_big(bench, rows=rows, table_rows=table_rows, unique=unique),
            **small,
        }
    keep("transform", results)


def _beside_copy(bench: Bench, name: str, files: list[str]) -> dict[str, object]:
    """The first build of the table, then merges into it when it is empty, with a copy before each."""
    first = bench.transform(name, files)
    copies, merges = [], []
    for _ in range(_RUNS):
        copies.append(bench.copy(files))
        merges.append(_into_empty(bench, name, files))
    return {
        "copy_s": _spread(copies),
        "build_s": round(first.wall_s, 2),
        "build_to_copy": _ratios([first], copies),
        "merge_s": _spread(merges),
        "merge_to_copy": _ratios(merges, copies),
    }


def _into_empty(bench: Bench, name: str, files: list[str]) -> Cost:
    bench.lake.execute(f"DELETE FROM lakehouse.main.{bench.streams[name].processed_table}")
    return bench.transform(name, files)


def _into_big(bench: Bench, *, rows: int, table_rows: int, unique: list[str]) -> dict[str, object]:
    """A batch into an empty table; in turn one that updates the newest records of a full one, and one that updates any.

    Each run fills the table anew. Then more batches of random updates into the last one.
    """
    stride = table_rows // rows
    costs: dict[str, list[Cost]] = {"empty": [], "recent": [], "random": [], "random_again": []}

    def updated(name: str, key: str, *, first: int = 0) -> None:
        files = bench.files(key, rows=rows, first=first, sync=1 + sum(len(found) for found in costs.values()))
        costs[name].append(bench.transform("big", files))
        for path in files:
            Path(path).unlink()

    for run in range(_RUNS):
        bench.fill(table_rows)
        costs["empty"].append(_into_empty(bench, "unique", unique))
        updated("recent", "n", first=table_rows - rows)
        updated("random", f"n * {stride} + hash(n + {run}) % {stride}")
    for run in range(_AGAIN):
        updated("random_again", f"n * {stride} + hash(n + {_RUNS + run}) % {stride}")
    return {
        **{f"{name}_s": _spread(costs[name]) for name in ("empty", "recent", "random")},
        **{f"{name}_to_empty": _ratios(costs[name], costs["empty"]) for name in ("recent", "random")},
        "random_again_s": [round(cost.wall_s, 2) for cost in costs["random_again"]],
    }


def _spread(costs: Sequence[Cost]) -> dict[str, float]:
    return spread([cost.wall_s for cost in costs])


def _ratios(costs: Sequence[Cost], others: Sequence[Cost]) -> dict[str, float]:
    """Median to median, of wall time and of CPU time."""
    return {
        name: round(median(getattr(one, name) for one in costs) / median(getattr(one, name) for one in others), 2)
        for name in ("wall_s", "cpu_s")
    }


def _small(bench: Bench) -> dict[str, object]:
    """Batches of a hundred rows: what is left outside DuckDB when there is hardly anything to do."""
    outside, inside = [], []
    for run in range(_SMALL_RUNS + 2):
        files = bench.files("n", rows=100, first=run * 50, sync=1 + run, files=1)
        with bench.counting():
            wall_s = bench.transform("small", files).wall_s
        outside.append(wall_s - bench.in_duckdb_s)
        inside.append(bench.in_duckdb_s)
    return {"outside_duckdb_s": spread(outside[2:]), "inside_duckdb_s": spread(inside[2:])}


if __name__ == "__main__":
    main()
