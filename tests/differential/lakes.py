"""Two lakes on the same raw files: one registers through DuckLake's own call, the other through the catalog writer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import duckdb

from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader
from lakeray.adapters.ducklake.writing.committer import DuckLakeCommitter
from lakeray.adapters.parquet.validation import BatchValidator
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.steps import commit, validate
from lakeray.steps.plan import batch_id
from lakeray.streams.generated import landing_ddl
from lakeray.values.faults import Fault, no_fault
from lakeray.values.model import Accepted, Batch, CommitOutcome, CommitRequest, Contract, Landed, SourceFile, StreamName
from tests.contract.lakes import SqlTransformer
from tests.support.fakes.world import FakeClock
from tests.support.real import catalogs

CATALOG = "__ducklake_metadata_lakehouse"
WRITERS = ("extension", "catalog")
Row = tuple[Any, ...]


@dataclass(kw_only=True)
class WrittenLake:
    """A lake and its one writer."""

    writer: str
    backend: Backend
    raw: ObstoreStore
    folder: Path
    extension_directory: Path
    clock: FakeClock = field(default_factory=FakeClock)
    fault: Fault = no_fault
    _ids: Iterator[int] = field(default_factory=count)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Open it."""
        self.transformer = SqlTransformer(self.backend)
        self.committer = self.reopen()
        self.reader = self.reread()
        self.connection = connect(self.backend, read_only=False)
        for item in (self.transformer, self.connection):
            self._stack.callback(item.close)
        facts = StatisticsReader(extension_directory=self.extension_directory, temp=self.folder / "tmp")
        self.validator = BatchValidator(
            raw=self.raw,
            lake=open_store((self.folder / "lake").as_uri()),
            temp=self.folder / "tmp",
            concurrency=2,
            judge=validate.verdict,
            facts=facts if self.writer == "catalog" else None,
        )

    def reopen(self) -> DuckLakeCommitter:
        """The next process' committer, with the next token."""
        committer = DuckLakeCommitter(
            self.backend,
            holder="a test",
            clock=self.clock,
            store=self.raw,
            transformer=self.transformer,
            landing_ddl=landing_ddl,
            rereads=catalogs.rereading(self.backend, self.raw),
            fault=lambda point: self.fault(point),
            writer=self.writer,
        )
        self._stack.callback(committer.close)
        return committer

    def reread(self) -> DuckLakeReader:
        """The next process' reader."""
        reader = DuckLakeReader(self.backend)
        self._stack.callback(reader.close)
        return reader

    def close(self) -> None:
        """Let everything go."""
        self._stack.close()

    def request(self, stream: StreamName, contract: Contract, files: Sequence[SourceFile]) -> CommitRequest:
        """What a feed would state for these files."""
        batch = Batch(id=batch_id(files), stream=stream, files=tuple(files), size_bytes=0, projected_bytes=0)
        verdicts = self.validator.validate(batch, contract)
        cursor = self.reader.cursor(stream)
        taken = [item.file.key for item in verdicts if isinstance(item, Accepted)]
        landing = self.reader.landing_columns(stream) or {}
        verdicts = commit.agree(verdicts, landing).verdicts
        return commit.prepare(
            batch,
            verdicts,
            id=f"commit-{next(self._ids)}",
            cursor=cursor,
            cursor_path=max(taken, default=None),
            landing=landing,
            token=self.committer.token,
        )

    def commit(self, request: CommitRequest) -> CommitOutcome:
        """Commit it; ``lake.writer=catalog`` never leaves it to DuckLake's call."""
        return self.committer.commit(request)

    def take_in(self, stream: StreamName, contract: Contract, files: Sequence[SourceFile]) -> Landed:
        """Validate and commit."""
        outcome = self.commit(self.request(stream, contract, files))
        assert isinstance(outcome, Landed), outcome
        return outcome

    def rows(self, statement: str, values: Any = None) -> list[Row]:
        """The rows of a statement, by a connection that is not the committer's."""
        return self.connection.execute(statement, values).fetchall()

    def stored(self, table: str, where: str = "true", columns: str = "*") -> list[Row]:
        """Rows of the catalog itself."""
        return self.rows(f"SELECT {columns} FROM {CATALOG}.{table} WHERE {where} ORDER BY ALL")


@dataclass(kw_only=True)
class Twins:
    """Both lakes, and the raw files that they share."""

    root: Path
    lakes: dict[str, WrittenLake]
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def extension(self) -> WrittenLake:
        """The one that DuckLake's call writes."""
        return self.lakes["extension"]

    @property
    def catalog(self) -> WrittenLake:
        """The one that the catalog writer writes."""
        return self.lakes["catalog"]

    def new_stream(self, contract: Contract) -> StreamName:
        """A stream of its own, with its landing table in both lakes."""
        stream = StreamName("shop", f"s{next(self._numbers)}")
        for lake in self.lakes.values():
            lake.committer.ensure_landing(stream, contract)
        return stream

    def key(self, stream: StreamName, name: str) -> str:
        """A key in the stream's prefix."""
        return f"{stream}/year=2026/month=03/day=01/{name}.parquet"

    def put(self, key: str, data: bytes) -> SourceFile:
        """A raw file."""
        path = self.root / "raw.new"
        path.write_bytes(data)
        raw = self.extension.raw
        raw.put_file(key, path)
        found = raw.head(key)
        assert found is not None
        return found

    def take_in(self, stream: StreamName, contract: Contract, files: Sequence[SourceFile]) -> dict[str, Landed]:
        """Commit the same batch to both."""
        return {name: lake.take_in(stream, contract, files) for name, lake in self.lakes.items()}


@contextmanager
def twins(root: Path, *, extension_directory: Path, postgres: str | None, password: str | None) -> Iterator[Twins]:
    """Two fresh lakes, on SQLite or in two schemas of a Postgres."""
    raw = open_store((root / "raw").as_uri())
    lakes: dict[str, WrittenLake] = {}
    try:
        for writer in WRITERS:
            folder = root / writer
            (folder / "tmp").mkdir(parents=True)
            backend: Backend
            if postgres is None:
                backend = catalogs.sqlite(folder, extension_directory=extension_directory, threads=1)
            else:
                backend = catalogs.postgres(
                    postgres,
                    folder,
                    schema=f"{root.name}_{writer}".lower().replace("-", "_"),
                    password=password,
                    extension_directory=extension_directory,
                    threads=1,
                )
            lakes[writer] = WrittenLake(
                writer=writer, backend=backend, raw=raw, folder=folder, extension_directory=extension_directory
            )
        yield Twins(root=root, lakes=lakes)
    finally:
        for lake in lakes.values():
            lake.close()


def truth(lake: WrittenLake, stream: StreamName, paths: Sequence[str]) -> None:
    """Make the temporary table ``truth``: the raw files' rows, read by DuckDB past the lake."""
    types = dict(lake.rows(f"SELECT column_name, column_type FROM (DESCRIBE lakehouse.staging.{stream.landing_table})"))
    fields = ", ".join(f'"{quoted(name)}" {kind}' for name, kind in types.items())
    lake.rows(f"CREATE OR REPLACE TEMP TABLE truth ({fields})")
    own = {name.lower(): name for name in types}
    for path in paths:
        escaped = path.replace("'", "''")
        source = f"read_parquet('{escaped}', hive_partitioning => false)"
        names = [name for (name,) in lake.rows(f"SELECT column_name FROM (DESCRIBE FROM {source})")]
        shared = [name for name in names if name.lower() in own]
        wanted = ", ".join(f'CAST("{quoted(n)}" AS {types[own[n.lower()]]})' for n in shared)
        into = ", ".join(f'"{quoted(own[n.lower()])}"' for n in shared)
        lake.rows(f"INSERT INTO truth ({into}) SELECT {wanted} FROM {source}")


def quoted(name: str) -> str:
    """The inside of an SQL identifier."""
    return name.replace('"', '""')


__all__ = ["CATALOG", "Twins", "WrittenLake", "duckdb", "truth", "twins"]
