"""What dbt made of a project when it parsed it, kept for all its lakes: the first run of another one takes it over.

Whether it is still true is for dbt to say, file by file, as it does with its own of the run before (partial parsing).
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import suppress
from pathlib import Path

FILE = "partial_parse.msgpack"
"""What dbt calls it, in its target folder."""
PARSING = {
    "LAKERAY_DBT_CATALOG": "none",
    "LAKERAY_DBT_ATTACH_OPTIONS": "{}",
    "LAKERAY_DBT_EXTENSION_DIRECTORY": "none",
    "LAKERAY_DBT_TEMP_DIRECTORY": "none",
}
"""The environment of a parse: of no lake. dbt parses everything anew when its profile is another one."""


def kept(project_dir: Path) -> Path:
    """Where it is kept, by the project's place: in ``$XDG_CACHE_HOME`` or ``~/.cache``, as XDG's base directories."""
    home = os.environ.get("XDG_CACHE_HOME")
    caches = Path(home) if home and Path(home).is_absolute() else Path.home() / ".cache"
    name = hashlib.sha256(os.fsencode(project_dir.absolute())).hexdigest()[:20]
    return caches / "lakeray" / "dbt" / name / FILE


def take_over(project_dir: Path, *, target_dir: Path) -> None:
    """See that the target folder has what dbt made last, this lake's own or another's, if there is any."""
    with suppress(OSError, RuntimeError):  # no home, or a folder that cannot be read: dbt parses
        if not (target_dir / FILE).exists():
            _put(kept(project_dir).read_bytes(), target_dir / FILE)


def keep(project_dir: Path, *, target_dir: Path) -> None:
    """Keep what dbt has made for the project's other lakes."""
    with suppress(OSError, RuntimeError):  # a folder that cannot be written: the next lake parses
        made, place = (target_dir / FILE).read_bytes(), kept(project_dir)
        if not place.exists() or place.read_bytes() != made:
            _put(made, place)


def _put(content: bytes, place: Path) -> None:
    """Whole or not at all: another process may read it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f"{place.name}.{uuid.uuid4().hex}")
    try:
        beside.write_bytes(content)
        beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
