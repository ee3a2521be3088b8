"""The servers, brought up once for the session; a lake that nothing disturbed; the table of results."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.realstack import network
from tests.realstack.network import FarHost
from tests.realstack.proxy import Proxy
from tests.realstack.results import Results
from tests.realstack.stack import Contents, Stack


@pytest.fixture(scope="session")
def stack(extension_directory: Path) -> Iterator[Stack]:
    """SeaweedFS and Postgres, in a folder with a short path: that of a Unix socket may not exceed 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="lrs-"))
    (root / "extensions").symlink_to(extension_directory)
    try:
        servers = Stack.up(root)
        try:
            yield servers
        finally:
            servers.down()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def servers(stack: Stack) -> Iterator[Stack]:
    """The servers for a test that breaks them; after it they are up and answer again."""
    yield stack
    stack.resume_seaweedfs()
    stack.start_seaweedfs()
    stack.start_postgres()


@pytest.fixture(scope="session")
def undisturbed(stack: Stack) -> Contents:
    """What a lake of the sample holds after a feed that nothing disturbed."""
    lake = stack.lake()
    lake.fed()
    assert lake.doctor() == []
    return lake.contents()


@pytest.fixture(scope="session")
def all_results() -> Results:
    """The results of the session."""
    return Results()


@pytest.fixture
def results(all_results: Results) -> Iterator[Results]:
    """The results, written after each test: a run that is cut off keeps what it found."""
    yield all_results
    all_results.write()


@pytest.fixture
def s3_proxy(stack: Stack) -> Iterator[Proxy]:
    """A faulty way to SeaweedFS."""
    with Proxy(stack.state.s3_port) as proxy:
        yield proxy


@pytest.fixture
def postgres_proxy(stack: Stack) -> Iterator[Proxy]:
    """A faulty way to Postgres."""
    with Proxy(stack.state.postgres_port) as proxy:
        yield proxy


@pytest.fixture
def far_host(servers: Stack) -> Iterator[FarHost]:
    """Another host, whose network can be cut."""
    with network.far_host(servers) as host:
        yield host
