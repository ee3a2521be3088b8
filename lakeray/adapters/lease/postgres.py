"""The lease of a lake in Postgres: an advisory lock on a connection of its own (P10).

Postgres frees the lock when the session ends, however it ends. A holder that vanished, or that is stopped, never ends
its session: so its heartbeat is a statement every few seconds, and the server ends a session that was idle for longer
than ``idle_session_timeout``. Whoever takes the lease then ends what sessions an earlier committer left behind: a
committer that is stopped in the middle of a transaction keeps its locks on DuckLake's tables. What it may still write
later is fenced by the token. psycopg takes 0.1 s to import, which an embedded lake does not pay.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakeray.adapters.lease.heartbeat import SILENT_BEATS, Heartbeat, changes
from lakeray.adapters.lease.refusals import answers, cannot_be_asked, held
from lakeray.ports.committer import LeaseTerms
from lakeray.values.errors import CatalogError, LeaseLostError, UsageError

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_POLL_S = 0.2
_LONGEST_NAME = 63
"""Bytes of an ``application_name``: Postgres cuts a longer one off."""
_ENDED_WITHIN_MS = 10_000
"""How long a session that is told to end may take: it rolls its transaction back."""
_SIGN = re.compile(r"lakeray lease of (?P<holder>.*), a heartbeat every (?P<every_s>[0-9.]+) s'", re.DOTALL)
_FIND = (
    "SELECT a.pid, a.application_name, a.backend_start, a.query, extract(epoch FROM now() - a.state_change)::float "
    "FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (l.classid::bigint << 32) + l.objid::bigint = %s"
)
_BEATEN = "SELECT pid, state_change FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
_END_EARLIER = (
    "SELECT pg_terminate_backend(pid, %s) FROM pg_stat_activity "
    "WHERE application_name = %s AND datname = current_database() AND usename = current_user"
)


class HeldSession:
    """The ``Lease`` port: whether the session that holds the lock still answers. For any number of threads."""

    def __init__(self, connection: Connection, *, sign: str) -> None:
        """Watch a session.

        Args:
            sign: the statement that is the heartbeat.
        """
        self._connection = connection
        self._sign = sign
        self._lost: str | None = None
        """Why the session has ended, once it is known."""

    def check(self) -> None:
        """See ``Lease``."""
        if self._lost is not None:
            raise LeaseLostError(
                "the lease is lost; nothing more is written",
                expected="the session that holds the lease in Postgres",
                found=self._lost,
                todo="Another committer may have taken over. Run the command again when it has ended",
            )

    def confirm(self) -> None:
        """See ``Lease``."""
        self.beat()
        self.check()

    def beat(self) -> bool:
        """Run a statement; False when the session has ended."""
        import psycopg

        if self._lost is None:
            try:
                self._connection.execute(self._sign.encode(), prepare=False)
            except psycopg.Error as error:
                self._lost = str(error).split("\n", 1)[0]
        return self._lost is None


class PostgresLease:
    """The ``LeaseHolder`` port."""

    def __init__(
        self,
        conninfo: str,
        *,
        secrets: Mapping[str, str],
        name: str,
        holder: str,
        terms: LeaseTerms,
        sessions: str | None = None,
    ) -> None:
        """Nothing is opened.

        Args:
            conninfo: a libpq string without secrets.
            secrets: those, by libpq's parameter.
            name: the lake's; another lake in the same database has another lease.
            holder: who we are, for others that want the lease.
            terms: Postgres keeps to their timeout.
            sessions: what the other sessions of the lake's committers call themselves (``application_name``): whoever
                takes the lease ends those that an earlier committer left behind.
        """
        self._conninfo = conninfo
        self._secrets = secrets
        self._key = lock_key(name)
        self._holder = holder
        self._terms = terms
        self._sessions = sessions

    @contextmanager
    def hold(self) -> Iterator[HeldSession]:
        """Take the lease and keep it inside the block.

        Raises:
            LeaseHeldError: another session has it, also after ``wait_s``.
            CatalogError: Postgres does not answer, or is older than 14.
        """
        connection = self._connect()
        try:
            with _answering():
                self._end_when_idle(connection)
                self._take(connection)
                connection.execute(_END_EARLIER, [_ENDED_WITHIN_MS, self._sessions])
            session = HeldSession(connection, sign=self._sign(connection))
            session.confirm()
            with Heartbeat(session.beat, every_s=self._terms.heartbeat_s):
                yield session
        finally:
            connection.close()  # no statement: the session may be lost by now, and with it the lock

    def holder(self) -> str | None:
        """Who has the lease, and its last heartbeat; None when nobody has."""
        with _answering(), self._connect() as connection:
            found = self._find(connection)
            return None if found is None else found.described

    def take_from_silent(self) -> str | None:
        """See ``LeaseHolder``.

        Raises:
            LeaseHeldError: the holder answers, or is of a version that gives no heartbeat.
            UsageError: the holder's session is of another role, and this role may not end it.
            CatalogError: Postgres does not answer.
        """
        with _answering(), self._connect() as connection:
            found = self._find(connection)
            if found is None:
                return None
            if found.every_s is None:
                raise cannot_be_asked(found.described)
            if changes(lambda: _beaten(connection, found), within_s=SILENT_BEATS * found.every_s):
                if not _beaten(connection, found):
                    return found.holder  # it ended by itself
                raise answers(found.holder, every_s=found.every_s)
            connection.execute("SELECT pg_terminate_backend(%s, %s)", [found.pid, _ENDED_WITHIN_MS])
            return found.holder

    def _take(self, connection: Connection) -> None:
        deadline_s = time.monotonic() + self._terms.wait_s
        while not self._try(connection):
            if time.monotonic() >= deadline_s:
                found = self._find(connection)
                raise held(None if found is None else found.described)
            time.sleep(_POLL_S)

    def _connect(self) -> Connection:
        import psycopg

        secrets: Any = self._secrets
        name = f"lakeray {self._holder}"[:_LONGEST_NAME]
        with _answering():
            return psycopg.connect(
                self._conninfo, autocommit=True, connect_timeout=10, application_name=name, **secrets
            )

    def _end_when_idle(self, connection: Connection) -> None:
        """Have Postgres end the session of a holder from which nothing comes any more, stopped or vanished."""
        import psycopg

        try:
            connection.execute(
                "SELECT set_config('idle_session_timeout', %s, false)", [f"{self._terms.timeout_s * 1000:.0f}"]
            )
        except psycopg.errors.UndefinedObject as error:
            raise CatalogError(
                "this Postgres cannot end an idle session",
                expected="Postgres 14 or newer",
                found=str(error).split("\n", 1)[0],
                todo="Keep the catalog in a newer Postgres",
            ) from None

    def _sign(self, connection: Connection) -> str:
        """The statement that is the heartbeat. pg_stat_activity shows it: who holds the lease, how often it beats."""
        from psycopg import sql

        text = f"lakeray lease of {self._holder}, a heartbeat every {self._terms.heartbeat_s:g} s"
        return sql.SQL("SELECT {}").format(sql.Literal(text)).as_string(connection)

    def _try(self, connection: Connection) -> bool:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [self._key]).fetchone()
        return row is not None and row[0] is True

    def _find(self, connection: Connection) -> _Found | None:
        row = connection.execute(_FIND, [self._key]).fetchone()
        if row is None:
            return None
        pid, name, since, query, silent_s = row
        sign = _SIGN.search(query or "")
        return _Found(
            pid=pid,
            since=since,
            holder=sign["holder"] if sign else (name or "another role's session").removeprefix("lakeray "),
            every_s=float(sign["every_s"]) if sign else None,
            silent_s=silent_s or 0.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The session that holds the lock."""

    pid: int
    """Of the server's process."""
    since: Any
    """When it connected, by the server's clock."""
    holder: str
    every_s: float | None
    """Between two heartbeats; None of a version that gives none."""
    silent_s: float
    """Since the last heartbeat."""

    @property
    def described(self) -> str:
        beat = "" if self.every_s is None else f", last heartbeat {self.silent_s:.0f} s ago"
        return f"{self.holder}, since {self.since}{beat}"


def _beaten(connection: Connection, found: _Found) -> list[tuple[Any, ...]]:
    return connection.execute(_BEATEN, [found.pid, found.since]).fetchall()


@contextmanager
def _answering() -> Iterator[None]:
    import psycopg

    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise UsageError(
            "lease break",
            expected="the role that holds the lease, or a member of pg_signal_backend",
            found=str(error).split("\n", 1)[0],
            todo="Run it as that role, or stop the holder",
        ) from None
    except psycopg.Error as error:
        raise CatalogError(
            "the Postgres catalog does not answer",
            found=str(error).split("\n", 1)[0],
            todo="Is it up? Then run the command again",
        ) from None  # the cause's text may repeat the connection string


def lock_key(name: str) -> int:
    """The advisory lock of a lake: 63 bits of its name's digest, so that other lakes and programs have other locks."""
    return int.from_bytes(hashlib.sha256(f"lakeray:{name}".encode()).digest()[:8], "big") >> 1
