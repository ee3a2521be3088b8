"""The composed config as settings: every key and type checked. Errors name the key."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from lakeray.settings.values import BatchSettings, Secret, Settings, Size, StreamSettings
from lakeray.values.errors import UsageError, nearest
from lakeray.values.model import (
    OnMissingColumn,
)

_T = TypeVar("_T")


_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*((?:[kmgt]i?)?b?)\s*$", re.IGNORECASE)


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


LEAST_MEMORY_BYTES = 64 * 10**6
"""Below it DuckDB merges nothing: one thread with row groups of 8 MiB takes 35 MB before a row is read (memory.py)."""


_NAME = re.compile(r"^[a-z][a-z0-9_]*$")


def settings_from(raw: Mapping[str, Any]) -> Settings:
    """The composed config as settings.

    Raises:
        UsageError: names the key, what was expected and what was found.
    """
    settings = build(Settings, raw, at="")
    _check(settings)
    return settings


def batch_for(settings: Settings, stream: StreamSettings) -> BatchSettings:
    """The batch settings with the stream's overrides.

    Raises:
        UsageError: an override names no batch setting or has a wrong value.
    """
    if not stream.batch:
        return settings.batch
    base = {item.name: getattr(settings.batch, item.name) for item in dataclasses.fields(settings.batch)}
    return build(BatchSettings, {**base, **stream.batch}, at=f"streams.{stream.name.slug}.batch")


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
