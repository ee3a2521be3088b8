"""Catalogs as the composition root makes them, for tests that build their lakes by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lakeray.adapters.ducklake.backends.backend import Backend, LakePlace
from lakeray.adapters.ducklake.backends.postgres.backend import PostgresBackend
from lakeray.adapters.ducklake.backends.sqlite.backend import SqliteBackend
from lakeray.adapters.lease.file import FileLease
from lakeray.adapters.lease.postgres import PostgresLease
from lakeray.adapters.parquet.rereading import Rereading
from lakeray.adapters.storage.object_store import ObstoreStore


def place(folder: Path, *, extension_directory: Path, threads: int = 2) -> LakePlace:
    """The lake's files in a folder ``lake`` of this one, with 256 MiB for DuckDB."""
    return LakePlace(
        data_path=f"{folder / 'lake'}/",
        extension_directory=extension_directory,
        temp_directory=folder / "tmp",
        memory_bytes=256 * 1024 * 1024,
        threads=threads,
    )


def sqlite(folder: Path, *, extension_directory: Path, threads: int = 2) -> SqliteBackend:
    """An embedded lake in this folder."""
    return SqliteBackend(
        str(folder / "catalog.sqlite"),
        place=place(folder, extension_directory=extension_directory, threads=threads),
        lease=partial(FileLease, folder / "lease"),
    )


def postgres(
    conninfo: str, folder: Path, *, schema: str, password: str | None, extension_directory: Path, threads: int = 2
) -> PostgresBackend:
    """A lake in this schema, its files in this folder."""
    return PostgresBackend(
        conninfo,
        place=place(folder, extension_directory=extension_directory, threads=threads),
        lease=PostgresLease,
        schema=schema,
        password=password,
    )


def rereading(backend: Backend, store: ObstoreStore) -> Rereading:
    """Who reads registered files again, with the memory of this lake's merges."""
    place = backend.place
    return Rereading(store=store, temp=place.temp_directory, memory_bytes=place.memory_bytes)
