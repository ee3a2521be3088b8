"""Credentials from the environment: read once, while the settings are composed, and taken out of it then."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lakeray.settings.values import Settings
from lakeray.values.child_environment import LIBPQ_PASSWORD
from lakeray.values.errors import UsageError

OURS = (
    "DUCKLAKE_DB_PASSWORD",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "S3_ACCESS_KEY_ID",
    "S3_SECRET_ACCESS_KEY",
    "S3_SESSION_TOKEN",
)
"""Variables that nobody but lakeray's config reads."""
_AWS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_AWS_TOKEN = "AWS_SESSION_TOKEN"


def secret(name: str) -> str | None:
    """A secret from the environment, or from the file that NAME_FILE names, as Docker and Kubernetes mount it.

    Raises:
        UsageError: the file cannot be read, or is empty.
    """
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value or not path:
        return value or None
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{name}_FILE", expected="a file with the secret", found=f"{path}: {reason}") from None
    if not text:
        raise UsageError(f"{name}_FILE", expected="a file with the secret", found=f"{path}: an empty one")
    return text


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Composed values with what libraries would read from the environment by themselves, here and in every child.

    The keys of AWS's own variables, where the config has none. What is in profiles and roles stays there.
    """
    storage = dict(values["storage"])
    if not (storage.get("access_key_id") and storage.get("secret_access_key")) and _are_set(_AWS_KEYS):
        storage["access_key_id"], storage["secret_access_key"] = (os.environ[name] for name in _AWS_KEYS)
        storage["session_token"] = os.environ.get(_AWS_TOKEN) or None
    return {**values, "storage": storage}


def take_out(settings: Settings) -> None:
    """Take what was read out of this process's environment, which every child would get.

    What the operating system shows of this process stays as it was started (``/proc/PID/environ``): a file named by
    NAME_FILE is not shown there.
    """
    names = list(OURS)
    if settings.storage.url.startswith("s3:") or settings.lake.data_path.startswith("s3:"):
        names += [*_AWS_KEYS, _AWS_TOKEN] if _are_set(_AWS_KEYS) else []
    if settings.lake.libpq_password is not None:
        names.append(LIBPQ_PASSWORD)
    for name in names:
        os.environ.pop(name, None)


def _are_set(names: tuple[str, ...]) -> bool:
    return all(os.environ.get(name) for name in names)
