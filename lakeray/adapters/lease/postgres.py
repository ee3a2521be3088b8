"""The lease of a lake in Postgres: an advisory lock on a connection of its own (P10).

Postgres frees the lock when the connection ends, however it ends. A holder that sleeps through that keeps its old
fencing token, and no commit takes it. psycopg takes 0.1 s to import, which an embedded lake does not pay.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lakeray.values.errors import CatalogError, LeaseHeldError

if TYPE_CHECKING:
    import psycopg

_POLL_S = 0.2
_KEEPALIVES: Any = {"keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}


class PostgresLease:
    """The ``LeaseHolder`` port."""

    def __init__(self, conninfo: str, *, secrets: Mapping[str, str], name: str, holder: str, wait_s: float) -> None:
        """Nothing is opened.

        Args:
            conninfo: a libpq string without secrets.
            secrets: those, by libpq's parameter.
            name: the lake's; another lake in the same database has another lease.
            holder: who we are.
            wait_s: how long to wait for another holder.
        """
        self._conninfo = conninfo
        self._secrets = secrets
        self._key = lock_key(name)
        self._holder = holder
        self._wait_s = wait_s

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Take the lease and keep it inside the block.

        Raises:
            LeaseHeldError: another session has it, also after ``wait_s``.
            CatalogError: Postgres does not answer.
        """
        connection = self._connect()
        try:
            with _answering():
                self._take(connection)
            yield
        finally:
            connection.close()  # no statement: the connection may be lost by now, and with it the lock

    def holder(self) -> str | None:
        """Who has the lease; None when nobody has."""
        with _answering(), self._connect() as connection:
            return self._find(connection)

    def _take(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        deadline = time.monotonic() + self._wait_s
        while not self._try(connection):
            if time.monotonic() >= deadline:
                raise self._held(connection)
            time.sleep(_POLL_S)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        import psycopg

        secrets: Any = self._secrets
        with _answering():
            return psycopg.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=10,
                application_name=f"lakeray {self._holder}"[:63],
                **_KEEPALIVES,
                **secrets,
            )

    def _try(self, connection: psycopg.Connection[tuple[object, ...]]) -> bool:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
        return row is not None and row[0] is True

    def _find(self, connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
        row = connection.execute(
            "SELECT a.application_name, a.backend_start FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid "
            "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND (l.classid::bigint << 32) + l.objid::bigint = %s",
            [self._key],
        ).fetchone()
        return None if row is None else f"{str(row[0]).removeprefix('lakeray ')}, since {row[1]}"

    def _held(self, connection: psycopg.Connection[tuple[object, ...]]) -> LeaseHeldError:
        found = self._find(connection)
        return LeaseHeldError(
            "another committer works on this lake",
            expected="the lease",
            found=f"it is held by {found}" if found else "it is held",
            todo="Wait until it ends, or stop it; `status`, `plan` and `why` work meanwhile",
        )


@contextmanager
def _answering() -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise CatalogError(
            "the Postgres catalog does not answer",
            found=str(error).split("\n", 1)[0],
            todo="Is it up? Then run the command again",
        ) from None  # the cause's text may repeat the connection string


def lock_key(name: str) -> int:
    """The advisory lock of a lake: 63 bits of its name's digest, so that other lakes and programs have other locks."""
    return int.from_bytes(hashlib.sha256(f"lakeray:{name}".encode()).digest()[:8], "big") >> 1
