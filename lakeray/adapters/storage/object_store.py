"""The raw prefix on S3 or in a folder, by obstore: one interface for both."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from lakeray.adapters.storage import small_objects
from lakeray.adapters.storage.exact import (
    REPLACED,
    ExactBucket,
    ExactFolder,
    ExactKeys,
    failed,
    has_control_characters,
    is_odd,
)
from lakeray.adapters.storage.place import RAW, Place
from lakeray.ports.storage import Level
from lakeray.values.errors import StorageError, UsageError
from lakeray.values.model import SourceFile

_PAGE = 1000
_RETRIES: Any = {
    "max_retries": 10,
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=5), "base": 2},
    "retry_timeout": timedelta(seconds=90),
}
"""On 5xx, SlowDown, timeouts and resets: jittered, and never longer than the deadline."""
_CUT_OFF = "list response body"
"""What obstore says of a listing whose body was cut off: the one thing that it does not try again by itself."""
_LISTINGS = 5
_ASKED_OR_XML = frozenset("?&<>")
_INVALID_PATH = "invalid path"
"""What obstore says of a listing that holds a key which it cannot say."""


class ObstoreStore:
    """The ``ObjectStore`` port. Keys are relative to the prefix that ``url`` names.

    Make it with ``open_store``. Picklable: a worker opens its own connection. Only writing makes a folder.
    """

    def __init__(self, place: Place, *, bucket: S3Store | None, prefix: str, base_url: str, exact: ExactKeys) -> None:
        self._place = place
        self._opened: LocalStore | S3Store | None = bucket
        self._prefix = prefix
        self._base_url = base_url
        self._exact = exact

    def list_level(self, prefix: str) -> Level:
        """What is directly under ``prefix``."""
        if not self._is_listed():
            return Level(prefixes=(), files=())
        cut_off = 0
        while True:
            try:
                with _storage(f"listing {prefix}"):
                    found = obstore.list_with_delimiter(self._store, prefix=self._prefix + prefix)
                break
            except StorageError as error:
                if _is_unsayable(error):
                    return self._exact.list_level(prefix)
                cut_off = self._counted(error, cut_off)
        if any(REPLACED in item for item in found["common_prefixes"]) or _has_replaced(found["objects"]):
            return self._exact.list_level(prefix)
        return Level(
            prefixes=tuple(sorted(self._key(item) + "/" for item in found["common_prefixes"])),
            files=tuple(self._file(meta) for meta in found["objects"]),
        )

    def list_files(self, prefix: str, *, start_after: str | None = None) -> Iterator[SourceFile]:
        """Every object below ``prefix`` after a key, streamed by page."""
        if not self._is_listed():
            return
        after = "" if start_after is None else self._prefix + start_after
        last, cut_off = after, 0
        pages = self._pages(prefix, after)
        while True:
            try:
                with _storage(f"listing {prefix}"):
                    page = next(pages, None)
            except StorageError as error:
                if _is_unsayable(error):
                    yield from self._exact.list_files(prefix, start_after=start_after)  # again from the start
                    return
                after, cut_off = last, self._counted(error, cut_off)
                pages = self._pages(prefix, after)  # S3 lists by name: what comes after the last key was not seen yet
                continue
            if page is None:
                return
            if _has_replaced(page):
                yield from self._exact.list_files(prefix, start_after=start_after)
                return
            yield from (self._file(meta) for meta in page if meta["path"] > after)
            last, cut_off = page[-1]["path"], 0

    def head(self, key: str) -> SourceFile | None:
        """The object, or None."""
        if is_odd(key):
            return self._exact.head(key)
        if not self._place.is_there():
            return None
        try:
            with _storage(f"looking up {key}"):
                return self._file(obstore.head(self._store, self._prefix + key))
        except FileNotFoundError:
            return None

    def exists(self, key: str) -> bool:
        """Whether there is an object."""
        return self.head(key) is not None

    def read_whole(self, key: str) -> bytes | None:
        """All bytes of a small object, or None."""
        if not self._place.is_there():
            return None
        try:
            with _storage(f"reading {key}"):
                return bytes(obstore.get(self._store, self._prefix + key).bytes())
        except FileNotFoundError:
            return None

    def create(self, key: str, data: bytes) -> bool:
        """Write an object unless there is one.

        Raises:
            NotThereError: there is no such folder; it is not made for this.
        """
        is_there = self._is_listed()
        with _storage(f"writing {key}"):
            if not is_there:
                self._make_folder()
            return small_objects.create(self._store, self._prefix + key, data)

    def exchange(self, key: str, data: bytes, *, instead_of: bytes) -> bool:
        """Write an object in place of the one with these bytes."""
        with _storage(f"writing {key}"):
            if self._place.folder is not None:
                return small_objects.exchange_in_folder(Path(self._base_url) / key, data, instead_of=instead_of)
            return small_objects.exchange_in_bucket(self._store, self._prefix + key, data, instead_of=instead_of)

    def read_above(self, prefix: str, name: str) -> Sequence[tuple[str, bytes]]:
        """The objects of this name in every folder above ``prefix``."""
        with _storage(f"looking above {prefix}"):
            if self._place.folder is not None:
                return small_objects.read_above_in_folder(Path(self._base_url).resolve() / prefix, name)
            found = small_objects.read_above_in_bucket(self._store, self._prefix + prefix, name)
            bucket = self._base_url.split("://", 1)[-1].split("/", 1)[0]
            return [(f"s3://{bucket}/{path}", data) for path, data in found]

    def put_file(self, key: str, path: Path) -> None:
        """Write a local file as the object: staged and renamed, or one upload, so nobody sees half of it."""
        if is_odd(key):
            with _storage(f"writing {key}"):
                self._exact.put_file(key, path)
            return
        with _storage(f"writing {key}"):
            self._make_folder()
            obstore.put(self._store, self._prefix + key, path)

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        """Bytes of an object.

        Raises:
            FileNotFoundError: the object vanished.
            StorageError: fewer bytes came than were asked for, or none.
        """
        with _storage(f"reading {key}"):
            data = self._range(key, start, length)
        if len(data) != length:
            raise StorageError(
                f"reading {key} failed",
                expected=f"{length} bytes from byte {start}",
                found=f"{len(data)}: the object shrank since it was listed, or the answer was cut off",
                todo="Nothing was lost; run the command again",
            )
        return data

    def delete(self, key: str) -> None:
        """Delete one object; one that is gone already is no error."""
        if is_odd(key):
            self._exact.delete(key)
            return
        if not self._place.is_there():
            return
        try:
            with _storage(f"deleting {key}"):
                obstore.delete(self._store, self._prefix + key)
        except FileNotFoundError:
            return

    def url(self, key: str) -> str:
        """What DuckDB opens and what is registered."""
        return f"{self._base_url}/{key}"

    def is_addressable(self, key: str) -> bool:
        """Whether DuckDB can open ``url(key)`` and delete it.

        On S3 a ``?`` begins DuckDB's own parameters. What it asks to be deleted it writes as XML and escapes nothing:
        one such key makes the server refuse all of a request's, so that nothing was ever cleaned up again.
        """
        return self._place.folder is not None or not (_ASKED_OR_XML & set(key) or has_control_characters(key))

    def _range(self, key: str, start: int, length: int) -> bytes:
        if is_odd(key):
            return self._exact.read_range(key, start=start, length=length)
        if not self._place.is_there():
            raise FileNotFoundError(key)
        return bytes(obstore.get_range(self._store, self._prefix + key, start=start, length=length))

    def _make_folder(self) -> None:
        if self._place.folder is not None:
            self._place.folder.mkdir(parents=True, exist_ok=True)

    @property
    def _store(self) -> LocalStore | S3Store:
        """The store; a folder is opened when it is needed, for it must be there by then."""
        if self._opened is None:
            assert self._place.folder is not None
            self._opened = LocalStore(self._place.folder)
        return self._opened

    def _is_listed(self) -> bool:
        """Whether there is a place to list; False for one that lists as an empty one.

        Raises:
            NotThereError: it must be there, and is not.
        """
        if self._place.is_there():
            return True
        if self._place.may_be_missing:
            return False
        raise self._place.missing()

    def _counted(self, error: StorageError, cut_off: int) -> int:
        if self._place.has_refused(error.__cause__):
            raise self._place.missing() from error
        return _counted(error, cut_off)

    def _pages(self, prefix: str, after: str) -> Iterator[Any]:
        offset = _just_before(after) if after else None
        return iter(obstore.list(self._store, prefix=self._prefix + prefix, offset=offset, chunk_size=_PAGE))

    def _key(self, path: str) -> str:
        return path.removeprefix(self._prefix)

    def _etag(self, etag: str) -> str:
        # In a folder it is inode-time-size. A restored copy has another inode and is the same file.
        return etag if self._place.folder is None else etag.partition("-")[2]

    def _file(self, meta: Any) -> SourceFile:
        return SourceFile(
            key=self._key(meta["path"]),
            etag=self._etag((meta["e_tag"] or "").strip('"')),
            size_bytes=meta["size"],
            last_modified=meta["last_modified"],
        )


def open_store(
    url: str,
    *,
    setting: str = RAW,
    may_be_missing: bool = False,
    endpoint_url: str | None = None,
    region: str | None = None,
    access_key_id: str | None = None,
    secret_access_key: str | None = None,
    session_token: str | None = None,
    timeout_s: float = 30.0,
) -> ObstoreStore:
    """The store at ``file:///folder`` or ``s3://bucket/prefix``. Opening makes no folder, nor does reading.

    Args:
        setting: what named it, for errors.
        may_be_missing: a folder that is not there lists as an empty one; else listing it is an error.

    Raises:
        UsageError: the address is of another kind.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        folder = Path(unquote(parts.path))
        place = Place(url=url, setting=setting, folder=folder, may_be_missing=may_be_missing)
        return ObstoreStore(place, bucket=None, prefix="", base_url=str(folder), exact=ExactFolder(folder))
    if parts.scheme == "s3" and parts.netloc:
        prefix = parts.path.strip("/")
        options: dict[str, Any] = {
            "endpoint": endpoint_url,
            "region": region,
            "access_key_id": access_key_id,
            "secret_access_key": secret_access_key,
            "session_token": session_token,
        }
        bucket = S3Store(
            parts.netloc,
            client_options={"allow_http": True, "timeout": f"{timeout_s:g}s", "connect_timeout": "5s"},
            retry_config=_RETRIES,
            **{name: value for name, value in options.items() if value is not None},
        )
        inside = f"{prefix}/" if prefix else ""
        connect = functools.partial(_client, **{**options, "timeout_s": timeout_s})
        exact = ExactBucket(parts.netloc, prefix=inside, connect=connect)
        place = Place(url=f"s3://{parts.netloc}", setting=setting)
        return ObstoreStore(place, bucket=bucket, prefix=inside, base_url=url.rstrip("/"), exact=exact)
    raise UsageError(setting, expected="file:///folder or s3://bucket/prefix", found=url)


def _client(
    *,
    endpoint: str | None,
    region: str | None,
    access_key_id: str | None,
    secret_access_key: str | None,
    session_token: str | None,
    timeout_s: float,
) -> Any:
    import boto3  # 0.3 s, and only odd keys need it
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region or "us-east-1",
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        aws_session_token=session_token,
        config=Config(
            connect_timeout=5,
            read_timeout=timeout_s,
            retries={"max_attempts": 10, "mode": "standard"},
            s3={"addressing_style": "path" if endpoint else "auto"},
        ),
    )


def _is_unsayable(error: StorageError) -> bool:
    return _INVALID_PATH in str(error.__cause__)


def _has_replaced(page: Sequence[Any]) -> bool:
    return any(REPLACED in meta["path"] for meta in page)


def _just_before(key: str) -> str:
    """A name that sorts before ``key``, with hardly any between.

    SeaweedFS leaves out a whole folder when a listing starts after the folder's own name: ``…/day=05`` would hide
    ``…/day=05/part_0.parquet``. What the listing shows too much is left out by us.
    """
    if key.endswith("/"):
        return f"{key} "
    return f"{key[:-1]}{chr(ord(key[-1]) - 1)}~" if "!" < key[-1] <= "~" else key


def _counted(error: StorageError, cut_off: int) -> int:
    """Wait before a cut-off listing is tried again; raises what is no such error, and one too many."""
    if _CUT_OFF not in str(error.__cause__) or cut_off + 1 >= _LISTINGS:
        raise error
    time.sleep(random.uniform(0.05, 0.2 * 2**cut_off))
    return cut_off + 1


@contextmanager
def _storage(doing: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError, ValueError) as error:
        raise failed(doing, error) from error
