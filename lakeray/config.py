"""Settings as frozen values, and their checked conversion from the composed config. Errors name the key."""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from lakeray.airbyte import AIRBYTE_COLUMNS
from lakeray.column_types import parse_type
from lakeray.errors import UsageError
from lakeray.model import (
    Budget,
    Column,
    Contract,
    ObjectPolicy,
    OnMissingColumn,
    OnNewColumn,
    OnTypeChange,
    StreamName,
)

_T = TypeVar("_T")
_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*((?:[kmgt]i?)?b?)\s*$", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
LEAST_MEMORY_BYTES = 64 * 10**6
"""Below it DuckDB merges nothing: one thread with row groups of 8 MiB takes 35 MB before a row is read (memory.py)."""
_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


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
    lease_wait_s: float = 10.0
    """How long to wait for a lease whose holder may just be ending."""
    writer: LakeWriter = LakeWriter.AUTO


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
    watch: bool = False
    poll_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """What clean-up leaves (P13)."""

    days: int
    """Raw files and landing rows stay this many days behind the cursor."""
    snapshot_days: float
    """DuckLake snapshots stay this long; storage loses an object when no snapshot shows it."""


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
    endpoint: str | None = None
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
class StreamSettings:
    """conf/stream/{source}/{stream}.yaml: the one source of truth of a stream."""

    source: str
    stream: str
    primary_key: tuple[str, ...]
    cursor_field: str | None
    deleted_column: str | None = None
    """The field that is not null in a record of a deletion."""
    on_delete: OnDelete = OnDelete.FLAG
    sync_mode: str = "incremental"
    destination_sync_mode: str = "append"
    contract: ContractOptions = field(default_factory=ContractOptions)
    batch: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> StreamName:
        """The stream's name."""
        return StreamName(self.source, self.stream)

    def landing_contract(self) -> Contract:
        """Airbyte's metadata columns and the stream's fields, with the policy.

        Raises:
            UsageError: a field's type cannot be read, or the key is not among the fields.
        """
        columns = list(AIRBYTE_COLUMNS)
        for name, text in self.fields.items():
            try:
                columns.append(Column(name=name, type=parse_type(text)))
            except ValueError as error:
                raise UsageError(
                    f"streams.{self.name.slug}.fields.{name}", expected="a DuckDB type", found=str(error)
                ) from error
        self._check_deletes()
        missing = [key for key in self.primary_key if key not in self.fields]
        if missing or not self.primary_key:
            raise UsageError(
                f"streams.{self.name.slug}.primary_key",
                expected="names of fields",
                found=", ".join(missing) or "an empty list",
            )
        return Contract(
            columns=tuple(columns),
            primary_key=self.primary_key,
            on_new_column=self.contract.on_new_column,
            on_type_change=self.contract.on_type_change,
            on_missing_column=self.contract.on_missing_column,
        )

    def _check_deletes(self) -> None:
        if self.deleted_column is None and self.on_delete is OnDelete.FLAG:
            return
        if self.deleted_column is None or self.deleted_column not in self.fields:
            raise UsageError(
                f"streams.{self.name.slug}.deleted_column",
                expected="the name of a field",
                found=repr(self.deleted_column),
                todo=nearest(self.deleted_column or "deleted_at", self.fields),
            )


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
    dbt: DbtSettings
    telemetry: TelemetrySettings
    sample: SampleOptions
    replay: ReplayOptions
    clean: CleanOptions
    doctor: DoctorOptions
    repair: str | None = None
    """``doctor repair=KIND``: a kind of finding, or ``all``."""
    streams: Mapping[str, StreamSettings]

    def batch_for(self, stream: StreamSettings) -> BatchSettings:
        """The batch settings with the stream's overrides.

        Raises:
            UsageError: an override names no batch setting or has a wrong value.
        """
        if not stream.batch:
            return self.batch
        base = {item.name: getattr(self.batch, item.name) for item in dataclasses.fields(self.batch)}
        return build(BatchSettings, {**base, **stream.batch}, at=f"streams.{stream.name.slug}.batch")


def nearest(word: str, choices: Iterable[str]) -> str:
    """``Did you mean …?`` for the nearest choice, or nothing when none is near."""
    close = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else ""


def settings_from(raw: Mapping[str, Any]) -> Settings:
    """The composed config as settings.

    Raises:
        UsageError: names the key, what was expected and what was found.
    """
    settings = build(Settings, raw, at="")
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if settings.output not in ("text", "json"):
        raise UsageError("output", expected="text or json", found=repr(settings.output))
    for at, value, least in (
        ("batch.max_files", settings.batch.max_files, 1),
        ("batch.target_bytes", settings.batch.target_bytes, 1),
        ("feed.prefetch_batches", settings.feed.prefetch_batches, 1),
        ("feed.max_batches", 1 if settings.feed.max_batches is None else settings.feed.max_batches, 1),
        ("feed.lookback_days", settings.feed.lookback_days, 0),
        ("storage.concurrency", settings.storage.concurrency, 1),
        ("retention.days", settings.retention.days, 0),
        ("retention.snapshot_days", settings.retention.snapshot_days, 0),
        ("dbt.threads", settings.dbt.threads, 1),
        ("sample.days", settings.sample.days, 1),
        ("sample.syncs_per_day", settings.sample.syncs_per_day, 1),
        ("sample.files_per_day", settings.sample.files_per_day, 1),
        ("sample.rows_per_file", settings.sample.rows_per_file, 1),
    ):
        if value < least:
            raise UsageError(at, expected=f"at least {least}", found=str(value))
    if settings.batch.memory_bytes < LEAST_MEMORY_BYTES:
        raise UsageError(
            "batch.memory_bytes",
            expected=f"at least {LEAST_MEMORY_BYTES:,}: DuckDB's buffers for a narrow stream",
            found=f"{int(settings.batch.memory_bytes):,}",
        )
    for slug, stream in settings.streams.items():
        for part in (stream.source, stream.stream):
            if _NAME.match(part) is None:
                raise UsageError(
                    f"streams.{slug}", expected="lower-case names of letters, digits and _", found=repr(part)
                )


def build(cls: type[_T], raw: object, *, at: str) -> _T:
    """Make the dataclass ``cls`` from a mapping, checking every key and type.

    Raises:
        UsageError: an unknown or missing key, or a value of the wrong type.
    """
    if not isinstance(raw, Mapping):
        raise UsageError(at or "config", expected="a mapping", found=_shown(raw))
    hints = typing.get_type_hints(cls)
    specs = {item.name.rstrip("_"): item for item in dataclasses.fields(typing.cast(Any, cls))}
    for key in raw:
        if key not in specs:
            raise UsageError(
                _join(at, str(key)),
                expected="a known setting",
                found="none of this name",
                todo=nearest(str(key), specs),
            )
    values: dict[str, Any] = {}
    for name, item in specs.items():
        if name in raw:
            values[item.name] = _convert(hints[item.name], raw[name], at=_join(at, name))
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            raise UsageError(_join(at, name), expected="a value", found="nothing")
    return cls(**values)


def _join(at: str, name: str) -> str:
    return f"{at}.{name}" if at else name


def _shown(value: object) -> str:
    return f"{type(value).__name__} {value!r}" if not isinstance(value, Secret) else "a secret"


def _convert(hint: Any, value: Any, *, at: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and hint is not OnMissingColumn:
            return None
        inner = next(part for part in typing.get_args(hint) if part is not type(None))
        return _convert(inner, value, at=at)
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise UsageError(at, expected="a list", found=_shown(value))
        return tuple(_convert(typing.get_args(hint)[0], item, at=at) for item in items)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise UsageError(at, expected="a mapping", found=_shown(value))
        inner = typing.get_args(hint)[1]
        return {str(key): _convert(inner, item, at=_join(at, str(key))) for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value, at=at)
    return _scalar(hint, value, at=at)


def _scalar(hint: Any, value: Any, *, at: str) -> Any:
    if hint is Any:
        return value
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        text = "null" if value is None else str(value)
        choices = [str(item) for item in hint]
        if text not in choices:
            raise UsageError(at, expected=" or ".join(choices), found=repr(text), todo=nearest(text, choices))
        return hint(text)
    if hint is Secret:
        return value if isinstance(value, Secret) else Secret(str(value))
    if hint is Size:
        return parse_size(value, at=at)
    if hint is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    if hint is date:
        return _date(value, at=at)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (isinstance(value, bool) and hint is not bool) or not isinstance(value, hint):
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise UsageError(at, expected=names.get(hint, str(hint)), found=_shown(value))
    return value


def _date(value: object, *, at: str) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise UsageError(at, expected="a day, YYYY-MM-DD", found=repr(value)) from error


def parse_size(value: object, *, at: str) -> Size:
    """Bytes from ``500MB`` (10⁶), ``2GiB`` (2³⁰) or a plain number.

    Raises:
        UsageError: it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return Size(value)
    match = _SIZE.match(str(value))
    if match is None:
        raise UsageError(at, expected="a size such as 500MB or 2GiB", found=repr(value))
    unit = match[2].lower().removesuffix("b")
    return Size(float(match[1]) * (_BINARY_UNITS.get(unit) or _UNITS[unit]))
