"""One lake to test through its ports, in memory or on disk: the same words for both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from lakeray import feed
from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader
from lakeray.adapters.ducklake.writing.committer import DuckLakeCommitter
from lakeray.adapters.parquet.arrow_types import arrow_type
from lakeray.adapters.parquet.validation import BatchValidator
from lakeray.adapters.storage.object_store import open_store
from lakeray.adapters.threads.executor import InlineExecutor
from lakeray.ports.catalog import CatalogReader
from lakeray.ports.committer import Committer
from lakeray.ports.execution import Executor
from lakeray.ports.storage import ObjectStore
from lakeray.ports.time import Clock
from lakeray.steps import commit, validate
from lakeray.steps.advance import next_path
from lakeray.steps.plan import batch_id
from lakeray.streams.generated import landing_ddl
from lakeray.values.column_types import parse_type
from lakeray.values.enriched import EVERYTHING, EnrichOrder
from lakeray.values.errors import LakerayError, LeaseLostError, TransformError
from lakeray.values.faults import Fault, no_fault
from lakeray.values.keys import is_claim
from lakeray.values.model import (
    Accepted,
    Batch,
    BuildResult,
    CommitRequest,
    Landed,
    PendingTransform,
    SourceFile,
    StreamName,
    StreamReport,
    StreamStatus,
    Verdict,
)
from tests.support.fakes.feeds import RULES
from tests.support.fakes.lake import MemoryCatalog, MemoryLake
from tests.support.fakes.records import COLUMNS, CONTRACT, STREAM, Row, content
from tests.support.fakes.store import MemoryStore
from tests.support.fakes.world import FakeClock, PlainExecutor, RecordingSink
from tests.support.real import catalogs

EVER = datetime(2100, 1, 1, tzinfo=UTC)
"""Later than every snapshot of a test."""
_MIDNIGHT = datetime(2026, 1, 1, tzinfo=UTC)


class Writable(ObjectStore, Protocol):
    """A store that a test may write and delete in."""

    def delete(self, key: str) -> None:
        """Delete one object."""


class Lake:
    """What both lakes have in common: batches made, verdicts asked for, requests stated."""

    store: Writable
    reader: CatalogReader
    committer: Committer
    executor: Executor

    def __init__(self) -> None:
        self.clock: FakeClock = FakeClock()
        self.sink = RecordingSink()
        self.rules = RULES
        self._ids = count(1)

    # What each lake does its own way.

    def put_bytes(self, key: str, data: bytes) -> SourceFile:
        """Any bytes as an object."""
        raise NotImplementedError

    def put(self, key: str, *rows: Row, columns: Mapping[str, str] = COLUMNS) -> SourceFile:
        """A good file."""
        raise NotImplementedError

    def put_damaged(self, key: str, *rows: Row) -> SourceFile:
        """A file with a good footer and a page that cannot be read."""
        raise NotImplementedError

    def reopen(self) -> Committer:
        """The next process' committer, with the next token; the older one stays as it is."""
        raise NotImplementedError

    def etag(self, key: str) -> str:
        """The ETag of an object that is there."""
        found = self.store.head(key)
        assert found is not None
        return found.etag

    def keys(self) -> set[str]:
        """Every object of the raw prefix but lakes' claims."""
        return {file.key for file in self.store.list_files("") if not is_claim(file.key)}

    def landing(self) -> list[tuple[Any, ...]]:
        """(pk, value) of every landing row, scanned."""
        raise NotImplementedError

    def processed(self) -> dict[int, tuple[Any, ...]]:
        """pk to (cursor, value), scanned."""
        raise NotImplementedError

    def head(self) -> int:
        """The newest snapshot."""
        raise NotImplementedError

    # What they share.

    def verdicts(self, *keys: str) -> tuple[Verdict, ...]:
        """The executor's verdicts on objects that exist."""
        ((_, verdicts),) = self.executor.validate(
            [self.batch(*keys)], contract=feed.StreamFeed(self.rules, self.ports())._effective_contract(), ahead=1
        )
        return verdicts

    def batch(self, *keys: str) -> Batch:
        """The objects of these keys as a batch."""
        found = [self.store.head(key) for key in keys]
        files = tuple(file for file in found if file is not None)
        assert len(files) == len(keys)
        return Batch(id=batch_id(files), stream=STREAM, files=files, size_bytes=0, projected_bytes=0)

    def request(self, *keys: str, verdicts: Sequence[Verdict] | None = None) -> CommitRequest:
        """What a feed would state for these files."""
        given = self.verdicts(*keys) if verdicts is None else verdicts
        cursor = self.reader.cursor(STREAM)
        landing = self.reader.landing_columns(STREAM) or {}
        given = commit.agree(given, landing).verdicts
        return commit.prepare(
            self.batch(*keys),
            given,
            id=f"commit-{next(self._ids)}",
            cursor=cursor,
            cursor_path=next_path(cursor, [item.file.key for item in given if isinstance(item, Accepted)]),
            landing=landing,
            token=self.committer.token,
        )

    def take_in(self, *keys: str) -> Landed:
        """Commit these files."""
        outcome = self.committer.commit(self.request(*keys))
        assert isinstance(outcome, Landed), outcome
        return outcome

    def merge(self) -> None:
        """Transform what is pending."""
        pending = self.reader.pending_transform(STREAM)
        assert pending is not None
        self.committer.transform(pending)
        self.committer.advance(pending)

    def ports(self) -> feed.Ports:
        """The ports of a feed."""
        return feed.Ports(
            store=self.store,
            reader=self.reader,
            clock=self.clock,
            events=self.sink,
            committer=self.committer,
            executor=self.executor,
            new_id=lambda: f"{next(self._ids):04d}",
            stop=lambda: False,
            generation_of=lambda file: None,
        )

    def feed(self, *, snapshot_days: float = 1.0, **changes: Any) -> StreamReport:
        """Feed the stream once, and let old snapshots go, as the command does at its end."""
        report = feed.StreamFeed(replace(self.rules, **changes), self.ports()).report()
        if report.status is StreamStatus.OK:
            self.committer.expire(older_than=self.ports().clock.now() - timedelta(days=snapshot_days))
        return report

    def state(self) -> tuple[Any, ...]:
        """All that a reader can see."""
        return (
            self.head(),
            self.landing(),
            self.reader.cursor(STREAM),
            dict(self.reader.known(STREAM, since=None)),
            list(self.reader.quarantined(STREAM)),
            self.reader.landing_columns(STREAM),
        )


class InMemory(Lake):
    """The fake."""

    def __init__(self) -> None:
        super().__init__()
        self.store: MemoryStore = MemoryStore()
        self.catalog = MemoryCatalog(at=self.clock.now())
        self.reader = self.committer = MemoryLake(self.catalog, store=self.store, clock=self.clock)
        self.executor = PlainExecutor(self.store)

    def put_bytes(self, key: str, data: bytes) -> SourceFile:
        """See ``Lake``."""
        return self.store.put(key, data)

    def put(self, key: str, *rows: Row, columns: Mapping[str, str] = COLUMNS) -> SourceFile:
        """See ``Lake``."""
        return self.store.put(key, content(rows, columns=columns))

    def put_damaged(self, key: str, *rows: Row) -> SourceFile:
        """See ``Lake``."""
        return self.store.put(key, content(rows, damaged=True))

    def reopen(self) -> MemoryLake:
        """See ``Lake``."""
        return MemoryLake(self.catalog, store=self.store, clock=self.clock)

    def landing(self) -> list[tuple[Any, ...]]:
        """See ``Lake``."""
        return sorted((row["pk"], row["value"]) for row in self.reader.landing_rows(STREAM))

    def processed(self) -> dict[int, tuple[Any, ...]]:
        """See ``Lake``."""
        return {pk: (row["cursor"], row["value"]) for pk, row in self.reader.processed_rows(STREAM).items()}

    def head(self) -> int:
        """See ``Lake``."""
        return self.catalog.head.snapshot


class OnDisk(Lake):
    """DuckLake on an SQLite catalog, and a folder as the raw prefix."""

    def __init__(self, root: Path, extension_directory: Path, *, writer: str = "catalog") -> None:
        super().__init__()
        self.writer = writer
        self.fault: Fault = no_fault
        self._stack = ExitStack()
        self._root = root
        (root / "tmp").mkdir(parents=True)
        self.backend = catalogs.sqlite(root, extension_directory=extension_directory)
        (root / "raw").mkdir()
        self.store = open_store((root / "raw").as_uri())
        self.transformer = SqlTransformer(self.backend)
        self._stack.callback(self.transformer.close)
        self.validator = BatchValidator(
            raw=self.store,
            lake=open_store((root / "lake").as_uri()),
            temp=root / "tmp",
            concurrency=4,
            judge=validate.verdict,
            facts=StatisticsReader(extension_directory=extension_directory, temp=root / "tmp")
            if writer == "catalog"
            else None,
        )
        self.executor = InlineExecutor(self.validator)
        self.committer = self.reopen()
        self.reader: DuckLakeReader = DuckLakeReader(self.backend)
        self._stack.callback(self.reader.close)

    def close(self) -> None:
        """Let everything go."""
        self._stack.close()

    def put_bytes(self, key: str, data: bytes) -> SourceFile:
        """See ``Lake``."""
        path = self._root / "tmp" / "object"
        path.write_bytes(data)
        self.store.put_file(key, path)
        found = self.store.head(key)
        assert found is not None
        return found

    def put(self, key: str, *rows: Row, columns: Mapping[str, str] = COLUMNS) -> SourceFile:
        """See ``Lake``."""
        sink = pa.BufferOutputStream()
        pq.write_table(_table(rows, columns), sink)
        return self.put_bytes(key, sink.getvalue().to_pybytes())

    def put_damaged(self, key: str, *rows: Row) -> SourceFile:
        """See ``Lake``."""
        sink = pa.BufferOutputStream()
        pq.write_table(_table(rows, COLUMNS), sink, compression="none", use_dictionary=False)
        data = bytearray(sink.getvalue().to_pybytes())
        group = pq.read_metadata(pa.BufferReader(bytes(data))).row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
        at = next(column.data_page_offset for column in columns if column.path_in_schema == "value")
        data[at : at + 6] = b"\xff" * 6
        return self.put_bytes(key, bytes(data))

    def reopen(self) -> DuckLakeCommitter:
        """See ``Lake``."""
        committer = DuckLakeCommitter(
            self.backend,
            holder="a test",
            clock=self.clock,
            store=self.store,
            transformer=self.transformer,
            landing_ddl=landing_ddl,
            rereads=catalogs.rereading(self.backend, self.store),
            fault=lambda point: self.fault(point),
            writer=self.writer,
        )
        self._stack.callback(committer.close)
        return committer

    def landing(self) -> list[tuple[Any, ...]]:
        """See ``Lake``."""
        return self.query(f"SELECT pk, value FROM lakehouse.staging.{STREAM.landing_table} ORDER BY ALL")

    def processed(self) -> dict[int, tuple[Any, ...]]:
        """See ``Lake``."""
        rows = self.query(f'SELECT pk, "cursor", value FROM lakehouse.main.{STREAM.processed_table}')
        assert len({row[0] for row in rows}) == len(rows)
        return {pk: (cursor, value) for pk, cursor, value in rows}

    def head(self) -> int:
        """See ``Lake``."""
        return int(self.query("SELECT max(snapshot_id) FROM lakehouse.snapshots()")[0][0])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; an absent table has none."""
        return self.transformer.query(statement)


class SqlTransformer:
    """Merges by SQL on a connection of its own, as dbt does; dbt itself is tested elsewhere."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._connection: duckdb.DuckDBPyConnection | None = None
        self.fails = False
        self.by_rowscan: list[bool] = []

    def close(self) -> None:
        """Let the catalog go."""
        if self._connection is not None:
            self._connection.close()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement; an absent table has none."""
        if self._connection is None:
            self._connection = connect(self._backend, read_only=False)
        try:
            return self._connection.execute(statement).fetchall()
        except duckdb.CatalogException:
            return []

    def run_group(
        self, pending: Sequence[PendingTransform], *, by_rowscan: Collection[StreamName], token: int
    ) -> list[BuildResult | LakerayError]:
        """See ``committer.Transformer``."""
        outcomes: list[BuildResult | LakerayError] = []
        for asked in pending:
            try:
                outcomes.append(self._run_processed(asked, by_rowscan=asked.stream in by_rowscan, token=token))
            except LakerayError as error:
                outcomes.append(error)
        return outcomes

    def _run_processed(self, pending: PendingTransform, *, by_rowscan: bool, token: int) -> BuildResult:
        if self.fails:
            raise TransformError(f"{pending.stream}: dbt failed", found="a model that does not compile")
        self.by_rowscan.append(by_rowscan)
        landing, table = f"lakehouse.staging.{STREAM.landing_table}", f"lakehouse.main.{STREAM.processed_table}"
        ends = f"{pending.from_snapshot}, {pending.to_snapshot}"
        rows = (
            f"{landing} AS n WHERE snapshot_id BETWEEN {pending.from_snapshot} AND {pending.to_snapshot}"
            if by_rowscan
            else f"ducklake_table_insertions('lakehouse', 'staging', '{STREAM.landing_table}', {ends}) AS n"
        )
        columns = '_airbyte_raw_id, _airbyte_extracted_at, pk, "cursor", value, origin'
        came = (
            "(SELECT n.*, n.file_row_number AS number, (SELECT arg_max(o.origin, o.snapshot_id) FROM "
            f"lakehouse.meta.origins AS o WHERE o.registered_path = n.filename) AS origin FROM {rows})"
        )
        age = f'coalesce({{0}}."cursor", -1), {{0}}._airbyte_extracted_at, {_NATURAL}, {{0}}.origin'
        rank = f"{age}, {{0}}._airbyte_raw_id"
        new = f"{age.format('n')}, n.number, n._airbyte_raw_id"
        self.query("BEGIN")
        try:
            fence = self.query(f"UPDATE lakehouse.meta.committer SET commits = commits + 1 WHERE token = {token}")
            _require_one(fence)
            self.query(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT *, '' AS origin FROM {landing} LIMIT 0")
            self.query(
                f"MERGE INTO {table} AS t USING (SELECT {columns} FROM {came} AS n QUALIFY row_number() OVER "
                f"(PARTITION BY pk ORDER BY ({new}) DESC) = 1) AS n ON t.pk = n.pk "
                f"WHEN MATCHED AND ({rank.format('n')}) > ({rank.format('t')}) THEN UPDATE SET "
                "_airbyte_raw_id = n._airbyte_raw_id, _airbyte_extracted_at = n._airbyte_extracted_at, "
                '"cursor" = n."cursor", value = n.value, origin = n.origin WHEN NOT MATCHED THEN INSERT '
                f'({columns}) VALUES (n._airbyte_raw_id, n._airbyte_extracted_at, n.pk, n."cursor", n.value, n.origin)'
            )
            self.query("COMMIT")
        except duckdb.Error as error:
            self.query("ROLLBACK")
            raise TransformError(f"{pending.stream}: dbt failed", found=str(error)) from error
        except BaseException:
            self.query("ROLLBACK")
            raise
        return BuildResult(models=(STREAM.processed_table,), rows_affected=0, seconds=0.0)

    def run_rebuild(
        self, stream: StreamName, *, key: Sequence[str], plan: Mapping[str, Any], token: int
    ) -> BuildResult:
        """See ``committer.Transformer``."""
        landing, table = f"lakehouse.staging.{stream.landing_table}", f"lakehouse.main.{stream.processed_table}"
        source, name, noted, newest_first = plan["note"]
        until = "false" if plan["to"] is None else f"snapshot_id <= {plan['to']}"
        columns = '_airbyte_raw_id, _airbyte_extracted_at, pk, "cursor", value'
        own = ", ".join(plan["there"].get(each.strip('"'), each) + f" AS {each}" for each in columns.split(", "))
        theirs = ", ".join(plan["landing"].get(each.strip('"'), each) + f" AS {each}" for each in columns.split(", "))
        keys = ", ".join(f'"{each}"' for each in key)
        rank = '"cursor" DESC NULLS LAST, _airbyte_extracted_at DESC, _airbyte_raw_id DESC, own DESC'
        self.query("BEGIN")
        try:
            _require_one(self.query(f"UPDATE lakehouse.meta.committer SET commits = commits + 1 WHERE token = {token}"))
            self.query(
                f"CREATE OR REPLACE TABLE {table} AS SELECT {columns} FROM (SELECT {own}, true AS own FROM {table} "
                f"UNION ALL SELECT {theirs}, false FROM {landing} WHERE {until}) "
                f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {rank}) = 1"
            )
            self.query(f"DELETE FROM lakehouse.meta.merged_by WHERE source = '{source}' AND stream = '{name}'")
            self.query(
                "INSERT INTO lakehouse.meta.merged_by "
                f"VALUES ('{source}', '{name}', '{noted}', '{newest_first}', now())"
            )
            if plan["cursor_type"] is not None:
                column, kind = plan["cursor_type"]
                model = stream.processed_table
                self.query(f"DELETE FROM lakehouse.meta.cursor_types WHERE model = '{model}'")
                if kind is not None:
                    self.query(
                        f"INSERT INTO lakehouse.meta.cursor_types VALUES ('{model}', '{column}', '{kind}', now())"
                    )
            self.query("DELETE FROM lakehouse.meta.enriched_marks WHERE model = '*'")
            self.query("COMMIT")
        except BaseException:
            self.query("ROLLBACK")
            raise
        return BuildResult(models=(stream.processed_table,), rows_affected=0, seconds=0.0)

    def run_enriched(
        self,
        *,
        moved: Sequence[str],
        processed: Sequence[str],
        token: int,
        order: EnrichOrder = EVERYTHING,
        noted: Mapping[str, str] | None = None,
    ) -> BuildResult:
        """See ``committer.Transformer``."""
        return BuildResult(models=("fct_sales",), rows_affected=0, seconds=0.0, codes={"fct_sales": "as it is"})


_NATURAL = (
    "regexp_replace(regexp_replace({0}.origin, '([0-9]+)', repeat('0', 64) || '\\1', 'g'), "
    "'0*([0-9]{{64}})', '\\1', 'g')"
)
"""An origin as it sorts when runs of digits compare as numbers (P12)."""


def _require_one(updated: list[tuple[Any, ...]]) -> None:
    if updated[0][0] != 1:
        raise LeaseLostError("the lease is lost")


def _table(rows: Sequence[Row], columns: Mapping[str, str]) -> pa.Table:
    def values(name: str) -> list[Any]:
        match name:
            case "_airbyte_raw_id":
                return [row["raw_id"] for row in rows]
            case "_airbyte_extracted_at":
                return [_MIDNIGHT + timedelta(seconds=row["extracted_at"]) for row in rows]
            case _:
                return [row.get(name) for row in rows]

    return pa.table({name: pa.array(values(name), type=arrow_type(parse_type(kind))) for name, kind in columns.items()})


__all__ = ["CONTRACT", "EVER", "Clock", "InMemory", "Lake", "OnDisk"]
