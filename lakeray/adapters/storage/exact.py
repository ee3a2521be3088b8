"""Keys that obstore cannot say: control characters, empty segments, names that are no text.

An S3 listing in plain XML cannot carry control characters: SeaweedFS writes U+FFFD for them, and obstore refuses tabs
and line breaks. boto3 asks for the keys percent-encoded. A folder's names are bytes: what is no UTF-8 is listed
percent-encoded, with the reason why nobody can ask for it.
"""

# Paths are bytes here, which pathlib does not take.
# ruff: noqa: PTH103, PTH105, PTH108, PTH113, PTH120, PTH116, PTH118, PTH123

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_from_bytes

from lakeray.ports.storage import Level
from lakeray.values.causes import storage_cause
from lakeray.values.errors import StorageError
from lakeray.values.model import SourceFile

REPLACED = "\ufffd"
"""What a server writes for a character that its XML cannot hold."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_ODD_SEGMENT = re.compile(r"(?:^|/)\.{0,2}(?:/|$)")
_STAGED = re.compile(r"#\d+$")
"""How obstore names a file that it is still writing."""
_NO_TEXT = "expected a name in UTF-8, found other bytes (shown percent-encoded); give the object another name"


def has_control_characters(key: str) -> bool:
    """Whether a control character of ASCII occurs in the key."""
    return _CONTROL.search(key) is not None


def is_odd(key: str) -> bool:
    """Whether obstore refuses to say the key."""
    return has_control_characters(key) or _ODD_SEGMENT.search(key.rstrip("/")) is not None


class ExactKeys(Protocol):
    """A store whose keys are taken as they are. Keys are relative to the raw prefix."""

    def list_files(self, prefix: str, *, start_after: str | None) -> Iterator[SourceFile]:
        """Every object below ``prefix`` whose key sorts after ``start_after`` (exclusive)."""

    def list_level(self, prefix: str) -> Level:
        """What is directly under ``prefix``."""

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes of an object.

        Raises:
            FileNotFoundError: there is none.
        """

    def put_file(self, key: str, path: Path) -> None:
        """Write the local file at ``path`` as the object, atomically."""

    def delete(self, key: str) -> None:
        """Delete one object; one that is gone already is no error."""


class ExactFolder:
    """``ExactKeys`` of a folder."""

    def __init__(self, root: Path) -> None:
        self._root = os.fsencode(root)

    def list_files(self, prefix: str, *, start_after: str | None) -> Iterator[SourceFile]:
        """See ``ExactKeys``; in no order."""
        for folder, _, names in os.walk(self._path(prefix), followlinks=True):
            for name in names:
                found = self._file(os.path.join(folder, name))
                if found is not None and (start_after is None or found.key > start_after):
                    yield found

    def list_level(self, prefix: str) -> Level:
        """See ``ExactKeys``."""
        folders: list[str] = []
        files: list[SourceFile] = []
        with suppress(FileNotFoundError), os.scandir(self._path(prefix)) as entries:
            for entry in entries:
                if entry.is_dir():
                    folders.append(self._key(entry.path)[0] + "/")
                elif (found := self._file(entry.path)) is not None:
                    files.append(found)
        return Level(prefixes=tuple(sorted(folders)), files=tuple(files))

    def head(self, key: str) -> SourceFile | None:
        """See ``ExactKeys``."""
        return self._file(self._path(key))

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """See ``ExactKeys``."""
        with open(self._path(key), "rb") as file:
            file.seek(start)
            return file.read(length)

    def put_file(self, key: str, path: Path) -> None:
        """See ``ExactKeys``."""
        target = self._path(key)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(path, target + b"#1")
        os.replace(target + b"#1", target)

    def delete(self, key: str) -> None:
        """See ``ExactKeys``."""
        with suppress(FileNotFoundError):
            os.unlink(self._path(key))

    def _path(self, key: str) -> bytes:
        return os.path.join(self._root, key.encode("utf-8", "surrogateescape"))

    def _key(self, path: bytes) -> tuple[str, str]:
        """The key, and why nobody can ask for it."""
        relative = path[len(self._root) :].lstrip(b"/")
        try:
            return relative.decode("utf-8"), ""
        except UnicodeDecodeError:
            return quote_from_bytes(relative, safe="/=+,@:~!$&'()*;"), _NO_TEXT

    def _file(self, path: bytes) -> SourceFile | None:
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        key, problem = self._key(path)
        if not os.path.isfile(path) or _STAGED.search(key):
            return None
        modified_us = found.st_mtime_ns // 1000
        return SourceFile(
            key=key,
            etag=f"{modified_us:x}-{found.st_size:x}",  # as obstore's, without the inode
            size_bytes=found.st_size,
            last_modified=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=modified_us),
            problem=problem,
        )


class ExactBucket:
    """``ExactKeys`` of a prefix on S3, by boto3, which asks for keys percent-encoded."""

    def __init__(self, bucket: str, *, prefix: str, connect: Callable[[], Any]) -> None:
        """Name the place; nothing is asked of it yet.

        Args:
            prefix: with a trailing slash, or empty.
            connect: makes a boto3 client. Picklable.
        """
        self._bucket = bucket
        self._prefix = prefix
        self._connect = connect
        self._client: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the client: a worker makes its own."""
        return {**self.__dict__, "_client": None}

    def list_files(self, prefix: str, *, start_after: str | None) -> Iterator[SourceFile]:
        """See ``ExactKeys``; by name."""
        more = {} if start_after is None else {"StartAfter": self._prefix + start_after}
        for page in self._pages(prefix, **more):
            yield from self._files(page)

    def list_level(self, prefix: str) -> Level:
        """See ``ExactKeys``."""
        prefixes: set[str] = set()
        files: list[SourceFile] = []
        for page in self._pages(prefix, Delimiter="/"):
            prefixes.update(item["Prefix"].removeprefix(self._prefix) for item in page.get("CommonPrefixes", ()))
            files.extend(self._files(page))
        return Level(prefixes=tuple(sorted(prefixes)), files=tuple(files))

    def head(self, key: str) -> SourceFile | None:
        """See ``ExactKeys``."""
        found = self._asked(f"looking up {key}", "head_object", Key=self._prefix + key)
        if found is None:
            return None
        return SourceFile(
            key=key,
            etag=found["ETag"].strip('"'),
            size_bytes=found["ContentLength"],
            last_modified=found["LastModified"],
        )

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """See ``ExactKeys``."""
        wanted = f"bytes={start}-{start + length - 1}"
        found = self._asked(f"reading {key}", "get_object", Key=self._prefix + key, Range=wanted)
        if found is None:
            raise FileNotFoundError(key)
        return bytes(found["Body"].read())

    def put_file(self, key: str, path: Path) -> None:
        """See ``ExactKeys``."""
        with path.open("rb") as file:
            self._asked(f"writing {key}", "put_object", Key=self._prefix + key, Body=file)

    def delete(self, key: str) -> None:
        """See ``ExactKeys``."""
        self._asked(f"deleting {key}", "delete_object", Key=self._prefix + key)

    def _pages(self, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
        token: dict[str, str] = {}
        while True:
            asked = {"Prefix": self._prefix + prefix, **more, **token}
            page = self._asked(f"listing {prefix}", "list_objects_v2", **asked) or {}
            yield page
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _files(self, page: dict[str, Any]) -> Iterator[SourceFile]:
        for item in page.get("Contents", ()):
            key = item["Key"].removeprefix(self._prefix)
            unsayable = REPLACED in key and self.head(key) is None  # its bytes were no UTF-8
            yield SourceFile(
                key=key,
                etag=item["ETag"].strip('"'),
                size_bytes=item["Size"],
                last_modified=item["LastModified"],
                problem=_NO_TEXT if unsayable else "",
            )

    def _asked(self, doing: str, operation: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        if self._client is None:
            self._client = self._connect()
        try:
            return getattr(self._client, operation)(Bucket=self._bucket, **arguments)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404 and "Key" in arguments:
                return None
            raise failed(doing, error) from error
        except BotoCoreError as error:
            raise failed(doing, error) from error


def failed(doing: str, error: Exception) -> StorageError:
    """The error for what a client of the object store raised, by what it says."""
    cause = storage_cause(str(error))
    return cause(
        f"{doing} failed",
        found=str(error).split("\n", 1)[0],
        todo=cause.advice or "Nothing was lost; run the command again when the storage answers",
    )
