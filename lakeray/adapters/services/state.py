"""What the services wrote down: where they listen, who may enter, which processes they are."""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

_FILE = "services.json"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServicesState:
    """One machine's services. Kept in a file that its owner alone may read; ``repr`` shows nothing."""

    s3_port: int
    s3_access_key_id: str
    s3_secret_access_key: str
    seaweedfs_ports: tuple[int, ...]
    """master, volume, filer, admin and their gRPC ports: all taken once and kept."""
    postgres_port: int
    postgres_password: str
    seaweedfs_pid: int | None = None
    seaweedfs_started: float | None = None
    """The process's creation time: a pid alone may by now be another process."""

    @property
    def s3_endpoint(self) -> str:
        """The S3 API's address."""
        return f"http://127.0.0.1:{self.s3_port}"

    def seaweedfs(self) -> psutil.Process | None:
        """SeaweedFS's process, when it still is that process."""
        return alive(self.seaweedfs_pid, self.seaweedfs_started)


def alive(pid: int | None, started: float | None) -> psutil.Process | None:
    """The process with this pid and creation time, when it runs."""
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        same = started is None or abs(process.create_time() - started) < 1.0
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.NoSuchProcess:
        return None


def folder(root: Path) -> Path:
    """Where the services keep their data and logs."""
    return root / "services"


def read(root: Path) -> ServicesState | None:
    """What was written down; None when services were never up here."""
    path = folder(root) / _FILE
    if not path.exists():
        return None
    raw = json.loads(path.read_text(encoding="utf-8"))
    return ServicesState(**{**raw, "seaweedfs_ports": tuple(raw["seaweedfs_ports"])})


def write(root: Path, state: ServicesState) -> None:
    """Write it down, readable by its owner alone, whole or not at all."""
    path = folder(root) / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
    fresh.replace(path)


def fresh_state(*, s3_port: int, postgres_port: int) -> ServicesState:
    """Ports and credentials for services that were never up here; port 0 takes a free one."""
    taken = free_ports(10)
    return ServicesState(
        s3_port=s3_port or taken[8],
        s3_access_key_id=secrets.token_hex(10),
        s3_secret_access_key=secrets.token_urlsafe(24),
        seaweedfs_ports=tuple(taken[:8]),
        postgres_port=postgres_port or taken[9],
        postgres_password=secrets.token_urlsafe(24),
    )


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for item in held:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in held]
    finally:
        for item in held:
            item.close()
