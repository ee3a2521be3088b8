"""Whose fault a failure is, by what operating systems and object stores say of it, whoever repeats it."""

from __future__ import annotations

import errno
import re

from lakeray.values.errors import DiskFullError, StorageAddressError, StorageError, StorageRefusedError, TryAgainError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DISK_FULL = re.compile(
    r"No space left on device|Disk quota exceeded|File too large|database or disk is full|os error 28\b"
)
_REFUSED = re.compile(
    r"(?:\bHTTP(?: code| status)?|\bstatus(?: code)?|\()[ :]*40[13]\b|\b40[13] (?:Forbidden|Unauthorized)|"
    r"\b(?:AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken)\b"
)
_NO_ANSWER = re.compile(
    r"Could not (?:establish connection|connect to server|resolve host)|Couldn't (?:resolve host|connect)|"
    r"Connection refused|dns error|"
    r"error trying to connect|Could not connect to the endpoint|Name or service not known|nodename nor servname|"
    r"Temporary failure in name resolution|failed to lookup address|Moved Permanently|PermanentRedirect|"
    r"redirect without LOCATION",
    re.IGNORECASE,
)


def disk_full(text: str) -> bool:
    """Whether a disk takes nothing more."""
    return _DISK_FULL.search(text) is not None


def storage_cause(text: str) -> type[StorageError]:
    """What an object store's, or its client's, words mean; ``StorageError`` when they say nothing more."""
    if disk_full(text):
        return DiskFullError
    if _REFUSED.search(text):
        return StorageRefusedError
    return StorageAddressError if _NO_ANSWER.search(text) else StorageError


def disk_cause(error: OSError, *, otherwise: type[TryAgainError]) -> type[TryAgainError]:
    """What this machine's words about a folder mean."""
    return DiskFullError if error.errno in _FULL else otherwise
