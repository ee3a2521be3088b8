"""Small objects that several processes write at once: exactly one of them wins.

An S3 that knows no conditions either leaves them out, or refuses the request: then it is written without. The last one
wins there, so whoever wrote reads what he finds before he relies on it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

_DENIED = (PermissionDeniedError, UnauthenticatedError, PermissionError, FileNotFoundError, NotADirectoryError)
_NO_CONDITIONS = ("NotImplemented", "501 Not Implemented")
"""What a server says that does not know a header of the request; obstore has no word for it."""
Store = LocalStore | S3Store


def create(store: Store, path: str, data: bytes) -> bool:
    """Write an object unless there is one. On S3 the server decides, in a folder a hard link does."""
    try:
        obstore.put(store, path, data, mode="create")
    except AlreadyExistsError:
        return False
    except BaseError as error:
        if not _is_unconditional(error):
            raise
        obstore.put(store, path, data)
    return True


def _is_unconditional(error: BaseError) -> bool:
    return any(words in str(error) for words in _NO_CONDITIONS)


def exchange_in_bucket(store: Store, path: str, data: bytes, *, instead_of: bytes) -> bool:
    """Write an object in place of the one with these bytes; the server refuses when it is another one by then."""
    try:
        found = obstore.get(store, path)
        if bytes(found.bytes()) != instead_of:
            return False
        obstore.put(store, path, data, mode={"e_tag": found.meta["e_tag"] or ""})
    except (PreconditionError, FileNotFoundError):
        return False
    except BaseError as error:
        if not _is_unconditional(error):
            raise
        obstore.put(store, path, data)
    return True


def exchange_in_folder(path: Path, data: bytes, *, instead_of: bytes) -> bool:
    """The same of a file: who holds the lock on the old one writes the new one, and nobody else does after that."""
    try:
        with path.open("rb") as old:
            fcntl.flock(old, fcntl.LOCK_EX)
            if path.read_bytes() != instead_of:  # by its name: the one that was opened may be replaced already
                return False
            staged = path.with_name(f".{path.name}.{os.getpid()}")
            staged.write_bytes(data)
            staged.replace(path)
    except FileNotFoundError:
        return False
    return True


def read_above_in_bucket(store: Store, path: str, name: str) -> list[tuple[str, bytes]]:
    """The objects of this name in every folder above ``path``, up to the bucket; with their paths."""
    parts = path.strip("/").split("/")[:-1]
    found = []
    for depth in range(len(parts), -1, -1):
        above = "/".join([*parts[:depth], name])
        try:
            found.append((above, bytes(obstore.get(store, above).bytes())))
        except _DENIED:
            continue
        except BaseError as error:
            if "403" not in str(error):
                raise
    return found


def read_above_in_folder(folder: Path, name: str) -> list[tuple[str, bytes]]:
    """The same of a folder, up to the root of the file system."""
    found = []
    for above in folder.parents:
        try:
            found.append((str(above / name), (above / name).read_bytes()))
        except OSError:
            continue
    return found
