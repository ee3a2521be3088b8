"""Reading a registered file as dbt would, in a process apart, to tell whether it can be read at all (P6)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lakeray.adapters.parquet.apart import APART
from lakeray.values.errors import StorageError, TryAgainError
from lakeray.values.globs import glob_escaped
from lakeray.values.keys import is_registered_as_it_lies
from lakeray.values.model import LedgerEntry, RejectReason, SourceFile, Unreadable

_RANGE = 8 * 1024 * 1024
_ROWS = 2_048
"""Rows of a row group that is written: what is collected for one is in memory."""


class ReadsRaw(Protocol):
    """The part of the object store that reading needs."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes of an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rereading:
    """Fetches registered files and lets another process read them: it may end at one, or hang."""

    store: ReadsRaw
    temp: Path
    """A folder for what is fetched, gone again after each file."""
    memory_bytes: int
    """DuckDB's memory limit: what a merge has."""

    def unreadable(self, entry: LedgerEntry, landing: Mapping[str, str]) -> Unreadable | None:
        """Why the landing columns of the file cannot be read or written; None when they can, or for another's fault.

        A converted copy was read in whole when it was made, and an object that changed or vanished is a matter of P14.

        Args:
            landing: the types of the landing table's columns, by name.

        Raises:
            StorageError: the storage failed.
            TryAgainError: the temporary folder takes no copy, or no process works that reads it.
        """
        if not is_registered_as_it_lies(entry.registered_path, key=entry.key):
            return None
        try:
            self.temp.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.temp) as folder:
                answer = self._read(entry, landing, Path(folder))
            verdict = _verdict(entry, answer)
            return verdict if verdict is not None and self._is_as_taken_in(entry) else None
        except FileNotFoundError:
            return None
        except StorageError:  # a read past the end of an object that shrank is one, too
            if self._is_as_taken_in(entry):
                raise
            return None
        except OSError as error:
            found = os.strerror(error.errno) if error.errno else type(error).__name__
            raise _no_room(entry, self.temp, found) from error

    def _read(self, entry: LedgerEntry, landing: Mapping[str, str], folder: Path) -> Mapping[str, Any]:
        copy = folder / "object.parquet"
        with copy.open("wb") as file:
            for start in range(0, entry.size_bytes, _RANGE):
                length = min(_RANGE, entry.size_bytes - start)
                file.write(self.store.read_range(entry.key, start=start, length=length))
        question = {
            "source": glob_escaped(str(copy)),
            "temp": str(folder / "spill"),
            "landing": dict(landing),
            "into": str(folder / "written.parquet"),
            "rows": _ROWS,
            "memory_bytes": self.memory_bytes,
        }
        try:
            return APART.ask(question, size_bytes=entry.size_bytes)
        except MemoryError as error:
            return {"memory": str(error)}

    def _is_as_taken_in(self, entry: LedgerEntry) -> bool:
        now = self.store.head(entry.key)
        return now is not None and (now.etag, now.size_bytes) == (entry.etag, entry.size_bytes)


def _verdict(entry: LedgerEntry, answer: Mapping[str, Any]) -> Unreadable | None:
    if "disk" in answer:
        raise TryAgainError(f"{entry.key}: it cannot be read again now", found=answer["disk"])
    if "reason" not in answer:  # read, or out of memory, or a question that DuckDB does not take
        return None
    return Unreadable(reason=RejectReason(answer["reason"]), detail=answer["detail"])


def _no_room(entry: LedgerEntry, temp: Path, found: str) -> TryAgainError:
    return TryAgainError(
        f"{entry.key}: no copy can be written in {temp}",
        found=found,
        todo="Make room or mend the permissions, then run the feed again",
    )
