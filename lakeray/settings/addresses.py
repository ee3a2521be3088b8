"""Addresses hold no credentials: they are shown wherever they are used, and keys in them would be sent as names."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl

from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError
from lakeray.values.redaction import names_secret

_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::\d*)?")
"""A host, with a port or without one. Another colon is that between a user and a password, which may hold a slash."""


def refuse_credentials(settings: Settings) -> None:
    """See that neither the places of files nor the endpoint hold a user, a password or a key.

    Raises:
        UsageError: one does; it names the setting and repeats nothing.
    """
    for at, address in (
        ("storage.url", settings.storage.url),
        ("storage.endpoint_url", settings.storage.endpoint_url),
        ("lake.data_path", settings.lake.data_path),
    ):
        if address is not None and holds_credentials(address):
            raise UsageError(
                at,
                expected="an address without credentials",
                found="credentials in it",
                todo="Give keys as S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or as storage.access_key_id and "
                "storage.secret_access_key",
            )


def holds_credentials(address: str) -> bool:
    """Whether there is a user or a password before the host, or a key in the query. A folder's path holds none."""
    scheme, has_authority, rest = address.partition("://")
    if not has_authority:
        return False
    place, _, query = rest.partition("?")
    authority = place.partition("/")[0]
    if scheme == "s3":
        in_front = bool(set(":@") & set(authority))  # no bucket's name has them
    else:
        in_front = "@" in authority or (_HOST.fullmatch(authority) is None and "@" in place)
    return in_front or any(names_secret(name) for name, _ in parse_qsl(query, keep_blank_values=True))
