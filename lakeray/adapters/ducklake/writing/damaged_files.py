"""Reading a registered file as dbt would, to tell whether it can be read at all (P6)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import duckdb

from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.duckdb_errors import damaged_copy, first_line
from lakeray.values.column_types import quoted
from lakeray.values.errors import StorageError, TryAgainError
from lakeray.values.globs import glob_escaped
from lakeray.values.keys import is_registered_as_it_lies
from lakeray.values.model import LedgerEntry, SourceFile
from lakeray.values.names import folded

_RANGE = 8 * 1024 * 1024


class ReadsRaw(Protocol):
    """The part of the object store that reading needs."""

    def url(self, key: str) -> str:
        """What is registered for a raw object."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes of an object."""


class Rereading:
    """Reads on a DuckDB of its own: what a damaged file does to it, the committer's does not notice."""

    def __init__(self, backend: Backend, *, store: ReadsRaw) -> None:
        self._backend = backend
        self._store = store
        self._connection: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        """Let the DuckDB go, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def unreadable(self, entry: LedgerEntry, columns: Sequence[str]) -> str | None:
        """Why the landing columns of the file cannot be read; None when they can, or when it is not the file's fault.

        What fails from storage is fetched and read from the local disk: that fails for the file alone. A converted
        copy was read in whole when it was made, and an object that changed or vanished is a matter of P14.

        Raises:
            StorageError: the storage failed.
            TryAgainError: the temporary folder takes no copy.
        """
        url = self._store.url(entry.key)
        as_it_lies = is_registered_as_it_lies(entry.registered_path, key=entry.key)
        if not as_it_lies or self._failure(url, columns) is None or not self._is_as_taken_in(entry):
            return None
        try:
            self._backend.place.temp_directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._backend.place.temp_directory) as folder:
                copy = Path(folder) / "object.parquet"
                self._fetch(entry, copy)
                failure = self._failure(str(copy), columns) if self._is_as_taken_in(entry) else None
        except FileNotFoundError:
            return None
        except StorageError:
            if self._is_as_taken_in(entry):
                raise
            return None
        except OSError as error:
            raise TryAgainError(
                f"{entry.key}: no copy can be written in {self._backend.place.temp_directory}",
                found=os.strerror(error.errno) if error.errno else type(error).__name__,
                todo="Make room or mend the permissions, then run the feed again",
            ) from error
        return None if failure is None or not damaged_copy(failure) else _told(failure, copy)

    def _failure(self, path: str, columns: Sequence[str]) -> duckdb.Error | None:
        try:
            self._read(path, columns)
        except duckdb.Error as error:
            self.close()  # an internal error invalidates the whole DuckDB
            return error
        return None

    def _read(self, path: str, columns: Sequence[str]) -> None:
        if self._connection is None:
            self._connection = connect(self._backend, read_only=True)
        wanted = {folded(name) for name in columns}
        with self._connection.cursor() as cursor:
            source, values = "read_parquet(?, hive_partitioning = false)", [glob_escaped(path)]
            have = [row[0] for row in cursor.execute(f"DESCRIBE SELECT * FROM {source}", values).fetchall()]
            read = ", ".join(quoted(name) for name in have if folded(name) in wanted)
            if read:
                cursor.execute(f"SELECT bit_xor(hash({read})) FROM {source}", values).fetchall()

    def _fetch(self, entry: LedgerEntry, copy: Path) -> None:
        with copy.open("wb") as file:
            for start in range(0, entry.size_bytes, _RANGE):
                length = min(_RANGE, entry.size_bytes - start)
                file.write(self._store.read_range(entry.key, start=start, length=length))

    def _is_as_taken_in(self, entry: LedgerEntry) -> bool:
        now = self._store.head(entry.key)
        return now is not None and (now.etag, now.size_bytes) == (entry.etag, entry.size_bytes)


def _told(failure: duckdb.Error, copy: Path) -> str:
    return first_line(failure).replace(str(copy), copy.name)[:300]
