"""What of this process's environment its children get: by name what they need, and no secret. Standard library only.

A child shows its environment to whoever may look at its process, hands it on to its own children, and may write it into
a crash report. Ray's workers, SeaweedFS and Postgres need places, languages and libraries; what they need of ours
travels in messages and files.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from contextlib import contextmanager

LIBPQ_PASSWORD = "PGPASSWORD"
"""Where libpq looks when it is told no password."""
SECRETS = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SECURITY_TOKEN",
        "AWS_SESSION_TOKEN",
        "DUCKLAKE_DB_PASSWORD",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        LIBPQ_PASSWORD,
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
        "S3_SESSION_TOKEN",
    }
)
"""Variables that lakeray, or a library that it uses, reads a secret from."""
_NAMES = frozenset(
    {
        "CURL_CA_BUNDLE",
        "HOME",
        "HOSTNAME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "NO_COLOR",
        "PATH",
        "REQUESTS_CA_BUNDLE",
        "SHELL",
        "TEMP",
        "TERM",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
        # A proxy's password is in its address: who goes through the proxy needs it.
        *("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "all_proxy", "https_proxy", "http_proxy", "no_proxy"),
    }
)
_PREFIXES = (
    "AWS_",  # region, profile, role: where the chain of credentials looks for what is in no variable
    "CONDA_",
    "DYLD_",
    "GLIBC_",
    "KUBERNETES_",
    "LAKERAY_",
    "LC_",
    "LD_",
    "MALLOC_",
    "MKL_",
    "OMP_",
    "OPENBLAS_",
    "OTEL_",
    "PG",  # libpq's: how to reach Postgres
    "PYTHON",
    "RAY_",
    "SSL_",
    "XDG_",
)


def for_child(environment: Mapping[str, str], *, also: Collection[str] = ()) -> dict[str, str]:
    """What a child gets of an environment.

    Args:
        also: further names; a secret among them is the caller's own decision.
    """
    return {name: value for name, value in environment.items() if name in also or _is_needed(name)}


@contextmanager
def narrowed(environment: MutableMapping[str, str], *, also: Collection[str] = ()) -> Iterator[None]:
    """An environment that holds, until the block ends, only what a child gets: for a library that starts processes.

    What the block sets stays; what it was not shown comes back.
    """
    kept = for_child(environment, also=also)
    held_back = {name: value for name, value in environment.items() if name not in kept}
    for name in held_back:
        del environment[name]
    try:
        yield
    finally:
        for name, value in held_back.items():
            environment.setdefault(name, value)


def _is_needed(name: str) -> bool:
    return name not in SECRETS and (name in _NAMES or name.startswith(_PREFIXES))
