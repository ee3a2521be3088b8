"""The wheel runs outside of the checkout, from what it carries, with a dbt project of any name."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lakeray import __version__
from tests.support.real.lake import PROJECT, plain_environment

PARTS = ("lakeray", "conf", "dbt", "pyproject.toml", "requirements.in", "README.md", "LICENSE")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in a copy of the tree: setuptools writes beside what it builds."""
    tree, made = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        source = PROJECT / part
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "dbt_packages", "target", "logs")
            shutil.copytree(source, tree / part, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, tree / part)
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(made), str(tree))
    (built,) = made.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def lakeray(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a command of the installed wheel in a folder; the dependencies are this environment's."""
    site = tmp_path_factory.mktemp("site")
    pip("install", "--no-index", "--target", str(site), str(wheel))

    def run(*words: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        program = f"import lakeray, sys; assert lakeray.__file__.startswith({str(site)!r}); "
        program += "from lakeray.cli.main import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *words]
        environment = plain_environment() | {"PYTHONPATH": str(site)}
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    return run


def pip(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "-q", words[0], "--no-deps", *words[1:]], check=True, timeout=240)


def test_the_wheel_carries_what_it_needs_and_none_of_this_repositorys_settings(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tree = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "lakeray").rglob("*") if path.is_file()}
    ours = {name for name in tree if not name.endswith(".pyc") and "dbt_packages" not in name}
    assert ours <= names
    for path in ("conf/config.yaml", "conf/lake/postgres.yaml", "conf/stream/shopify/orders.yaml"):
        assert f"lakeray/project/{path}" in names
    assert "lakeray/project/dbt/models/enriched/sales/fct_sales.sql" in names
    assert not [name for name in names if name.startswith(("tests", "conf", "dbt")) or "lakeray_names" in name]
    assert "lakeray/project/conf/project.yaml" not in names


@pytest.mark.slow
def test_it_makes_a_project_and_feeds_it(lakeray: Run, tmp_path: Path) -> None:
    assert lakeray("--version", cwd=tmp_path).stdout == f"lakeray {__version__}\n"
    assert "lakeray init" in lakeray("feed", cwd=tmp_path, code=2).stderr
    lakeray("init", "mine", "--template", "shop", cwd=tmp_path)
    here = tmp_path / "mine"
    (here / "dbt").rename(here / "warehouse")
    settings = "# @package _global_\ndbt: {project_dir: warehouse}\nsample: {days: 1, rows_per_file: 20}\n"
    (here / "conf/project.yaml").write_text(settings)
    within = here / "warehouse/models"
    lakeray("generate", "check", cwd=within)
    lakeray("sample", "shopify/customers", cwd=within)
    fed = json.loads(lakeray("feed", "shopify/c*", "output=json", cwd=within).stdout)
    assert [(stream["stream"], stream["status"]) for stream in fed["streams"]] == [("customers", "ok")]
    status = json.loads(lakeray("status", "shopify/customers", "output=json", cwd=here).stdout)
    assert [stream["lag_seconds"] for stream in status["streams"]] == [0.0]
    assert (here / ".lakeray/catalog.sqlite").is_file() and not (within / ".lakeray").exists()
