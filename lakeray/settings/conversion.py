"""The composed config as settings: every key and type checked. Errors name the key."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from lakeray.settings.addresses import refuse_credentials
from lakeray.settings.ranges import require_ranges
from lakeray.settings.values import IS_SETTING, BatchSettings, Secret, Settings, Size, StreamSettings
from lakeray.values.errors import UsageError, nearest
from lakeray.values.layouts import overlapping
from lakeray.values.model import (
    OnMissingColumn,
)

_T = TypeVar("_T")
_EXPORTERS = ("none", "console", "otlp")


_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*((?:[kmgt]i?)?b?)\s*$", re.IGNORECASE)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


LEAST_MEMORY_BYTES = 64 * 10**6
"""Below it DuckDB merges nothing: one thread with row groups of 8 MiB takes 35 MB before a row is read (memory.py)."""


LEAST_BEATS = 3
"""Heartbeats within the timeout, at least: a machine that is busy gives one late."""


_SPAN = re.compile(r"^\s*(\d{1,9}(?:\.\d{1,9})?)\s*(s|min|h|d)\s*$")


_SPANS = {"s": timedelta(seconds=1), "min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


_NAME = re.compile(r"[a-z][a-z0-9_]*")


def settings_from(raw: Mapping[str, Any]) -> Settings:
    """The composed config as settings.

    Raises:
        UsageError: names the key, what was expected and what was found.
    """
    settings = build(Settings, raw, at="")
    _check(settings)
    return settings


def is_stream_name(*parts: str) -> bool:
    """Whether a source and a stream can be called so: tables and dbt's models get their names from them."""
    return all(_NAME.fullmatch(part) is not None for part in parts)


def require_streams(settings: Settings) -> None:
    """See that every stream's config makes a contract and batches.

    Raises:
        UsageError: one does not; it names the setting.
    """
    for stream in settings.streams.values():
        stream.landing_contract()
        batch_for(settings, stream)


def batch_for(settings: Settings, stream: StreamSettings) -> BatchSettings:
    """The batch settings with the stream's overrides.

    Raises:
        UsageError: an override names no batch setting or has a wrong value.
    """
    if not stream.batch:
        return settings.batch
    base = {item.name: getattr(settings.batch, item.name) for item in dataclasses.fields(settings.batch)}
    at = f"streams.{stream.name.slug}.batch"
    made = build(BatchSettings, {**base, **stream.batch}, at=at)
    try:
        require_ranges(made, at="batch")
    except UsageError as error:
        raise UsageError(
            f"streams.{stream.name.slug}.{error.about}", expected=error.expected, found=error.found
        ) from None
    return made


def _check(settings: Settings) -> None:
    if settings.output not in ("text", "json"):
        raise UsageError("output", expected="text or json", found=repr(settings.output))
    require_ranges(settings)
    _check_places(settings)
    _check_lease(settings)
    if settings.batch.memory_bytes < LEAST_MEMORY_BYTES:
        raise UsageError(
            "batch.memory_bytes",
            expected=f"at least {LEAST_MEMORY_BYTES:,}: DuckDB's buffers for a narrow stream",
            found=f"{int(settings.batch.memory_bytes):,}",
        )
    for slug, stream in settings.streams.items():
        if stream.retention.days is not None and stream.retention.days < 0:
            raise UsageError(f"streams.{slug}.retention.days", expected="at least 0", found=str(stream.retention.days))
        require_names(slug, stream)
    _check_layouts(settings)


def require_names(slug: str, stream: StreamSettings) -> None:
    """See that source and stream are words that tables can be named by.

    Raises:
        UsageError: one is not.
    """
    for part in (stream.source, stream.stream):
        if _NAME.fullmatch(part) is None:
            raise UsageError(f"streams.{slug}", expected="lower-case names of letters, digits and _", found=repr(part))


def _check_layouts(settings: Settings) -> None:
    shared = overlapping({slug: stream.layout.root for slug, stream in settings.streams.items()})
    if shared is not None:
        outer, inner = shared
        raise UsageError(
            f"streams.{inner}.path",
            expected="a folder that no other stream reads",
            found=f"{settings.streams[inner].layout.root}, which is read by {outer}",
            todo="Give each stream a folder of its own below storage.url",
        )


def _check_places(settings: Settings) -> None:
    if settings.telemetry.exporter not in _EXPORTERS:
        choices = " or ".join(_EXPORTERS)
        raise UsageError("telemetry.exporter", expected=choices, found=repr(settings.telemetry.exporter))
    if not settings.lake.data_path.strip():
        raise UsageError("lake.data_path", expected="a folder or s3://bucket/prefix", found="an empty text")
    refuse_credentials(settings)
    _check_address("storage.url", settings.storage.url)
    if settings.storage.endpoint_url is not None:
        scheme = _split("storage.endpoint_url", settings.storage.endpoint_url).scheme
        if scheme not in ("http", "https"):
            raise UsageError("storage.endpoint_url", expected="http://… or https://…", found=f"the scheme {scheme!r}")


def _check_lease(settings: Settings) -> None:
    every_s, timeout_s = settings.lake.lease_heartbeat_s, settings.lake.lease_timeout_s
    if timeout_s < LEAST_BEATS * every_s:
        raise UsageError(
            "lake.lease_timeout_s",
            expected=f"at least {LEAST_BEATS} times lake.lease_heartbeat_s ({every_s:g})",
            found=f"{timeout_s:g}",
            todo="One heartbeat that comes late would cost a committer that works its lease",
        )


def _check_address(at: str, url: str) -> None:
    parts = _split(at, url)
    if parts.scheme == "file" and (parts.netloc not in ("", "localhost") or not parts.path.startswith("/")):
        raise UsageError(
            at,
            expected="file:///folder, with three slashes: a folder of this machine",
            found=f"the host {parts.netloc!r}",
            todo=f"file:///{parts.netloc}{parts.path} is the folder /{parts.netloc}{parts.path}",
        )
    if parts.scheme not in ("file", "s3") or (parts.scheme == "s3" and not parts.netloc):
        raise UsageError(at, expected="file:///folder or s3://bucket/prefix", found=f"the scheme {parts.scheme!r}")
    if parts.scheme == "s3" and {"", ".", ".."} & set((parts.path.strip("/") or "prefix").split("/")):
        raise UsageError(
            at,
            expected="a prefix without empty segments and dots: in a bucket they are names like any other",
            found=url,
            todo="Write the prefix as the objects' keys have it",
        )


def _split(at: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageError(at, expected="an address", found=str(error)) from None
    return parts


def build(cls: type[_T], raw: object, *, at: str) -> _T:
    """Make the dataclass ``cls`` from a mapping, checking every key and type.

    Raises:
        UsageError: an unknown or missing key, or a value of the wrong type.
    """
    if not isinstance(raw, Mapping):
        raise UsageError(at or "config", expected="a mapping", found=_shown(raw))
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(typing.cast(Any, cls))
    specs = {item.name.rstrip("_"): item for item in fields if item.metadata.get(IS_SETTING, True)}
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
        return _choice(hint, value, at=at)
    if hint is Secret:
        return value if isinstance(value, Secret) else Secret(str(value))
    if hint is Size:
        return parse_size(value, at=at)
    if isinstance(value, str | Path) and "\0" in str(value):
        raise UsageError(at, expected="a text without NUL", found="one with NUL")
    if hint is Path and isinstance(value, str | Path):
        return _path(value, at=at)
    if hint in (date, timedelta):
        return _date(value, at=at) if hint is date else parse_span(value, at=at)
    return _plain(hint, value, at=at)


def _choice(hint: type[StrEnum], value: Any, *, at: str) -> StrEnum:
    text = "null" if value is None else str(value)
    choices = [str(item) for item in hint]
    if text not in choices:
        raise UsageError(at, expected=" or ".join(choices), found=repr(text), todo=nearest(text, choices))
    return hint(text)


def _plain(hint: Any, value: Any, *, at: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**53 else math.inf
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise UsageError(at, expected="a finite number", found=repr(value))
    if (isinstance(value, bool) and hint is not bool) or not isinstance(value, hint):
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise UsageError(at, expected=names.get(hint, str(hint)), found=_shown(value))
    return value


def _path(value: str | Path, *, at: str) -> Path:
    if not str(value).strip():
        raise UsageError(at, expected="a path", found="an empty text")
    try:
        return Path(value).expanduser()
    except RuntimeError as error:  # ~somebody, and there is no such user
        raise UsageError(at, expected="a path", found=str(error)) from None


def _date(value: object, *, at: str) -> date:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise UsageError(at, expected="a day, YYYY-MM-DD", found=repr(value)) from error


def parse_span(value: object, *, at: str) -> timedelta:
    """A span of time from ``90s``, ``15min``, ``6h`` or ``1.5d``.

    Raises:
        UsageError: it is none of these, nothing, or longer than a year.
    """
    match = _SPAN.match(str(value))
    span = timedelta() if match is None else float(match[1]) * _SPANS[match[2]]
    if not timedelta() < span <= timedelta(days=366):
        raise UsageError(at, expected="a span of time such as 15min, 6h or 1d", found=repr(value))
    return span


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
    try:
        return Size(float(match[1]) * (_BINARY_UNITS.get(unit) or _UNITS[unit]))
    except OverflowError:
        raise UsageError(at, expected="a size such as 500MB or 2GiB", found="one beyond all disks") from None
