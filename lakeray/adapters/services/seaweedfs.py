"""SeaweedFS: master, volume, filer and S3 in one process, with credentials, on ports of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import obstore
import psutil
from obstore.exceptions import BaseError
from obstore.store import S3Store

from lakeray.adapters.services.state import ServicesState, folder
from lakeray.values.child_environment import for_child
from lakeray.values.errors import TryAgainError, UsageError

BUCKET = "landing"
_READY_S = 60.0
_END_S = 5.0
"""Time to end by itself. It hardly ever does: its filer waits for its own S3 to hang up, which waits for the filer. By
then the volumes are closed; what was acknowledged survives a kill anyway."""


def start(root: Path, state: ServicesState) -> ServicesState:
    """Start it, unless it runs, and wait until its S3 answers.

    Raises:
        UsageError: the ``weed`` program is not installed.
        TryAgainError: it does not answer; the log is named.
    """
    if state.seaweedfs() is None:
        process = psutil.Process(_launch(root, state).pid)
        state = replace(state, seaweedfs_pid=process.pid, seaweedfs_started=process.create_time())
    _wait(root, state)
    return state


def stop(state: ServicesState) -> bool:
    """End it; says whether it ran."""
    process = state.seaweedfs()
    if process is not None:
        process.terminate()
        try:
            process.wait(timeout=_END_S)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)
    _remove_sockets(state)
    return process is not None


def answers(state: ServicesState) -> bool:
    """Whether its S3 lists the bucket."""
    store = S3Store(
        BUCKET,
        endpoint=state.s3_endpoint,
        access_key_id=state.s3_access_key_id,
        secret_access_key=state.s3_secret_access_key,
        region="us-east-1",
        client_options={"allow_http": True, "timeout": "5s"},
        retry_config={"max_retries": 0},
    )
    try:
        next(iter(obstore.list(store, chunk_size=1)), None)
    except (BaseError, OSError):
        return False
    return True


def _launch(root: Path, state: ServicesState) -> subprocess.Popen[bytes]:
    data = folder(root) / "seaweedfs"
    data.mkdir(parents=True, exist_ok=True)
    master, volume, filer, master_grpc, volume_grpc, filer_grpc, s3_grpc, _ = state.seaweedfs_ports
    with (folder(root) / "seaweedfs.log").open("ab") as log:
        return subprocess.Popen(
            [
                _program(),
                "-logtostderr=true",
                "server",
                f"-dir={data}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-master.port={master}",
                f"-master.port.grpc={master_grpc}",
                "-master.volumeSizeLimitMB=1024",
                f"-volume.port={volume}",
                f"-volume.port.grpc={volume_grpc}",
                "-volume.max=100",
                "-volume.preStopSeconds=1",  # there is no other server that must first hear of it
                "-filer",
                "-filer.localSocket=filer.sock",  # in the working folder; by default in /tmp, where it stays
                f"-filer.port={filer}",
                f"-filer.port.grpc={filer_grpc}",
                "-s3",
                "-s3.localSocket=s3.sock",
                f"-s3.port={state.s3_port}",
                f"-s3.port.grpc={s3_grpc}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                f"-s3.config={_identities(root, state)}",
                "-s3.allowEmptyFolder=false",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=data,
            env=for_child(os.environ),  # it takes AWS's own variables for the keys of its administrator
            start_new_session=True,  # Ctrl-C in the terminal is for the command, not for the servers
        )


def _remove_sockets(state: ServicesState) -> None:
    """Those that it makes for its own parts, and leaves behind; where, cannot be said to it."""
    for place in {Path(tempfile.gettempdir()), Path("/tmp")}:
        for port in (*state.seaweedfs_ports, state.s3_port):
            for path in place.glob(f"seaweedfs-*-{port}.sock"):
                path.unlink(missing_ok=True)


def _identities(root: Path, state: ServicesState) -> Path:
    # In a file of its owner's alone: on the command line, `ps` would show the secret.
    path = folder(root) / "s3-identities.json"
    identity = {
        "name": "lakeray",
        "credentials": [{"accessKey": state.s3_access_key_id, "secretKey": state.s3_secret_access_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"identities": [identity]}, file)
    return path


def _wait(root: Path, state: ServicesState) -> None:
    import boto3  # creating a bucket is not in obstore's interface
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=state.s3_endpoint,
        aws_access_key_id=state.s3_access_key_id,
        aws_secret_access_key=state.s3_secret_access_key,
        region_name="us-east-1",
        config=Config(connect_timeout=2, read_timeout=10, retries={"max_attempts": 0}),
    )
    deadline = time.monotonic() + _READY_S
    cause = "no answer"
    while time.monotonic() < deadline and state.seaweedfs() is not None:
        try:
            if BUCKET not in [item["Name"] for item in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            # A write is what proves it: the volume server joins the master some seconds after S3 answers.
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"ready")
            client.delete_object(Bucket=BUCKET, Key="probe")
            return
        except (BotoCoreError, ClientError) as error:
            cause = str(error).split("\n", 1)[0]
            time.sleep(0.25)
    raise TryAgainError(
        "SeaweedFS does not answer", found=cause, todo=f"See {folder(root) / 'seaweedfs.log'}; `lakeray services down`"
    )


def _program() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if found is None:
        raise UsageError(
            "services", expected="the program weed", found="none", todo="Install the development requirements again"
        )
    return found
