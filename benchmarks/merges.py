"""Batches of random updates into one table: a merge of our own beside DuckLake's DELETE and INSERT of the same rows.

CPU seconds of each round; what grows from round to round is what a longer delete list costs. Prints, and keeps nothing.
``python -m benchmarks.merges [rows=1000000] [batch=80000] [rounds=10]``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path

from lakeray.adapters.ducklake import extensions
from lakeray.adapters.ducklake.backends.backend import LakePlace
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.backends.sqlite.backend import SqliteBackend
from lakeray.adapters.ducklake.catalog.merge_writer import MergeWriter
from lakeray.adapters.ducklake.writing.bookkeeping import ensure_bookkeeping
from lakeray.adapters.ducklake.writing.prepared_merge import NewRows, PreparedMerge
from lakeray.adapters.ducklake.writing.record_order import RecordOrder
from lakeray.adapters.lease.file import FileLease
from lakeray.values.faults import no_fault
from lakeray.values.model import StreamName

_STREAM = StreamName("bench", "rows")
_OURS = f"lakehouse.main.{_STREAM.processed_table}"
_THEIRS = "lakehouse.main.theirs"
_COLUMNS = (
    "id BIGINT, updated_at TIMESTAMP, _airbyte_extracted_at TIMESTAMP WITH TIME ZONE, _airbyte_raw_id VARCHAR, "
    "note VARCHAR, price_set STRUCT(amount DOUBLE, currency VARCHAR)"
)
_TOKEN = 1
_numbers = count()


def main(words: Sequence[str]) -> None:
    """Measure."""
    options = {name: int(value) for name, value in (word.split("=", 1) for word in words)}
    rows, batch = options.get("rows", 1_000_000), options.get("batch", 80_000)
    with tempfile.TemporaryDirectory(prefix="lakeray-bench-") as folder:
        bench = _Bench(Path(folder))
        for number in range(options.get("rounds", 10) + 1):
            bench.make_batch(number, rows=rows, batch=batch)
            ours, theirs = _cpu_s(bench.merge), _cpu_s(bench.delete_and_insert)
            print(f"round {number}: a merge of our own {ours:.2f} s, DELETE and INSERT {theirs:.2f} s", flush=True)
        print("the same rows" if bench.answer(_OURS) == bench.answer(_THEIRS) else "DIFFERENT ROWS")
        bench.lake.close()


@dataclass
class _Bench:
    """A lake with both tables, and the batch of the round as a file."""

    root: Path

    def __post_init__(self) -> None:
        place = LakePlace(
            data_path=f"{self.root}/lake/",
            extension_directory=self.root / "extensions",
            temp_directory=self.root / "tmp",
            memory_bytes=2 * 2**30,
            threads=2,
        )
        extensions.install(place.extension_directory)
        own_lease = partial(FileLease, self.root / "lease")
        self.backend = SqliteBackend(f"{self.root}/catalog.sqlite", place=place, lease=own_lease)
        self.lake = connect(self.backend, read_only=False)
        if ensure_bookkeeping(self.lake):
            self.lake.close()
            self.lake = connect(self.backend, read_only=False)
        self.lake.execute("DELETE FROM lakehouse.meta.committer")
        self.lake.execute("INSERT INTO lakehouse.meta.committer (token, holder) VALUES (?, 'benchmark')", [_TOKEN])
        for table in (_OURS, _THEIRS):
            self.lake.execute(f"CREATE TABLE {table} ({_COLUMNS})")

    def make_batch(self, number: int, *, rows: int, batch: int) -> None:
        """Round 0 has every key, the others some at random, each once."""
        key, many = ("n", rows) if number == 0 else (f"(hash(n * 7919 + {number}) % {rows})::BIGINT", batch)
        self.lake.execute(
            f"COPY (SELECT {key} AS id, TIMESTAMP '2026-01-01' + to_days({number}) AS updated_at, "
            "TIMESTAMPTZ '2026-01-01' AS _airbyte_extracted_at, uuid()::VARCHAR AS _airbyte_raw_id, "
            "'note ' || hash(n) % 1000 || ' some words that are repeated' AS note, "
            "{'amount': n * 1.5, 'currency': 'EUR'} AS price_set FROM range(" + str(many) + ") AS numbers(n) "
            f"QUALIFY row_number() OVER (PARTITION BY id) = 1) TO '{self.root}/batch.parquet' (FORMAT parquet)"
        )

    def merge(self) -> None:
        """A merge of our own."""
        numbered = f"read_parquet('{self.root}/batch.parquet', file_row_number = true)"
        rows = (
            f"(SELECT * RENAME (file_row_number AS _lakeray_number), file_row_number AS _lakeray_row FROM {numbered})"
        )
        writer = MergeWriter(self.backend.session(self.lake), token=_TOKEN, connection=self.lake, fault=no_fault)
        merge = PreparedMerge(self.lake, writer, new_name=lambda: f"bench-{next(_numbers)}", discard=_discard)
        batch = NewRows(
            commit_id=f"bench-{next(_numbers)}",
            stream=_STREAM,
            rows=rows,
            key=("id",),
            order=RecordOrder(newest_first=("updated_at",), origin=False),
        )
        merge.merge(batch, at=datetime.now(UTC))
        writer.close()

    def delete_and_insert(self) -> None:
        """The same by DuckLake: the rows that it met are deleted by their numbers."""
        came = f"read_parquet('{self.root}/batch.parquet')"
        self.lake.execute("BEGIN TRANSACTION")
        self.lake.execute(
            f"CREATE OR REPLACE TEMP TABLE met AS SELECT there.rowid AS number FROM {_THEIRS} AS there "
            f"JOIN {came} AS came USING (id) WHERE there.updated_at < came.updated_at"
        )
        self.lake.execute(f"DELETE FROM {_THEIRS} WHERE rowid IN (SELECT number FROM met)")
        self.lake.execute(f"INSERT INTO {_THEIRS} BY NAME SELECT * FROM {came}")
        self.lake.execute("COMMIT")

    def answer(self, table: str) -> object:
        """What both must say."""
        return self.lake.execute(f"SELECT count(*), sum(hash(id, updated_at, note)) FROM {table}").fetchall()


def _cpu_s(work: Callable[[], None]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def _discard(paths: Sequence[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    main(sys.argv[1:])
