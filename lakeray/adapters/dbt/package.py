"""A dbt project has the macros of the installed lakeray: by a link, so that an upgrade of lakeray upgrades them."""

from __future__ import annotations

import filecmp
import os
import re
import uuid
from pathlib import Path

from lakeray.values.errors import UsageError

PACKAGE = Path(__file__).resolve().parents[2] / "dbt_package"
"""Its macros, materializations and tests, and the profile of projects that have none."""
_OWN_NAME = re.compile(r"^name:\s*['\"]?lakeray['\"]?\s*$", re.MULTILINE)


def has_macros_of_its_own(project_dir: Path) -> bool:
    """Whether it is a project of the layout before, whose name is the package's and which has the macros in itself."""
    described = project_dir / "dbt_project.yml"
    return described.is_file() and _OWN_NAME.search(described.read_text(encoding="utf-8")) is not None


def link(project_dir: Path) -> None:
    """See that ``dbt_packages/lakeray`` is the installed package. dbt reads what lies there, and needs no ``dbt deps``.

    Raises:
        UsageError: it is something else, or cannot be written.
    """
    place = project_dir / "dbt_packages" / "lakeray"
    if has_macros_of_its_own(project_dir) or not (project_dir / "dbt_project.yml").is_file() or _is_there(place):
        return
    if place.is_dir() and not place.is_symlink():
        raise UsageError(
            str(place),
            expected="a link to the dbt package of the installed lakeray, or the same files",
            found="a folder of another version",
            todo="Remove it: lakeray links its own",
        )
    beside = project_dir / f".lakeray-{uuid.uuid4().hex}"  # in dbt_packages dbt would take it for another package
    try:
        place.parent.mkdir(exist_ok=True)
        beside.symlink_to(PACKAGE)
        beside.replace(place)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(
            str(place),
            expected="a link to the dbt package of the installed lakeray",
            found=f"it cannot be written: {error.strerror}",
            todo="Run `lakeray generate` once as a user who may write there",
        ) from None


def profiles_dir(project_dir: Path) -> Path:
    """Where dbt's profile is: the project's own, else the package's."""
    return project_dir if (project_dir / "profiles.yml").is_file() else PACKAGE


def _is_there(place: Path) -> bool:
    if place.is_symlink():
        return place.exists() and place.samefile(PACKAGE)
    return place.is_dir() and _files(place) == _files(PACKAGE) and _are_same(place)


def _are_same(place: Path) -> bool:
    names = _files(PACKAGE)
    return filecmp.cmpfiles(place, PACKAGE, names, shallow=False)[0] == names


def _files(folder: Path) -> list[str]:
    """Without what is hidden: dbt keeps its user's id beside a profile, ``.user.yml``."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(os.fspath(path) for path in found if not path.name.startswith("."))
