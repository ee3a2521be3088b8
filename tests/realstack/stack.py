"""Real SeaweedFS and Postgres, and lakes on them: each with a schema, a raw prefix and a DATA_PATH of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import duckdb
import obstore
import psutil
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from obstore.store import S3Store

from lakeray.adapters.services import postgres, seaweedfs, state
from lakeray.values.keys import is_claim
from lakeray.values.model import GENERATION_COLUMN
from tests.support.real.lake import PROJECT, Ran, Row, events_of, plain_environment
from tests.support.real.processes import lakeray

DEADLINE_S = 120.0
"""What takes longer hangs, and fails its test."""
STREAMS = ("klaviyo/lists", "klaviyo/metrics")
SAMPLE = ("sample.days=12", "sample.files_per_day=1", "sample.syncs_per_day=1", "sample.rows_per_file=20")
"""Twelve days of one file: the first four are behind the retention, so that a feed ends with a clean-up."""
WRITER = os.environ.get("LAKERAY_TEST_WRITER", "auto")
"""Who registers: the suite is run with both writers."""
FEED = ("batch.max_files=6", "retention.snapshot_days=0", "lake.lease_wait_s=30", f"lake.writer={WRITER}")
_BOOKKEEPING = {
    "ledger": "source, stream, file_key, etag, size_bytes, row_count, file_day, registered_path",
    "removals": "source, stream, file_key, etag, reason",
    "quarantine": "source, stream, file_key, etag, size_bytes, reason, detail, status",
    "feeder_cursors": "source, stream, cursor_path",
}
"""The bookkeeping without what another attempt must have different: ids, snapshots, times."""

RAW = "raw objects"
Contents = dict[str, list[Row]]
"""Rows by what they are: a table, a part of the bookkeeping, or the keys of the raw objects."""


def until(reached: Callable[[], Any], *, what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Ask again and again until it is so; returns the first answer that is true."""
    deadline = time.monotonic() + deadline_s
    while not (answer := reached()):
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {what}"
        time.sleep(0.02)
    return answer


@dataclass(kw_only=True)
class Stack:
    """The two servers under ``root``."""

    root: Path
    state: state.ServicesState
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @classmethod
    def up(cls, root: Path) -> Stack:
        """Bring them up, as an operator does."""
        ran = lakeray("services", "up", "env=dev", f"paths.root={root}", "output=json")
        assert ran.code == 0, ran.err
        return cls(root=root, state=_state(root))

    def down(self) -> None:
        """Take them down; nothing of them runs on."""
        self.kill_seaweedfs()  # its own end takes 5 s, and nobody needs what it holds
        ran = lakeray("services", "down", "env=dev", f"paths.root={self.root}", "output=json")
        assert ran.code == 0, ran.err
        assert self.state.seaweedfs() is None
        ports = "|".join(map(str, (*self.state.seaweedfs_ports, self.state.s3_port)))
        assert not [
            path for path in Path("/tmp").glob("seaweedfs-*.sock") if re.search(rf"-({ports})\.sock$", path.name)
        ]
        assert not postgres.running(self.root)

    def lake(self, *, streams: Sequence[str] = STREAMS, sample: Sequence[str] = SAMPLE) -> RealLake:
        """A lake of its own on the servers, with the sample in its raw prefix."""
        lake = RealLake(stack=self, number=next(self._numbers), streams=tuple(streams))
        ran = lake.run("sample", *sample)
        assert ran.code == 0, ran.err
        return lake

    def stop_postgres(self, *, mode: str = "fast") -> None:
        """End it as ``pg_ctl stop -m MODE`` does: fast rolls back what is open, immediate crashes."""
        pid = int((self.root / "services/postgres/postmaster.pid").read_text().split()[0])
        os.kill(pid, {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        until(lambda: not psutil.pid_exists(pid) or _zombie(pid), what="Postgres is gone")
        until(lambda: not postgres.running(self.root), what="Postgres is down")

    def start_postgres(self) -> None:
        """Start it again, on the same port."""
        postgres.start(self.root, self.state)

    def pause_seaweedfs(self) -> None:
        """It keeps its connections and answers nothing."""
        self._seaweedfs().suspend()

    def resume_seaweedfs(self) -> None:
        """It goes on."""
        process = self.state.seaweedfs()
        if process is not None:
            process.resume()

    def kill_seaweedfs(self) -> None:
        """kill -9."""
        process = self.state.seaweedfs()
        if process is not None:
            process.kill()
            process.wait(timeout=20)

    def start_seaweedfs(self) -> None:
        """Start it again, on the same ports."""
        self.state = seaweedfs.start(self.root, self.state)
        state.write(self.root, self.state)

    def sql(self, statement: str, *values: Any, dbname: str = "ducklake") -> list[Row]:
        """The rows of a statement by Postgres itself, as its superuser; none of what makes or changes something."""
        folder = postgres._sockets(self.root)
        with psycopg.connect(
            host=str(folder), port=self.state.postgres_port, user="postgres", dbname=dbname, autocommit=True
        ) as connection:
            done = connection.execute(statement, list(values) or None)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []

    def _seaweedfs(self) -> psutil.Process:
        process = self.state.seaweedfs()
        assert process is not None, "SeaweedFS does not run"
        return process


def _state(root: Path) -> state.ServicesState:
    found = state.read(root)
    assert found is not None
    return found


def _zombie(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return True


@dataclass(kw_only=True)
class RealLake:
    """One lake on the servers."""

    stack: Stack
    number: int
    streams: tuple[str, ...]
    s3_port: int | None = None
    """A proxy's, instead of SeaweedFS's own."""
    postgres_port: int | None = None
    """A proxy's, instead of Postgres's own."""
    raw: int | None = None
    """Another lake's number, whose raw prefix it shares."""
    host: str = "127.0.0.1"
    """Where these ports are."""

    @property
    def schema(self) -> str:
        """The catalog's schema."""
        return f"lake_{self.number}"

    @property
    def settings(self) -> list[str]:
        """The overrides that make a command work on this lake, its result JSON."""
        words = [
            "env=dev",
            f"paths.root={self.stack.root}",
            f"lake.schema={self.schema}",
            f"lake.data_path=s3://landing/lake-{self.number}/",
            f"storage.url=s3://landing/raw-{self.number if self.raw is None else self.raw}",
            f"+stream=[{','.join(self.streams)}]",
            "output=json",
        ]
        if self.s3_port is not None:
            words.append(f"storage.endpoint_url=http://{self.host}:{self.s3_port}")
        if self.postgres_port is not None:
            words.append(f"lake.catalog='postgres:{self._catalog(self.postgres_port, host=self.host)}'")
        return words

    def run(self, *words: str, environment: Mapping[str, str] | None = None) -> Ran:
        """A command as a process, to its end."""
        return lakeray(*words, *self.settings, environment=environment)

    def feed(
        self,
        *words: str,
        fault: str = "",
        environment: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> Feed:
        """A feed as a process, watched while it works.

        Args:
            fault: the point at which it dies, or stops.
            before: what comes before the command: a program that runs it.
        """
        more = {**(environment or {}), **({"LAKERAY_FAULT": fault} if fault else {})}
        return Feed(["feed", *self.settings, *FEED, *words], environment=more, before=before)

    def fed(self, *words: str) -> Ran:
        """A feed that nobody disturbs; it must end well."""
        ran = self.run("feed", *FEED, *words)
        assert ran.code == 0, f"exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran

    def doctor(self) -> list[dict[str, str]]:
        """What storage, ledger and catalog disagree about; what only waits for dbt is no disagreement."""
        ran = self.run("doctor")
        assert ran.out, ran.err
        findings: list[dict[str, str]] = ran.document["findings"]
        found = [item for item in findings if item["kind"] != "not_transformed"]
        assert ran.code == (1 if found else 0), ran.out + ran.err
        return found

    def objects(self) -> set[str]:
        """The keys of the raw objects; lakes' claims are none."""
        store = self._store()
        prefix = f"raw-{self.number}/"
        listed = (meta["path"] for page in obstore.list(store, prefix=prefix) for meta in page)
        return {path.removeprefix(prefix) for path in listed if not is_claim(path)}

    def refresh(self, stream: str) -> None:
        """One object of a newer generation takes the place of all that the stream has, as Airbyte does it."""
        store, prefix = self._store(), f"raw-{self.number}/{stream}/"
        listed = (meta["path"] for page in obstore.list(store, prefix=prefix) for meta in page)
        paths = sorted(path for path in listed if not is_claim(path))
        table = pq.read_table(pa.BufferReader(bytes(obstore.get(store, paths[-1]).bytes())), partitioning=None)
        at = table.schema.get_field_index(GENERATION_COLUMN)
        newer = pa.array([1_000] * table.num_rows, table.schema.field(at).type)
        sink = pa.BufferOutputStream()
        pq.write_table(table.set_column(at, table.schema.field(at), newer).slice(0, 5), sink)
        obstore.put(store, f"{paths[-1].rsplit('/', 1)[0]}/part_1000.parquet", sink.getvalue().to_pybytes())
        obstore.delete(store, paths)

    @contextlib.contextmanager
    def connection(self, *, read_only: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """The lake as another program sees it, past any proxy."""
        services = self.stack.state
        config = {
            "extension_directory": str(self.stack.root / "extensions"),
            "autoinstall_known_extensions": "false",
        }
        secret = (
            f"TYPE s3, REGION 'us-east-1', URL_STYLE 'path', USE_SSL false, ENDPOINT '127.0.0.1:{services.s3_port}', "
            f"KEY_ID '{services.s3_access_key_id}', SECRET '{services.s3_secret_access_key}'"
        )
        catalog = f"{self._catalog(services.postgres_port)} password={services.postgres_password}"
        with duckdb.connect(config=config) as connection:
            connection.execute("LOAD ducklake; LOAD postgres_scanner; LOAD httpfs; SET TimeZone = 'UTC'")
            connection.execute(f"CREATE SECRET ({secret})")
            options = f"METADATA_SCHEMA '{self.schema}'{', READ_ONLY' if read_only else ''}"
            connection.execute(f"ATTACH 'ducklake:postgres:{catalog}' AS lakehouse ({options})")
            yield connection

    def snapshots(self) -> int:
        """How many DuckLake snapshots there are, and were."""
        return int(self.stack.sql(f'SELECT max(snapshot_id) FROM "{self.schema}".ducklake_snapshot')[0][0])

    def contents(self) -> Contents:
        """All that must be the same after any fault: tables, ledger, removals, quarantine, cursors, raw objects."""
        with self.connection() as connection:
            names = connection.execute(
                "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
                "WHERE database_name = 'lakehouse' AND schema_name IN ('staging', 'main') ORDER BY 1"
            ).fetchall()
            # Each lake's raw objects are uploaded anew: when that was is part of a row's origin.
            columns = "COLUMNS(name -> name <> '_lakeray_origin')"
            found = {name: self._rows(connection, f"SELECT {columns} FROM lakehouse.{name}") for (name,) in names}
            for name, columns in _BOOKKEEPING.items():
                found[f"meta.{name}"] = self._rows(connection, f"SELECT {columns} FROM lakehouse.meta.{name}")
            marks = (
                "SELECT source, stream, bool_and(c.transformed_snapshot >= l.snapshot_id) FROM "
                "(SELECT source, stream, snapshot_id FROM lakehouse.meta.ledger) AS l "
                "JOIN lakehouse.meta.feeder_cursors AS c USING (source, stream) GROUP BY ALL"
            )
            found["all is transformed"] = self._rows(connection, marks)
            for name in self.streams:
                registered = self._registered(connection, name)
                found[f"registered {name}"] = [(self._plain(path),) for path in registered]
        return {**found, RAW: [(key,) for key in sorted(self.objects())]}

    def _registered(self, connection: duckdb.DuckDBPyConnection, stream: str) -> list[str]:
        table = f"stg_{stream.replace('/', '__')}"
        there = connection.execute(
            "SELECT 1 FROM duckdb_tables() WHERE database_name = 'lakehouse' AND table_name = ?", [table]
        ).fetchall()
        if not there:
            return []
        rows = connection.execute(
            "SELECT data_file FROM ducklake_list_files('lakehouse', ?, schema => 'staging')", [table]
        ).fetchall()
        return sorted(path for (path,) in rows)

    def _rows(self, connection: duckdb.DuckDBPyConnection, statement: str) -> list[Row]:
        rows = connection.execute(statement).fetchall()
        plain = [tuple(self._plain(item) if isinstance(item, str) else item for item in row) for row in rows]
        return sorted(plain, key=repr)

    def _plain(self, text: str) -> str:
        return text.replace(f"s3://landing/raw-{self.number}/", "raw/").replace(
            f"s3://landing/lake-{self.number}/", "lake/"
        )

    def _catalog(self, port: int, *, host: str = "127.0.0.1") -> str:
        return f"host={host} port={port} dbname=ducklake user=ducklake"

    def _store(self) -> S3Store:
        services = self.stack.state
        return S3Store(
            "landing",
            endpoint=services.s3_endpoint,
            access_key_id=services.s3_access_key_id,
            secret_access_key=services.s3_secret_access_key,
            region="us-east-1",
            client_options={"allow_http": True},
        )


class Feed:
    """``python -m lakeray`` with its log read line by line by a thread; always ended by its pid."""

    def __init__(
        self, words: Sequence[str], *, environment: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> None:
        self.lines: list[str] = []
        self._out: list[str] = []
        self._grown = threading.Condition()
        self._process = subprocess.Popen(
            [*before, sys.executable, "-m", "lakeray", *words],
            cwd=PROJECT,
            env=plain_environment(**(environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stderr, self.lines), daemon=True),
            threading.Thread(target=self._read, args=(self._process.stdout, self._out), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def state(self) -> str:
        """As ``ps`` shows it: R runs, S waits, T is stopped, Z has ended."""
        return Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]

    @property
    def log(self) -> str:
        """What it logged so far."""
        return "".join(self.lines)

    def until_event(self, name: str, *, times: int = 1, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it has logged the event so many times."""
        deadline = time.monotonic() + deadline_s
        with self._grown:
            while sum(item["event"] == name for item in events_of(self.lines)) < times:
                left = deadline - time.monotonic()
                over = not self.alive and not self._readers[0].is_alive()
                assert left > 0 and not over, f"no {name}:\n{self.log}"
                self._grown.wait(min(left, 0.2))

    def until_text(self, text: str, *, deadline_s: float = DEADLINE_S) -> None:
        """Wait until it has logged the text: an actor's events come through Ray, which writes before them."""
        until(lambda: text in self.log or not self.alive, what=text, deadline_s=deadline_s)
        assert text in self.log, self.log

    def until_lines(self, count: int, *, deadline_s: float = DEADLINE_S) -> bool:
        """Wait until it has logged so many events; False when it ended before."""
        deadline = time.monotonic() + deadline_s
        with self._grown:
            while len(events_of(self.lines)) < count:
                if not self.alive and not self._readers[0].is_alive():
                    return False
                assert time.monotonic() < deadline, f"no {count} events:\n{self.log}"
                self._grown.wait(0.2)
        return True

    def ends_within(self, seconds: float) -> bool:
        """Let it work on, at most so long."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def pause(self) -> None:
        """SIGSTOP."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9, and wait until it is gone. One that has ended is left alone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._finish()

    def end(self, *, deadline_s: float = 2 * DEADLINE_S) -> Ran:
        """Let it come to its end."""
        try:
            code = self._process.wait(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"it did not end within {deadline_s:g} s:\n{self.log}") from None
        self._finish()
        return Ran(code=code, out="".join(self._out), err=self.log)

    def _read(self, pipe: Any, into: list[str]) -> None:
        for line in pipe:
            with self._grown:
                into.append(line)
                self._grown.notify_all()
        with self._grown:
            self._grown.notify_all()

    def _finish(self) -> None:
        for reader in self._readers:
            reader.join(timeout=10)
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()


def assert_ended_typed(ran: Ran) -> None:
    """Exit 0, or exit 1 with an error that its reader can act on; never a traceback."""
    said = f"exit {ran.code}\n{ran.out}\n{ran.err}"
    assert ran.code in (0, 1), said
    assert "Traceback" not in ran.err, said
    if ran.code == 1:
        errors = errors_of(ran)
        assert errors, said
        assert all(error["kind"] and error["about"] and error["found"] for error in errors), said
        kinds = {"storage", "catalog", "lease_lost", "transform", "out_of_memory", "try_again"}
        kinds |= {"storage_refused", "storage_address", "disk_full", "object_gone", "spill_full"}
        assert {error["kind"] for error in errors} <= kinds, said


def errors_of(ran: Ran) -> list[dict[str, str]]:
    """The errors in a command's document."""
    document = ran.document
    found = [document[name] for name in ("error", "enriched_error") if document.get(name)]
    return found + [item["error"] for item in document.get("streams", []) if item.get("error")]
