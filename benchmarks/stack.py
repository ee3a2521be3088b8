"""A real SeaweedFS and a real Postgres for a benchmark, lakes on them, and files for those lakes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import duckdb
import obstore
import psycopg
from obstore.store import S3Store

from benchmarks.report import lakeray
from lakeray.adapters.ducklake import extensions
from lakeray.adapters.services import postgres, seaweedfs, state
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.settings.values import Settings, StreamSettings
from lakeray.values.events import Event
from lakeray.values.keys import CLAIM

FIRST_DAY = date(2026, 1, 1)
_DISTINCT = 50
"""Files of different content; more are copies under other names."""
_UPLOADS = 32


class Silent:
    """An event sink that tells nobody."""

    def emit(self, event: Event) -> None:
        """Drop it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A lake of its own on the servers, and how it is reached."""

    stack: Stack
    schema: str
    """The catalog's schema in Postgres; also names the DATA_PATH."""
    prefix: str
    """The raw prefix inside the bucket, without slashes at its ends."""
    stream: str
    s3_port: int
    postgres_port: int

    def settings(self, *words: str) -> Settings:
        """The settings of a command on this lake."""
        found = self.words() + list(words)
        return settings_of(parse(["feed", *found]))

    def words(self) -> list[str]:
        """The overrides that make a command work on this lake."""
        return [
            "env=dev",
            f"paths.root={self.stack.root}",
            f"lake.schema={self.schema}",
            f"lake.data_path={self.data_path}",
            f"storage.url=s3://{seaweedfs.BUCKET}/{self.prefix}",
            f"storage.endpoint_url=http://127.0.0.1:{self.s3_port}",
            f"lake.catalog='postgres:{self.conninfo}'",
            f"+stream={self.stream}",
        ]

    @property
    def data_path(self) -> str:
        """DuckLake's DATA_PATH."""
        return f"s3://{seaweedfs.BUCKET}/lake-{self.schema}/"

    @property
    def conninfo(self) -> str:
        """The libpq string, without the password."""
        return f"host=127.0.0.1 port={self.postgres_port} dbname={postgres.DATABASE} user={postgres.USER}"

    def url(self, key: str) -> str:
        """The address of a raw object."""
        return f"s3://{seaweedfs.BUCKET}/{self.prefix}/{key}"

    def secret(self) -> str:
        """What DuckDB's CREATE SECRET takes to reach the storage."""
        services = self.stack.state
        return (
            f"TYPE s3, REGION 'us-east-1', URL_STYLE 'path', USE_SSL false, ENDPOINT '127.0.0.1:{self.s3_port}', "
            f"KEY_ID '{services.s3_access_key_id}', SECRET '{services.s3_secret_access_key}'"
        )

    def attach_options(self) -> str:
        """The options of DuckDB's ATTACH."""
        return f"DATA_PATH '{self.data_path}', METADATA_SCHEMA '{self.schema}', META_SCHEMA '{self.schema}'"

    @contextlib.contextmanager
    def duckdb(self, *, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
        """DuckDB as anybody would open the lake, with nothing of lakeray's: attached as ``lakehouse``."""
        config = {"extension_directory": str(self.stack.root / "extensions"), "threads": str(threads)}
        catalog = f"{self.conninfo} password={self.stack.state.postgres_password}"
        with duckdb.connect(config=config) as connection:
            connection.execute("LOAD ducklake; LOAD postgres_scanner; LOAD httpfs")
            connection.execute(f"CREATE SECRET ({self.secret()})")
            connection.execute(f"ATTACH 'ducklake:postgres:{catalog}' AS lakehouse ({self.attach_options()})")
            yield connection


@dataclass(kw_only=True)
class Stack:
    """The two servers, their data below ``root``."""

    root: Path
    state: state.ServicesState
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def place(self, *, prefix: str, stream: str, s3_port: int | None = None, postgres_port: int | None = None) -> Place:
        """A new, empty lake over the raw files below ``prefix``; ports are the servers' own unless a proxy's."""
        place = Place(
            stack=self,
            schema=f"lake_{next(self._numbers)}",
            prefix=prefix,
            stream=stream,
            s3_port=s3_port or self.state.s3_port,
            postgres_port=postgres_port or self.state.postgres_port,
        )
        with self.sql() as connection:
            connection.execute(f'CREATE SCHEMA "{place.schema}"')
        return place

    def drop(self, place: Place) -> None:
        """Let a lake's catalog and its claim go, so that the next one finds the servers as this one did."""
        with contextlib.suppress(FileNotFoundError):
            obstore.delete(self.store(), f"{place.prefix}/{place.stream}/{CLAIM}")
        with self.sql() as connection:
            connection.execute(f'DROP SCHEMA "{place.schema}" CASCADE')

    @contextlib.contextmanager
    def sql(self) -> Iterator[psycopg.Connection]:
        """Postgres itself, past any proxy, each statement committed by itself."""
        with psycopg.connect(
            host="127.0.0.1",
            port=self.state.postgres_port,
            dbname=postgres.DATABASE,
            user=postgres.USER,
            password=self.state.postgres_password,
            autocommit=True,
        ) as connection:
            yield connection

    def upload(self, prefix: str, bodies: Sequence[bytes], keys: Sequence[str]) -> None:
        """Write an object per key below the raw prefix, past any proxy; the bodies take turns."""
        store = self.store()

        async def put_all() -> None:
            limit = asyncio.Semaphore(_UPLOADS)

            async def put(number: int, key: str) -> None:
                async with limit:
                    await obstore.put_async(store, f"{prefix}/{key}", bodies[number % len(bodies)])

            await asyncio.gather(*(put(number, key) for number, key in enumerate(keys)))

        asyncio.run(put_all())

    def store(self) -> S3Store:
        """The bucket, past any proxy."""
        return S3Store(
            seaweedfs.BUCKET,
            endpoint=self.state.s3_endpoint,
            access_key_id=self.state.s3_access_key_id,
            secret_access_key=self.state.s3_secret_access_key,
            region="us-east-1",
            client_options={"allow_http": True},
        )


@contextlib.contextmanager
def servers() -> Iterator[Stack]:
    """SeaweedFS and Postgres on free ports in a folder of their own, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="lrb-"))
    fresh = state.fresh_state(s3_port=0, postgres_port=0)
    try:
        state.write(root, fresh)
        extensions.install(root / "extensions")
        running = seaweedfs.start(root, fresh)
        state.write(root, running)
        try:
            postgres.start(root, running)
            yield Stack(root=root, state=running)
        finally:
            postgres.stop(root)
            process = running.seaweedfs()
            if process is not None:  # its own end takes 20 s, and nobody needs what it holds
                process.kill()
                process.wait(timeout=20)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def sample_bodies(stream: str, *, rows: int) -> list[bytes]:
    """The bytes of some files of a stream, with all of its columns, as ``lakeray sample`` writes them."""
    with tempfile.TemporaryDirectory(prefix="lrb-sample-") as folder:
        words = [f"sample.files_per_day={_DISTINCT}", "sample.days=1", f"sample.rows_per_file={rows}"]
        lakeray("sample", f"paths.root={folder}", f"+stream={stream}", *words)
        paths = sorted(Path(folder, "raw").rglob("*.parquet"))
        return [path.read_bytes() for path in paths]


def keys_of(stream: str, *, files: int, days: int, first: date = FIRST_DAY) -> list[str]:
    """Keys as Airbyte makes them, spread over the days in turn."""
    folders = [f"{stream}/{_folder(first + timedelta(days=number))}" for number in range(days)]
    return [f"{folders[number % days]}/part_{number // days}.parquet" for number in range(files)]


def stream_of(settings: Settings) -> StreamSettings:
    """The one stream of a lake's settings."""
    (found,) = settings.streams.values()
    return found


def _folder(day: date) -> str:
    return f"year={day.year}/month={day.month:02d}/day={day.day:02d}"
