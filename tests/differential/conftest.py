"""Postgres, started once for the session, and fresh pairs of lakes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakeray.adapters.services import postgres, state
from tests.differential.lakes import Twins, twins


@pytest.fixture(scope="session")
def postgres_server(extension_directory: Path) -> Iterator[state.ServicesState]:
    """A Postgres in a folder with a short path: that of a Unix socket may not exceed 107 bytes."""
    root = Path(tempfile.mkdtemp(prefix="lrd-"))
    fresh = state.fresh_state(s3_port=0, postgres_port=0)
    try:
        postgres.start(root, fresh)
        try:
            yield fresh
        finally:
            postgres.stop(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def catalog_kind(request: pytest.FixtureRequest) -> str:
    """The catalog's database."""
    return str(request.param)


@pytest.fixture(scope="session")
def pair(
    catalog_kind: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    extension_directory: Path,
) -> Iterator[Twins]:
    """Two lakes on the same kind of catalog, for tests that only add streams to them."""
    yield from _opened(catalog_kind, request, tmp_path_factory, extension_directory)


@pytest.fixture
def own_pair(
    catalog_kind: str,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    extension_directory: Path,
) -> Iterator[Twins]:
    """Two lakes for a test that changes them as a whole."""
    yield from _opened(catalog_kind, request, tmp_path_factory, extension_directory)


def _opened(
    kind: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory, extension_directory: Path
) -> Iterator[Twins]:
    server: state.ServicesState | None = request.getfixturevalue("postgres_server") if kind == "postgres" else None
    address = None if server is None else f"host=127.0.0.1 port={server.postgres_port} dbname=ducklake user=ducklake"
    password = None if server is None else server.postgres_password
    root = folders.mktemp("twins")
    with twins(root, extension_directory=extension_directory, postgres=address, password=password) as opened:
        yield opened
