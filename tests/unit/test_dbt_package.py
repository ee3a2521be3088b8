"""A dbt project has the macros of the lakeray that is installed, whatever was there before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lakeray.adapters.dbt import package
from lakeray.values.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dbt project without packages."""
    (tmp_path / "warehouse").mkdir()
    (tmp_path / "warehouse/dbt_project.yml").write_text("name: mine\n")
    return tmp_path / "warehouse"


def linked(folder: Path) -> Path:
    package.link(folder)
    assert [path.name for path in (folder / "dbt_packages").iterdir()] == ["lakeray"]
    return (folder / "dbt_packages/lakeray").resolve()


def test_a_project_is_linked_to_the_installed_package_and_an_upgrade_moves_the_link(folder: Path) -> None:
    assert linked(folder) == linked(folder) == package.PACKAGE
    link = folder / "dbt_packages/lakeray"
    link.unlink()
    (folder.parent / "earlier").mkdir()
    for before in ("earlier", "gone"):
        link.unlink(missing_ok=True)
        link.symlink_to(folder.parent / before)
        assert linked(folder) == package.PACKAGE
    assert not [path for path in folder.iterdir() if path.name.startswith(".lakeray")]


def test_a_copy_of_the_same_version_will_do_and_another_one_is_refused(folder: Path) -> None:
    copy = folder / "dbt_packages/lakeray"
    shutil.copytree(package.PACKAGE, copy)
    (copy / ".user.yml").write_text("id: dbt's own")
    assert linked(folder) == copy
    (copy / "macros/latest.sql").write_text("{# another version #}")
    with pytest.raises(UsageError, match="Remove it"):
        package.link(folder)


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    (folder / "dbt_packages").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written"):
        package.link(folder)


def test_a_project_that_has_the_macros_in_itself_keeps_them(folder: Path) -> None:
    for name in ("name: lakeray", "name: 'lakeray'"):
        (folder / "dbt_project.yml").write_text(f"{name}\nversion: 1.0.0\n")
        package.link(folder)
    package.link(folder.parent)  # no dbt project at all
    assert [path.name for path in folder.iterdir()] == ["dbt_project.yml"]
    assert [path.name for path in folder.parent.iterdir()] == ["warehouse"]


def test_the_profile_is_the_projects_own_where_it_has_one(folder: Path) -> None:
    assert package.profiles_dir(folder) == package.PACKAGE
    (folder / "profiles.yml").touch()
    assert package.profiles_dir(folder) == folder
