"""What the whole suite shares: DuckDB's extensions, installed once, and one Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("lakeray", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.load_profile("lakeray")


@pytest.fixture(scope="session")
def extension_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with DuckDB's extensions."""
    from lakeray.adapters.ducklake import extensions

    folder = tmp_path_factory.mktemp("extensions")
    extensions.install(folder)
    return folder


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A Ray on this machine, for the session."""
    from lakeray.adapters.ray.feeders import cluster

    before = dict(os.environ)
    # Workers unpickle values whose classes are in the checkout, tests included.
    root = str(Path(__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, before.get("PYTHONPATH", "")]))
    with cluster(address=None, num_cpus=2):
        yield
    os.environ.clear()
    os.environ.update(before)
