"""The composition root: settings become adapters, adapters become ports. Nothing else knows which adapter is used."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lakeray import feed, memory, portions, sizing, validate
from lakeray.adapters.aws import credentials
from lakeray.adapters.dbt_runner import DbtProject, DbtRunner
from lakeray.adapters.ducklake import postgres_catalog
from lakeray.adapters.ducklake.books import Books
from lakeray.adapters.ducklake.connection import LakeAddress, S3Access
from lakeray.adapters.ducklake.reader import DuckLakeReader
from lakeray.adapters.inline_executor import InlineExecutor
from lakeray.adapters.lease_file import FileLease, holder_of
from lakeray.adapters.lease_postgres import PostgresLease
from lakeray.adapters.object_store import ObstoreStore, open_store
from lakeray.adapters.system import SystemClock, fault_from_environment, give_memory_back, holder_name, new_id
from lakeray.adapters.telemetry import open_sink
from lakeray.config import LakeWriter, Secret, Settings, StreamSettings
from lakeray.errors import UsageError
from lakeray.generate import landing_ddl
from lakeray.model import StreamName, StreamReport
from lakeray.ports import Clock, Committer, EventSink, Executor, LeaseHolder

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.committer import DuckLakeCommitter
    from lakeray.adapters.ducklake.facts import CatalogFacts
    from lakeray.adapters.validation import BatchValidator


@dataclass(frozen=True, slots=True, kw_only=True)
class Lakeray:
    """The opened application of one command."""

    settings: Settings
    store: ObstoreStore
    reader: DuckLakeReader
    clock: Clock
    events: EventSink

    def looks(self) -> feed.Looks:
        """The ports that reading and planning need."""
        return feed.Looks(store=self.store, books=self.reader)

    def books(self) -> Books:
        """The bookkeeping of the command's streams at this moment, each from its horizon on."""
        rules = {stream.name: self.rules(stream) for stream in self.streams()}
        return self.reader.books(list(rules), since_of=lambda cursor: feed.horizon_of(rules[cursor.stream], cursor))

    def ports(self, committer: Committer, executor: Executor, *, stop: Callable[[], bool]) -> feed.Ports:
        """The ports of a feed."""
        return feed.Ports(
            store=self.store,
            reader=self.reader,
            clock=self.clock,
            events=self.events,
            committer=committer,
            executor=executor,
            new_id=new_id,
            stop=stop,
            fault=fault_from_environment(),
        )

    def streams(self) -> list[StreamSettings]:
        """The streams that the command is about, by name."""
        return sorted(self.settings.streams.values(), key=lambda stream: stream.name)

    def rules(self, stream: StreamSettings) -> feed.Rules:
        """What a feed of the stream obeys."""
        return rules_for(self.settings, stream)

    @contextmanager
    def committer(self) -> Iterator[DuckLakeCommitter]:
        """The committer of this process, holding the lease.

        Raises:
            LeaseHeldError: another committer works on the lake.
        """
        with open_committer(self.settings) as committer:
            yield committer


@contextmanager
def opened(settings: Settings, *, events: EventSink | None = None) -> Iterator[Lakeray]:
    """Open what a command needs, and close it.

    Raises:
        UsageError: a setting contradicts another.
    """
    check_places(settings)
    own = open_sink(settings.telemetry, output=settings.output) if events is None else None
    sink = own or events
    assert sink is not None
    reader = DuckLakeReader(lake_address(settings, memory_bytes=sizing.books_bytes(settings.batch)))
    try:
        yield Lakeray(settings=settings, store=raw_store(settings), reader=reader, clock=SystemClock(), events=sink)
    finally:
        reader.close()
        if own is not None:
            own.close()
        give_memory_back()


@contextmanager
def open_committer(settings: Settings) -> Iterator[DuckLakeCommitter]:
    """The lease, and the committer that it entitles to."""
    from lakeray.adapters.ducklake.committer import DuckLakeCommitter  # brings DuckDB: what only looks ends before

    clock = SystemClock()
    with lease(settings, clock=clock).hold():
        address = lake_address(settings, memory_bytes=sizing.books_bytes(settings.batch))
        if address.sqlite_path is None:
            postgres_catalog.make_schema(address)
        transformer = DbtRunner(dbt_project(settings))
        committer = DuckLakeCommitter(
            address,
            holder=holder_name(),
            clock=clock,
            store=raw_store(settings),
            transformer=transformer,
            landing_ddl=landing_ddl,
            fault=fault_from_environment(),
            writer=settings.lake.writer,
            row_group_bytes=sizing.row_groups(settings.batch),
        )
        try:
            if address.sqlite_path is None:
                postgres_catalog.make_indexes(address)
            yield committer
        finally:
            transformer.close()
            committer.close()


def lease(settings: Settings, *, clock: Clock) -> LeaseHolder:
    """The lease of the lake."""
    if settings.lake.catalog.reveal().startswith("postgres:"):
        return postgres_lease(settings)
    return FileLease(lease_path(settings), holder=holder_name(), since=clock.now(), wait_s=settings.lake.lease_wait_s)


def postgres_lease(settings: Settings) -> PostgresLease:
    """The lease of a lake whose catalog is in Postgres."""
    address = lake_address(settings, memory_bytes=sizing.books_bytes(settings.batch))
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
    settings: Settings, stream: StreamName, committer: Committer, executor: Executor, stop: Callable[[], bool]
) -> StreamReport:
    """Feed one stream with ports of its own: what a Ray feeder actor runs."""
    with opened(settings) as app:
        chosen = settings.streams[stream.slug]
        return feed.feed_stream(app.rules(chosen), app.ports(committer, executor, stop=stop))


def feed_one_with(
    settings: Settings,
) -> Callable[[StreamName, Committer, Executor, Callable[[], bool]], StreamReport]:
    """``feed_one`` with its settings, to be sent to an actor."""
    return functools.partial(feed_one, settings)


def rules_for(settings: Settings, stream: StreamSettings) -> feed.Rules:
    """What a feed of the stream obeys.

    Raises:
        UsageError: the stream's config is wrong.
    """
    batch = settings.batch_for(stream)
    contract = stream.landing_contract()
    return feed.Rules(
        stream=stream.name,
        contract=contract,
        budget=sizing.fitted(
            batch.budget(max_in_flight=settings.feed.prefetch_batches),
            leaves=portions.leaves_of(contract.columns),
            lake=settings.batch,
        ),
        oversize_policy=batch.oversize,
        adaptive=batch.adaptive,
        lookback_days=settings.feed.lookback_days,
        retention_days=settings.retention.days,
        max_batches=settings.feed.max_batches,
        on_changed=settings.feed.on_changed,
        on_vanished=settings.feed.on_vanished,
    )


def inline_executor(settings: Settings) -> InlineExecutor:
    """Validation in this process."""
    return InlineExecutor(batch_validator(settings))


def batch_validator(settings: Settings) -> BatchValidator:
    """All that a validation task needs."""
    from lakeray.adapters.validation import BatchValidator  # brings pyarrow: a feed with nothing new ends before

    return BatchValidator(
        raw=raw_store(settings),
        lake=lake_store(settings),
        temp=temp_directory(settings),
        concurrency=settings.storage.concurrency,
        judge=validate.verdict,
        facts=catalog_facts(settings),
    )


def catalog_facts(settings: Settings) -> CatalogFacts | None:
    """What works out the catalog's rows before the commit; None when DuckLake's own call registers."""
    if settings.lake.writer is LakeWriter.EXTENSION:
        return None
    from lakeray.adapters.ducklake.facts import CatalogFacts

    return CatalogFacts(extension_directory=absolute(settings.paths.root) / "extensions", temp=temp_directory(settings))


def raw_store(settings: Settings) -> ObstoreStore:
    """The raw prefix."""
    return _store(settings, settings.storage.url)


def lake_store(settings: Settings) -> ObstoreStore:
    """DuckLake's DATA_PATH, for converted copies."""
    path = settings.lake.data_path.rstrip("/")
    return _store(settings, path if "://" in path else Path(path).as_uri())


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


def dbt_project(settings: Settings) -> DbtProject:
    """The dbt project, and the environment that its profile reads."""
    address = lake_address(settings, memory_bytes=0)
    object_storage = {} if address.s3 is None else _dbt_object_storage(address.s3, address)
    allowed = int(settings.batch.memory_bytes)
    threads = sizing.threads(settings.batch)
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
        threads=threads,
        stream_threads={slug: rules_for(settings, stream).budget.threads for slug, stream in settings.streams.items()},
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


def _store(settings: Settings, url: str) -> ObstoreStore:
    storage = settings.storage
    if not url.startswith("s3://"):
        return open_store(url)
    keys = credentials(_revealed(storage.access_key_id), _revealed(storage.secret_access_key))
    return open_store(
        url,
        endpoint_url=storage.endpoint_url,
        region=storage.region,
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
        timeout_s=storage.timeout_s,
    )


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
