"""Where the project is: found from the folder one is in, as git finds its repository.

A project is a folder with ``conf/project.yaml``: its settings, its streams in ``conf/stream/``, its dbt project. What a
project does not say is lakeray's own, of the version that is installed (``OURS``).
"""

from __future__ import annotations

import os
from pathlib import Path

from lakeray.values.errors import UsageError

MARKER = Path("conf", "project.yaml")
"""What makes a folder a project."""
OURS = Path(__file__).resolve().parents[1] / "project"
"""What is installed: ``conf`` with the defaults of all settings; ``dbt`` and ``conf/stream`` are the template ``shop``;
``init`` is what every new project begins with."""
HOME = "LAKERAY_HOME"
"""The environment variable that names the project, for whoever runs commands from elsewhere."""


def found() -> Path:
    """The project's folder: what LAKERAY_HOME says, else the nearest one from here upward.

    Raises:
        UsageError: there is none, or the one that is named is none.
    """
    home = os.environ.get(HOME)
    if home:
        folder = Path(home).expanduser().absolute()
        if not (folder / "conf").is_dir():
            raise UsageError(HOME, expected="a project's folder, with conf/ in it", found=str(folder))
        return folder
    here = Path.cwd()
    folder_or_none = containing(here)
    if folder_or_none is None:
        raise UsageError(
            "not in a lakeray project",
            expected=f"{MARKER} here or in a folder above",
            found=f"none from {here} upward",
            todo=f"`lakeray init` makes a project here; cd into one, or set {HOME}",
        )
    return folder_or_none


def containing(folder: Path) -> Path | None:
    """The nearest project from a folder upward; None when there is none."""
    return next((above for above in (folder, *folder.parents) if (above / MARKER).is_file()), None)


def anchored(path: str | Path) -> Path:
    """A path of the settings: what is relative is so to the project, wherever in it the command is run."""
    written = Path(path).expanduser()
    return written if written.is_absolute() else found() / written
