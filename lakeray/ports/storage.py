"""The raw prefix of a bucket or folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lakeray.values.model import SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of a listing: what is directly under a prefix."""

    prefixes: tuple[str, ...]
    """Keys of the next level, with a trailing slash."""
    files: tuple[SourceFile, ...]


class ObjectStore(Protocol):
    """The raw prefix of a bucket or folder. Keys are relative to it. All calls raise ``StorageError``."""

    def list_level(self, prefix: str) -> Level:
        """What is directly under ``prefix`` (with trailing slash)."""

    def list_files(self, prefix: str, *, start_after: str | None = None) -> Iterator[SourceFile]:
        """Every object below ``prefix`` whose key sorts after ``start_after`` (exclusive), streamed by page."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None when there is none."""

    def exists(self, key: str) -> bool:
        """Whether there is an object."""

    def read_whole(self, key: str) -> bytes | None:
        """All bytes of a small object, or None when there is none."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one; False when there is. Of several at once exactly one writes."""

    def exchange(self, key: str, data: bytes, *, instead_of: bytes) -> bool:
        """Write an object in place of the one with these bytes; False when it has others by now, or is gone."""

    def read_above(self, prefix: str, name: str) -> Sequence[tuple[str, bytes]]:
        """The objects of this name in every folder above ``prefix``, with their addresses; nearest first.

        Those above the raw prefix, too. What we may not read counts as not there.
        """

    def put_file(self, key: str, path: Path) -> None:
        """Write the local file at ``path`` as the object, atomically."""

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes ``start`` (inclusive) to ``start + length`` (exclusive)."""

    def is_addressable(self, key: str) -> bool:
        """Whether DuckDB can open ``url(key)``; else a copy under a plain name is registered in the object's place."""

    def url(self, key: str) -> str:
        """What DuckDB opens, and what is registered: a path or ``s3://`` address."""


class RawStore(ObjectStore, Protocol):
    """A store from which objects can be deleted, too."""

    def delete(self, key: str) -> None:
        """Delete one object; one that is gone already is no error."""
