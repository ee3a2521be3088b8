"""What dbt parsed of a project serves its other lakes, and only as long as the project is the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakeray.adapters.dbt import parsed
from lakeray.adapters.dbt.python import DbtProject, PythonDbt
from tests.integration.dbt_lake import DBT, environment


@pytest.fixture
def project_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    return Path(shutil.copytree(DBT, tmp_path / "dbt", ignore=shutil.ignore_patterns("target", "logs")))


def manifest(project_dir: Path, root: Path) -> set[str]:
    """Parse as a lake in ``root`` does: the nodes, and in ``root`` what dbt made."""
    variables = environment(f"ducklake:sqlite:{root}/catalog.sqlite", root, root / "extensions")
    dbt = PythonDbt(DbtProject(project_dir=project_dir, target_dir=root, environment=variables))
    found = set(dbt.manifest())
    dbt.close()
    return found


def test_another_lake_takes_over_what_was_parsed_until_a_file_is_another_one(project_dir: Path, tmp_path: Path) -> None:
    nodes = manifest(project_dir, tmp_path / "one")
    made = parsed.kept(project_dir).read_bytes()
    assert manifest(project_dir, tmp_path / "two") == nodes
    # dbt writes it anew when it has parsed anything.
    assert (tmp_path / "two" / parsed.FILE).read_bytes() == made == parsed.kept(project_dir).read_bytes()
    (project_dir / "models" / "enriched" / "new.sql").write_text("SELECT 1 AS one")
    assert {name.rsplit(".", 1)[-1] for name in manifest(project_dir, tmp_path / "three") - nodes} == {"new"}
    assert parsed.kept(project_dir).read_bytes() != made


def test_what_cannot_be_kept_or_read_is_parsed(
    project_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = parsed.kept(project_dir)
    place.parent.mkdir(parents=True)
    place.write_bytes(b"cut off")
    nodes = manifest(project_dir, tmp_path / "one")
    assert nodes and place.read_bytes() != b"cut off"
    (tmp_path / "no_folder").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no_folder"))
    assert manifest(project_dir, tmp_path / "two") == nodes
