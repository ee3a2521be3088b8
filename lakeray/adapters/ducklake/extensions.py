"""DuckDB's extensions, from PyPI packages into a folder of ours: no network at run time.

dbt-duckdb runs ``INSTALL x; LOAD x``. With the extension in ``extension_directory`` that needs no network either.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from lakeray.values.column_types import literal
from lakeray.values.errors import UsageError

NAMES = ("ducklake", "sqlite_scanner", "postgres_scanner", "httpfs")
_UNCHECKED = "allow_unsigned_extensions"


def install(extension_directory: Path, *, names: tuple[str, ...] = NAMES) -> None:
    """Install the extensions that are not there yet. Safe to run from several processes at once.

    Raises:
        UsageError: an extension's PyPI package is missing, or made for another DuckDB version.
    """
    missing = [name for name in names if not _installed(extension_directory, name).exists()]
    if not missing:
        return
    extension_directory.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(config={"extension_directory": str(extension_directory)}) as connection:
        for name in missing:
            connection.execute(f"INSTALL {literal(str(_packaged(name)))}")


def opened(extension_directory: Path, *, names: Sequence[str], config: Mapping[str, str]) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory with these extensions and no way to others.

    INSTALL has checked their signatures. LOAD would again, which takes 0.1 s of CPU an extension and connection; that
    is left out (ADR 0040), and from then on unsigned extensions are refused for good.

    Args:
        config: of DuckDB, beside what concerns extensions.

    Raises:
        UsageError: an extension's PyPI package is missing, or made for another DuckDB version.
        duckdb.Error: an extension cannot be loaded.
    """
    install(extension_directory, names=tuple(names))
    own = {
        "extension_directory": str(extension_directory),
        "autoinstall_known_extensions": "false",
        _UNCHECKED: "true",
    }
    connection = duckdb.connect(config={**config, **own})
    try:
        for name in names:
            connection.execute(f"LOAD {name}")
        connection.execute(f"SET {_UNCHECKED} = false")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _installed(extension_directory: Path, name: str) -> Path:
    return extension_directory / f"v{duckdb.__version__}" / _platform() / f"{name}.duckdb_extension"


def _platform() -> str:
    row = duckdb.sql("PRAGMA platform").fetchone()
    assert row is not None
    return str(row[0])


def _packaged(name: str) -> Path:
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(
            f"DuckDB extension {name}",
            expected=f"the package {package.replace('_', '-')}=={duckdb.__version__}",
            found="no such package",
            todo="Install the project's requirements again",
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "extensions" / f"v{duckdb.__version__}"
    path = folder / f"{name}.duckdb_extension"
    if not path.exists():
        raise UsageError(
            f"DuckDB extension {name}",
            expected=f"a build for DuckDB {duckdb.__version__}",
            found=", ".join(sorted(item.name for item in folder.parent.glob("v*"))) or "none",
            todo=f"Install {package.replace('_', '-')}=={duckdb.__version__}",
        )
    return path
