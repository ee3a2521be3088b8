"""Settings as frozen values, and their checked conversion from the composed config. Errors name the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from lakeray.airbyte.columns import with_airbyte_columns
from lakeray.airbyte.paths import layout_of
from lakeray.values.column_types import ColumnType, Scalar, parse_type, unlandable
from lakeray.values.errors import UsageError, nearest
from lakeray.values.exclusion import pruned
from lakeray.values.layouts import Layout
from lakeray.values.model import (
    Budget,
    Column,
    Contract,
    ObjectPolicy,
    OnMissingColumn,
    OnNewColumn,
    OnTypeChange,
    RawPolicy,
    StreamName,
)
from lakeray.values.names import OWN_PREFIX, folded, is_own_name, no_name, same_name, twice


class Secret:
    """A text that never shows itself, not in ``repr``, ``str`` or a log; ``reveal`` is for the one who needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__


class Size(int):
    """A size in bytes. Written ``500MB`` (10⁶) or ``2GiB`` (2³⁰) in settings."""


class OversizePolicy(StrEnum):
    """What to do with a file that does not fit the memory budget alone (P5)."""

    SPILL = "spill"
    REFUSE = "refuse"


class OnDelete(StrEnum):
    """What a record of a deletion does to its row in the processed table."""

    FLAG = "flag"
    REMOVE = "remove"


class ExecutorChoice(StrEnum):
    """Where validation runs."""

    AUTO = "auto"
    RAY = "ray"
    INLINE = "inline"


@dataclass(frozen=True, slots=True, kw_only=True)
class PathSettings:
    """Where embedded things live."""

    root: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The raw files."""

    url: str
    """``file:///…/raw`` or ``s3://bucket/raw``: the raw prefix; keys are relative to it."""
    endpoint_url: str | None = None
    region: str | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    """Of keys that are lent for a time."""
    concurrency: int = 32
    """How many requests one process has in flight (inclusive)."""
    timeout_s: float = 30.0


class LakeWriter(StrEnum):
    """Who registers files."""

    AUTO = "auto"
    """The catalog writer where it is proved, else DuckLake's own call."""
    CATALOG = "catalog"
    """The catalog writer; a batch that it cannot write is an error."""
    EXTENSION = "extension"
    """DuckLake's own call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeSettings:
    """The DuckLake."""

    catalog: Secret
    """``sqlite:/path`` or ``postgres:`` and a libpq string; secret, for it may hold a password."""
    data_path: str
    schema: str = "public"
    """The schema of a Postgres catalog; made when missing."""
    password: Secret | None = None
    """Of a Postgres catalog."""
    libpq_password: Secret | None = None
    """The same, if neither ``password`` nor the catalog's string has one."""
    lease_wait_s: float = 10.0
    """How long to wait for a lease whose holder may just be ending."""
    lease_heartbeat_s: float = 5.0
    """Between two heartbeats of the lease's holder. One that gives none for three times as long does not answer."""
    lease_timeout_s: float = 60.0
    """Postgres ends the session of a holder that gave no heartbeat for so long, and with it its lease."""
    writer: LakeWriter = LakeWriter.AUTO
    take_over: str | None = None
    """The id of a lake whose claims this one replaces, for it is gone or shall delete no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How source files are packed."""

    target_bytes: Size
    memory_bytes: Size
    """allowed: what the rows of a batch may use in one process."""
    reserved_bytes: Size
    max_files: int
    oversize: OversizePolicy = OversizePolicy.SPILL
    adaptive: bool = True
    """The memory factor of a stream follows what its merges were measured to need."""

    def budget(self, *, max_in_flight: int) -> Budget:
        """The limits a plan obeys."""
        return Budget(
            allowed_bytes=int(self.memory_bytes),
            reserved_bytes=int(self.reserved_bytes),
            target_bytes=int(self.target_bytes),
            max_files=self.max_files,
            max_in_flight=max_in_flight,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """One feed."""

    lookback_days: int
    prefetch_batches: int
    max_batches: int | None = None
    executor: ExecutorChoice = ExecutorChoice.AUTO
    on_changed: ObjectPolicy = ObjectPolicy.REPORT
    on_vanished: ObjectPolicy = ObjectPolicy.REPORT
    accept_empty: bool = False
    """For one run: what is missing is gone for good, and is forgotten (P3)."""
    enrich: bool = True
    """Build the enriched models behind the streams; False leaves them to others."""
    watch: bool = False
    poll_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """What clean-up leaves (P13)."""

    days: int
    """Raw files and landing rows stay this many days behind the cursor."""
    snapshot_days: float
    """DuckLake snapshots stay this long; storage loses an object when no snapshot shows it."""
    raw: RawPolicy = RawPolicy.DELETE
    delete_existing: bool = False
    """Clean-up may also delete what a stream's first plan listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesSettings:
    """``services``: ports of SeaweedFS's S3 and of Postgres; 0 takes a free one, once."""

    s3_port: int = 0
    postgres_port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RaySettings:
    """Ray."""

    address: str | None = None
    num_cpus: int | None = None
    auto_files: int = 20_000
    """``feed.executor=auto`` starts Ray for a plan of at least this many files (inclusive)."""
    environment: tuple[str, ...] = ()
    """Further variables of the environment that the Ray that is started gets, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KuberaySettings:
    """The RayJob that ``kuberay render`` makes; how large its pods are follows from ``batch``."""

    name: str = "lakeray-feed"
    namespace: str = "lakeray"
    image: str = "lakeray"
    min_workers: int = 0
    max_workers: int = 2
    cpus: int = 2
    """Of each pod."""
    retries: int = 2
    """How often the whole job begins anew, in a new cluster, when it failed."""
    deadline_s: float = 14_400.0
    """How long it may take."""
    start_deadline_s: float = 900.0
    """How long its cluster may take to start."""
    keep_s: float = 3_600.0
    """How long the resource of a job that succeeded stays; its cluster goes at once."""
    keep_failed_s: float = 86_400.0
    """How long a failed job stays with its cluster, for somebody to look at."""
    queue: str | None = None
    """Of Kueue."""
    service_account: str = "lakeray"
    config_map: str = "lakeray"
    """Has the places: S3_RAW_URL, DUCKLAKE_DB_HOST and the like."""
    secret_name: str = "lakeray"
    from_files: tuple[str, ...] = ("DUCKLAKE_DB_PASSWORD", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY")
    """Variables that are keys of the Secret, and come as files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtSettings:
    """dbt."""

    project_dir: Path
    threads: int = 1
    tests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Spans and metrics."""

    exporter: str = "none"
    endpoint: str | None = field(default=None, repr=False)
    """Some collectors ask a key in its query."""
    headers: Secret | None = None
    """Of OTLP's requests, ``name=value,…`` as OpenTelemetry writes them."""
    service_name: str = "lakeray"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOptions:
    """``sample``."""

    first_day: date
    days: int
    syncs_per_day: int
    files_per_day: int
    rows_per_file: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """``replay``: both days inclusive."""

    from_: date | None = None
    to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanOptions:
    """``clean``."""

    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildOptions:
    """``rebuild``."""

    dry_run: bool = True
    """Only tell what would become of the rows."""
    allow_loss: bool = False
    """Values that do not fit their new type become NULL, and rows without a key go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions:
    """``doctor``."""

    dry_run: bool = False
    """Only tell what ``repair`` would mend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractOptions:
    """The policy for files that differ from the landing table."""

    on_new_column: OnNewColumn = OnNewColumn.ADD
    on_type_change: OnTypeChange = OnTypeChange.QUARANTINE
    on_missing_column: OnMissingColumn = OnMissingColumn.NULL


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRetention:
    """What clean-up leaves of one stream; what is not set is as for all of them."""

    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """conf/stream/{source}/{stream}.yaml: the one source of truth of a stream."""

    source: str
    stream: str
    primary_key: tuple[str, ...]
    cursor_field: str | None
    cursor_type: str | None = None
    """What the texts of ``cursor_field`` are compared as; None: what all of them parse as."""
    deleted_column: str | None = None
    """The field that is not null in a record of a deletion."""
    on_delete: OnDelete = OnDelete.FLAG
    path: str | None = None
    """Where its raw objects lie, in Airbyte's variables; None: everything below ``{source}/{stream}/``."""
    sync_mode: str = "incremental"
    destination_sync_mode: str = "append"
    contract: ContractOptions = field(default_factory=ContractOptions)
    batch: Mapping[str, Any] = field(default_factory=dict)
    retention: StreamRetention = field(default_factory=StreamRetention)
    expect_every: timedelta | None = None
    """How old the newest file may be before the stream is stale; None: as its files came before."""
    fields: Mapping[str, str] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    """Fields that are never taken, by name; dots lead into nested ones."""
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> StreamName:
        """The stream's name."""
        return StreamName(self.source, self.stream)

    @property
    def layout(self) -> Layout:
        """Where its raw objects lie.

        Raises:
            UsageError: the path cannot be one.
        """
        if self.path is None:
            return Layout.of(self.name)
        try:
            return layout_of(self.path, namespace=self.source, stream=self.stream)
        except ValueError as error:
            raise UsageError(f"streams.{self.name.slug}.path", expected=str(error), found=repr(self.path)) from None

    def landing_contract(self) -> Contract:
        """Airbyte's metadata columns and the stream's fields, with the policy.

        Raises:
            UsageError: a field's name or type cannot be taken, or the key is not among the fields.
        """
        self._check_names()
        at = f"streams.{self.name.slug}.fields"
        columns = [Column(name=name, type=_type(text, at=f"{at}.{name}")) for name, text in self.fields.items()]
        self._check_excluded(columns)
        columns = list(pruned(columns, self.exclude))
        self._check_deletes()
        self._check_cursor()
        have = {folded(name) for name in self.fields}
        missing = [key for key in self.primary_key if folded(key) not in have]
        if missing or not self.primary_key:
            raise UsageError(
                f"streams.{self.name.slug}.primary_key",
                expected="names of fields",
                found=", ".join(missing) or "an empty list",
            )
        return Contract(
            columns=with_airbyte_columns(columns),
            primary_key=tuple(dict.fromkeys(self.as_written(key) for key in self.primary_key)),
            newest_first=self._newest_first({column.name: column.type for column in columns}),
            cursor_type=None if self.cursor_type is None else str(_type(self.cursor_type, at=at)),
            on_new_column=self.contract.on_new_column,
            on_type_change=self.contract.on_type_change,
            on_missing_column=self.contract.on_missing_column,
            excluded=self.exclude,
        )

    def as_written(self, name: str) -> str:
        """A column's name as ``fields`` writes it: names are compared as DuckDB compares them."""
        return next((field for field in self.fields if same_name(field, name)), name)

    def _check_names(self) -> None:
        at = f"streams.{self.name.slug}.fields"
        for name in self.fields:
            why = no_name(name)
            if why is not None:
                raise UsageError(f"{at}.{name[:40]!r}", expected="a name that a column can have", found=why)
            if is_own_name(name):
                expected = f"a name that does not begin with {OWN_PREFIX}"
                raise UsageError(f"{at}.{name}", expected=expected, found="one of lakeray's own")
        for name in twice(self.fields):
            raise UsageError(
                f"{at}.{name}",
                expected="names that differ in more than the case of A to Z, as DuckDB compares them",
                found=f"{self.as_written(name)} beside it",
                todo="Leave one of them out: the files that hold both are quarantined (duplicate_column)",
            )

    def _check_excluded(self, columns: Sequence[Column]) -> None:
        at = f"streams.{self.name.slug}.exclude"
        needed = {folded(name) for name in (*self.primary_key, self.cursor_field, self.deleted_column) if name}
        left = {folded(column.name): column.type for column in pruned(columns, self.exclude)}
        for path in self.exclude:
            name = folded(path)
            if not path.strip("."):
                raise UsageError(at, expected="names of fields", found=repr(path))
            if name.startswith("_airbyte_"):
                raise UsageError(at, expected="fields of the source", found=f"{path}, which lakeray merges by")
            if name in needed:
                raise UsageError(at, expected="neither the key, nor the cursor or deleted_column", found=path)
        gone = [item for item in columns if folded(item.name) not in left and not self._is_named(item.name)]
        texts = [item.name for item in gone if isinstance(item.type, Scalar)]
        if texts:
            raise UsageError(
                at,
                expected="a path into a struct",
                found=f"one into {texts[0]}, a text that nobody looks into",
                todo=f"Exclude {texts[0]} as a whole",
            )

    def _is_named(self, name: str) -> bool:
        return any(same_name(name, path) for path in self.exclude)

    def _check_cursor(self) -> None:
        if self.cursor_type is None:
            return
        at = f"streams.{self.name.slug}.cursor_type"
        if self.cursor_field is None:
            raise UsageError(at, expected="a cursor_field beside it", found="null")
        kind = _type(self.cursor_type, at=at)
        if not isinstance(kind, Scalar):
            raise UsageError(at, expected="a type without parts, such as TIMESTAMP WITH TIME ZONE", found=str(kind))

    def _newest_first(self, types: Mapping[str, ColumnType]) -> tuple[str, ...]:
        """The cursor; a deletion may come without one, and its own time stands in for it, if it is of the same type."""
        if self.cursor_field is None:
            return ()
        cursor = self.as_written(self.cursor_field)
        deleted = None if self.deleted_column is None else self.as_written(self.deleted_column)
        stands_in = deleted is not None and deleted != cursor and types.get(deleted) == types.get(cursor)
        return (cursor, deleted) if stands_in and deleted is not None else (cursor,)

    def _check_deletes(self) -> None:
        if self.deleted_column is None and self.on_delete is OnDelete.FLAG:
            return
        if self.deleted_column is None or self.as_written(self.deleted_column) not in self.fields:
            raise UsageError(
                f"streams.{self.name.slug}.deleted_column",
                expected="the name of a field",
                found=repr(self.deleted_column),
                todo=nearest(self.deleted_column or "deleted_at", self.fields),
            )


def _type(text: str, *, at: str) -> ColumnType:
    try:
        kind = parse_type(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(at, expected="a DuckDB type", found=str(error)) from error
    refused = unlandable(kind)
    if refused is not None:
        raise UsageError(at, expected="a type that a DuckLake table can have", found=refused)
    return kind


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedStream:
    """A stream whose config cannot be taken."""

    name: StreamName
    """As its file is called; it may be none that a stream can have."""
    error: UsageError
    """Names the key."""


IS_SETTING = "is_setting"
"""Of a field's metadata: False for what no config says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a command needs."""

    env: str
    output: str
    paths: PathSettings
    storage: StorageSettings
    lake: LakeSettings
    batch: BatchSettings
    feed: FeedSettings
    retention: RetentionSettings
    services: ServicesSettings
    ray: RaySettings
    kuberay: KuberaySettings = field(default_factory=KuberaySettings)
    dbt: DbtSettings
    telemetry: TelemetrySettings
    sample: SampleOptions
    replay: ReplayOptions
    clean: CleanOptions
    doctor: DoctorOptions
    rebuild: RebuildOptions
    repair: str | None = None
    """``doctor repair=KIND``: a kind of finding, or ``all``."""
    streams: Mapping[str, StreamSettings]
    refused: tuple[RefusedStream, ...] = field(default=(), metadata={IS_SETTING: False})
    """Streams that the command would be about, and whose config cannot be taken. They stop no other."""
