"""The composition root: settings become adapters, adapters become ports. Nothing else knows which adapter is used."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lakeray import run
from lakeray.adapters.dbt.python import DbtProject, PythonDbt
from lakeray.adapters.dbt.transformer import DbtTransformer
from lakeray.adapters.ducklake.backends.connection import LakeAddress, S3Access
from lakeray.adapters.ducklake.backends.postgres import catalog as postgres_catalog
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.adapters.lease.file import FileLease, holder_of
from lakeray.adapters.lease.postgres import PostgresLease
from lakeray.adapters.machine import ThisMachine
from lakeray.adapters.storage.clock_skew import of_endpoint
from lakeray.adapters.storage.credentials import credentials
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.adapters.system import (
    SystemClock,
    fault_from_environment,
    give_memory_back,
    holder_name,
    leave_at_once,
    new_id,
)
from lakeray.adapters.telemetry import Sink, open_sink
from lakeray.adapters.threads.committer import shared
from lakeray.adapters.threads.executor import InlineExecutor
from lakeray.adapters.threads.feeders import ThreadFeeders
from lakeray.airbyte.columns import with_airbyte_columns
from lakeray.feed import Days
from lakeray.ports.committer import Committer, LeaseHolder, ServedCommitter
from lakeray.ports.events import EventSink
from lakeray.ports.execution import Executor, Feeders
from lakeray.ports.services import Services
from lakeray.ports.time import Clock
from lakeray.run import Lakeray
from lakeray.sample import SampleSettings, SampleStream, sample_files
from lakeray.settings import stream_budget
from lakeray.settings.values import ExecutorChoice, LakeWriter, Secret, Settings
from lakeray.steps import validate
from lakeray.streams.generated import landing_ddl
from lakeray.values import memory
from lakeray.values.errors import UsageError
from lakeray.values.model import SampleResult, StreamName, StreamReport

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader
    from lakeray.adapters.ducklake.writing.committer import DuckLakeCommitter
    from lakeray.adapters.parquet.validation import BatchValidator


@contextmanager
def opened(settings: Settings, *, events: EventSink | None = None) -> Iterator[Lakeray]:
    """Open what a command needs, and close it.

    Raises:
        UsageError: a setting contradicts another.
    """
    check_places(settings)
    own = (
        open_sink(settings.telemetry, output=settings.output, progress=progress(settings.output))
        if events is None
        else None
    )
    sink = own or events
    assert sink is not None
    reader = DuckLakeReader(lake_address(settings, memory_bytes=stream_budget.bookkeeping_bytes(settings.batch)))
    try:
        app = Lakeray(
            settings=settings,
            store=raw_store(settings),
            reader=reader,
            clock=SystemClock(),
            events=sink,
            machine=machine(settings),
            open_committer=functools.partial(open_committer, settings),
            open_executor=functools.partial(inline_executor, settings),
            open_feeders=lambda choice, replay: feeders(app, choice, replay),
            new_id=new_id,
            fault=fault_from_environment(),
        )
        yield app
    finally:
        reader.close()
        if own is not None:
            own.close()
        give_memory_back()


def progress(output: str) -> Sink | None:
    """What shows events to a person at a terminal; None where nobody looks."""
    if output != "text" or not sys.stderr.isatty():
        return None
    from lakeray.adapters.progress_bars import ProgressSink  # rich takes 0.1 s to import

    return ProgressSink()


@contextmanager
def open_committer(settings: Settings) -> Iterator[DuckLakeCommitter]:
    """The lease, and the committer that it entitles to."""
    from lakeray.adapters.ducklake.writing.committer import (
        DuckLakeCommitter,  # brings DuckDB: what only looks ends before
    )

    clock = SystemClock()
    with lease(settings, clock=clock).hold():
        address = lake_address(settings, memory_bytes=stream_budget.bookkeeping_bytes(settings.batch))
        if address.sqlite_path is None:
            postgres_catalog.make_schema(address)
        transformer = open_transformer(settings)
        committer = DuckLakeCommitter(
            address,
            holder=holder_name(),
            clock=clock,
            store=raw_store(settings),
            transformer=transformer,
            landing_ddl=landing_ddl,
            fault=fault_from_environment(),
            writer=settings.lake.writer,
            row_group_bytes=stream_budget.row_groups(settings.batch),
        )
        try:
            if address.sqlite_path is None:
                postgres_catalog.make_indexes(address)
            yield committer
        finally:
            transformer.close()
            committer.close()


@contextmanager
def open_shared_committer(settings: Settings) -> Iterator[ServedCommitter]:
    """The same, for several feeders at once: what Ray's committer actor opens."""
    with open_committer(settings) as committer, shared(committer) as served:
        yield served


def feeders(app: Lakeray, choice: ExecutorChoice, replay: Days | None) -> Feeders:
    """Feeders in this process, with the application's own ports, or on Ray."""
    settings = app.settings
    if choice is not ExecutorChoice.RAY:
        return ThreadFeeders(
            open_committer=app.open_committer,
            executor=app.open_executor(),
            feed_one=functools.partial(run.feed_one, app, replay),
            leave_at_once=leave_at_once,
        )
    from lakeray.adapters.ray.feeders import RayFeeders  # Ray takes 2 s to import: only plans that are worth it pay

    return RayFeeders(
        address=settings.ray.address,
        num_cpus=settings.ray.num_cpus,
        open_committer=functools.partial(open_shared_committer, settings),
        feed_one=functools.partial(feed_one, settings, replay),
        validator=batch_validator(settings),
        warm_up=import_validation,
    )


def import_validation() -> None:
    """Import what a validation needs: 1.5 s, which a worker can spend before there is work."""
    importlib.import_module("lakeray.adapters.ducklake.statistics.scratch_lake")


def lease(settings: Settings, *, clock: Clock) -> LeaseHolder:
    """The lease of the lake."""
    if settings.lake.catalog.reveal().startswith("postgres:"):
        return postgres_lease(settings)
    return FileLease(lease_path(settings), holder=holder_name(), since=clock.now(), wait_s=settings.lake.lease_wait_s)


def postgres_lease(settings: Settings) -> PostgresLease:
    """The lease of a lake whose catalog is in Postgres."""
    address = lake_address(settings, memory_bytes=stream_budget.bookkeeping_bytes(settings.batch))
    return PostgresLease(
        postgres_catalog.conninfo(address),
        password=address.password,
        name=f"{address.schema} {address.data_path}",
        holder=holder_name(),
        wait_s=settings.lake.lease_wait_s,
    )


def lease_holder(settings: Settings) -> str | None:
    """Who holds the lease; None when nobody does."""
    if settings.lake.catalog.reveal().startswith("postgres:"):
        return postgres_lease(settings).holder()
    return holder_of(lease_path(settings))


def lease_path(settings: Settings) -> Path:
    """The embedded lake's lease file."""
    return absolute(settings.paths.root) / "lease"


def feed_one(
    settings: Settings,
    replay: Days | None,
    stream: StreamName,
    committer: Committer,
    executor: Executor,
    stop: Callable[[], bool],
) -> StreamReport:
    """Feed one stream with ports of its own: what a Ray actor runs."""
    with opened(settings) as app:
        return run.feed_one(app, replay, stream, committer, executor, stop)


def inline_executor(settings: Settings) -> InlineExecutor:
    """Validation in this process."""
    return InlineExecutor(batch_validator(settings))


def batch_validator(settings: Settings) -> BatchValidator:
    """All that a validation task needs."""
    from lakeray.adapters.parquet.validation import (
        BatchValidator,  # brings pyarrow: a feed with nothing new ends before
    )

    return BatchValidator(
        raw=raw_store(settings),
        lake=lake_store(settings),
        temp=temp_directory(settings),
        concurrency=settings.storage.concurrency,
        judge=validate.verdict,
        facts=statistics_reader(settings),
    )


def statistics_reader(settings: Settings) -> StatisticsReader | None:
    """What works out the catalog's rows before the commit; None when DuckLake's own call registers."""
    if settings.lake.writer is LakeWriter.EXTENSION:
        return None
    from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader

    return StatisticsReader(
        extension_directory=absolute(settings.paths.root) / "extensions", temp=temp_directory(settings)
    )


def write_sample(
    app: Lakeray, *, stream: SampleStream, plan: SampleSettings, on_file: Callable[[str, int], None]
) -> SampleResult:
    """Write one stream's sample; a file that is there is kept.

    Raises:
        StorageError: the store, or this machine's disk, takes no file.
    """
    from lakeray.adapters.parquet import sample_writer  # brings pyarrow

    return sample_writer.write_sample(
        app.store,
        files=sample_files(stream, settings=plan),
        columns=with_airbyte_columns(stream.fields),
        rows_per_file=plan.rows_per_file,
        directory=temp_directory(app.settings),
        on_file=on_file,
    )


def services(settings: Settings) -> Services:
    """SeaweedFS and Postgres on this machine."""
    from lakeray.adapters.services.local import LocalServices  # brings wheels that only development installs

    wanted = settings.services
    return LocalServices(root=absolute(settings.paths.root), s3_port=wanted.s3_port, postgres_port=wanted.postgres_port)


def raw_store(settings: Settings) -> ObstoreStore:
    """The raw prefix."""
    return _store(settings, settings.storage.url, setting="storage.url")


def lake_store(settings: Settings) -> ObstoreStore:
    """DuckLake's DATA_PATH, for converted copies."""
    path = settings.lake.data_path.rstrip("/")
    url = path if "://" in path else Path(path).as_uri()
    return _store(settings, url, setting="lake.data_path", may_be_missing=True)


def lake_address(settings: Settings, *, memory_bytes: int) -> LakeAddress:
    """Where the lake is, and what DuckDB may use."""
    catalog, password = settings.lake.catalog.reveal(), None
    if catalog.startswith("postgres:"):
        catalog, password = postgres_catalog.without_password(catalog)
    return LakeAddress(
        catalog=catalog,
        data_path=settings.lake.data_path,
        extension_directory=absolute(settings.paths.root) / "extensions",
        temp_directory=temp_directory(settings),
        memory_bytes=memory_bytes,
        threads=2,
        schema=settings.lake.schema,
        password=_revealed(settings.lake.password) or password,
        s3=s3_access(settings),
    )


def s3_access(settings: Settings) -> S3Access | None:
    """How DuckDB reaches the raw files and the lake; None when both are folders."""
    storage = settings.storage
    if not storage.url.startswith("s3://") and not settings.lake.data_path.startswith("s3://"):
        return None
    keys = credentials(_revealed(storage.access_key_id), _revealed(storage.secret_access_key))
    return S3Access(
        endpoint_url=storage.endpoint_url,
        region=storage.region or "us-east-1",
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
    )


def open_transformer(settings: Settings) -> DbtTransformer:
    """What merges and builds: dbt, by its Python runner."""
    streams = settings.streams.items()
    return DbtTransformer(
        dbt=PythonDbt(dbt_project(settings)),
        threads=stream_budget.threads(settings.batch),
        stream_threads={slug: run.rules_for(settings, stream).budget.threads for slug, stream in streams},
    )


def dbt_project(settings: Settings) -> DbtProject:
    """The dbt project, and the environment that its profile reads."""
    address = lake_address(settings, memory_bytes=0)
    object_storage = {} if address.s3 is None else _dbt_object_storage(address.s3, address)
    allowed = int(settings.batch.memory_bytes)
    threads = stream_budget.threads(settings.batch)
    return DbtProject(
        project_dir=absolute(settings.dbt.project_dir),
        target_dir=absolute(settings.paths.root) / "dbt",
        environment={
            "LAKERAY_DBT_CATALOG": address.attach_path,
            "LAKERAY_DBT_DATA_PATH": address.data_path,
            "LAKERAY_DBT_EXTENSION_DIRECTORY": str(address.extension_directory),
            "LAKERAY_DBT_TEMP_DIRECTORY": str(address.temp_directory),
            "LAKERAY_DBT_MEMORY_LIMIT": f"{memory.duckdb_limit_bytes(allowed)}B",
            "LAKERAY_DBT_DUCKDB_THREADS": str(threads),
            "LAKERAY_DBT_THREADS": str(settings.dbt.threads),
            **object_storage,
        },
        tests=settings.dbt.tests,
    )


def _dbt_object_storage(access: S3Access, address: LakeAddress) -> dict[str, str]:
    environment = {
        "LAKERAY_DBT_TARGET": "object_storage",
        "LAKERAY_DBT_METADATA_SCHEMA": address.schema,
        "LAKERAY_DBT_S3_REGION": access.region,
        "LAKERAY_DBT_S3_URL_STYLE": "path" if access.host else "vhost",
        "LAKERAY_DBT_S3_USE_SSL": "true" if access.use_ssl else "false",
        "DBT_ENV_SECRET_LAKERAY_S3_KEY_ID": access.access_key_id or "",
        "DBT_ENV_SECRET_LAKERAY_S3_SECRET": access.secret_access_key or "",
        "DBT_ENV_SECRET_LAKERAY_S3_TOKEN": access.session_token or "",
    }
    if access.host is not None:
        environment["LAKERAY_DBT_S3_ENDPOINT"] = access.host
    if address.password is not None:
        environment["PGPASSWORD"] = address.password
    return environment


def machine(settings: Settings) -> ThisMachine:
    """What ``doctor`` asks."""
    address = lake_address(settings, memory_bytes=stream_budget.bookkeeping_bytes(settings.batch))
    clocks: dict[str, Callable[[datetime], float | None]] = {}
    if address.sqlite_path is None:
        clocks["Postgres"] = lambda now: (now - postgres_catalog.time_of(address)).total_seconds()
    endpoint = settings.storage.endpoint_url
    if endpoint is not None and settings.storage.url.startswith("s3://"):
        clocks["storage"] = lambda now: of_endpoint(endpoint, now=now)
    return ThisMachine(
        root=absolute(settings.paths.root),
        holder=lambda: lease_holder(settings),
        clocks=clocks,
        open_lake=lambda: lake_store(settings),
        open_temporary=lambda: open_store(temp_directory(settings).as_uri(), setting="paths.root", may_be_missing=True),
    )


def temp_directory(settings: Settings) -> Path:
    """Where DuckDB spills and copies are staged."""
    return absolute(settings.paths.root) / "tmp"


def absolute(path: Path) -> Path:
    """The path from the root of the file system, links left as they are."""
    return Path(path).expanduser().absolute()


def check_places(settings: Settings) -> None:
    """Raw prefix and DATA_PATH must not contain each other (P13).

    Raises:
        UsageError: they do.
    """
    if settings.env == "dev" and settings.storage.endpoint_url is None:
        raise UsageError(
            "env=dev",
            expected="running services",
            found="none that were ever up below paths.root",
            todo="Run `lakeray services up env=dev` first",
        )
    raw, lake = _place(settings.storage.url), _place(settings.lake.data_path)
    if raw.startswith(lake) or lake.startswith(raw):
        raise UsageError(
            "lake.data_path",
            expected="a place beside storage.url, neither inside the other",
            found=f"{settings.lake.data_path} and {settings.storage.url}",
            todo="DuckLake's clean-up would delete raw files, or the feed would take DuckLake's files in",
        )


def _place(address: str) -> str:
    parts = urlsplit(address)
    path = unquote(parts.path) if parts.scheme == "file" else address
    return path.rstrip("/") + "/"


def _store(settings: Settings, url: str, *, setting: str, may_be_missing: bool = False) -> ObstoreStore:
    storage = settings.storage
    if not url.startswith("s3://"):
        return open_store(url, setting=setting, may_be_missing=may_be_missing)
    keys = credentials(_revealed(storage.access_key_id), _revealed(storage.secret_access_key))
    return open_store(
        url,
        setting=setting,
        endpoint_url=storage.endpoint_url,
        region=storage.region,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
        timeout_s=storage.timeout_s,
    )


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
