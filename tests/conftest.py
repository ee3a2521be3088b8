"""What the whole suite shares: DuckDB's extensions, installed once, and one Ray."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.budget import Budget, shares

settings.register_profile("lakeray", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.load_profile("lakeray")


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--budget``: at the end, say what each suite took beside its share."""
    parser.addoption("--budget", choices=sorted(shares()), help="which run of tests/budget.toml this is")


def pytest_configure(config: pytest.Config) -> None:
    """Workers of xdist have no terminal; their reports come to the one that has."""
    run = config.getoption("--budget")
    if hasattr(config, "workerinput"):
        return
    # One for all workers: what dbt parsed is kept there, and nothing of it in the home of whoever runs the tests.
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="lakeray-caches-")
    if run is not None:
        config.pluginmanager.register(Budget(run))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is left behind."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


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
