"""The raw prefix in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from lakeray.ports.storage import Level
from lakeray.values.errors import LakerayError, NotThereError, StorageError
from lakeray.values.keys import is_claim
from lakeray.values.model import SourceFile

_BASE = "memory://raw/"


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    etag: str
    last_modified: datetime


class MemoryStore:
    """The ``ObjectStore`` port. As on S3, the ETag is a digest of the bytes and names are listed in byte order."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}
        self.fail_after: int | None = None
        """A listing fails when it has shown so many objects; None for never."""
        self.failure: LakerayError = StorageError("listing failed", found="a listing that was cut off")
        """What it fails with."""
        self.is_there = True
        """Whether there is such a bucket."""
        self.requests: list[str] = []
        """Every listing that was asked for."""
        self.reads: list[str] = []
        """The key of every small object that was asked for."""
        self._one_at_a_time = Lock()

    def put(self, key: str, data: bytes, *, at: datetime = datetime(2026, 3, 1, tzinfo=UTC)) -> SourceFile:
        """Write an object."""
        self._objects[key] = _Object(data, hashlib.md5(data, usedforsecurity=False).hexdigest(), at)
        return self._file(key)

    def put_file(self, key: str, path: Path) -> None:
        """Write a local file as the object."""
        self.put(key, path.read_bytes())

    def list_level(self, prefix: str) -> Level:
        """What is directly under ``prefix``."""
        self.requests.append(prefix)
        self._fail_if_told(0)
        below = [key for key in self._everything() if key.startswith(prefix)]
        return Level(
            prefixes=tuple(
                sorted(
                    {prefix + key[len(prefix) :].split("/", 1)[0] + "/" for key in below if "/" in key[len(prefix) :]}
                )
            ),
            files=tuple(self._file(key) for key in below if "/" not in key[len(prefix) :]),
        )

    def list_files(self, prefix: str, *, start_after: str | None = None) -> Iterator[SourceFile]:
        """Every object below ``prefix`` after a key."""
        self.requests.append(prefix)
        shown = 0
        for key in self._everything():
            if key.startswith(prefix) and (start_after is None or key.encode() > start_after.encode()):
                self._fail_if_told(shown)
                shown += 1
                yield self._file(key)
        self._fail_if_told(shown)

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""
        return self._file(key) if key in self._objects else None

    def exists(self, key: str) -> bool:
        """Whether there is an object."""
        return key in self._objects

    def read(self, key: str) -> bytes:
        """All bytes of an object.

        Raises:
            FileNotFoundError: there is none.
        """
        if key not in self._objects:
            raise FileNotFoundError(key)
        return self._objects[key].data

    def read_whole(self, key: str) -> bytes | None:
        """All bytes of a small object, or None."""
        self.reads.append(key)
        return self._objects[key].data if key in self._objects else None

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one."""
        with self._one_at_a_time:
            is_new = key not in self._objects
            if is_new:
                self.put(key, data)
        return is_new

    def exchange(self, key: str, data: bytes, *, instead_of: bytes) -> bool:
        """Write an object in place of the one with these bytes."""
        with self._one_at_a_time:
            is_as_said = self.read_whole(key) == instead_of
            if is_as_said:
                self.put(key, data)
        return is_as_said

    def read_above(self, prefix: str, name: str) -> Sequence[tuple[str, bytes]]:
        """The objects of this name in every folder above ``prefix``."""
        parts = prefix.rstrip("/").split("/")[:-1]
        above = ["/".join([*parts[:depth], name]) for depth in range(len(parts), -1, -1)]
        return [(self.url(key), self._objects[key].data) for key in above if key in self._objects]

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes of an object."""
        data = self.read(key)
        if length <= 0 or start + length > len(data):
            raise StorageError(f"reading {key} failed", expected=f"{length} bytes from {start}", found=str(len(data)))
        return data[start : start + length]

    def delete(self, key: str) -> None:
        """Delete one object; one that is gone already is no error."""
        self._objects.pop(key, None)

    def is_addressable(self, key: str) -> bool:
        """Every key is."""
        return True

    def url(self, key: str) -> str:
        """What is registered."""
        return _BASE + key

    def key_of(self, url: str) -> str:
        """The key of a registered path."""
        return url.removeprefix(_BASE)

    def keys(self) -> list[str]:
        """The key of every object but lakes' claims, in byte order."""
        return [key for key in self._everything() if not is_claim(key)]

    def _everything(self) -> list[str]:
        return sorted(self._objects, key=str.encode)

    def _file(self, key: str) -> SourceFile:
        found = self._objects[key]
        return SourceFile(key=key, etag=found.etag, size_bytes=len(found.data), last_modified=found.last_modified)

    def _fail_if_told(self, shown: int) -> None:
        if not self.is_there:
            raise NotThereError("memory://raw is not there", todo="Is storage.url right?")
        if self.fail_after is not None and shown >= self.fail_after:
            raise self.failure
