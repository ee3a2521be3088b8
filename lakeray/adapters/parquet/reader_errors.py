"""What DuckDB and Arrow say of a file that they cannot read, as a reason and a detail that shows no data."""

from __future__ import annotations

import re

from lakeray.values.model import RejectReason

_NAMED = (
    (re.compile(r"encrypt", re.IGNORECASE), RejectReason.ENCRYPTED, "expected plain Parquet, found an encrypted file"),
    (
        re.compile(
            r"(?:unsupported|unknown|unrecognized|not supported).{0,40}(?:codec|compression)|\bLZO\b|"
            r"(?:codec|compression).{0,60}(?:unsupported|unknown|not supported|not built)",
            re.IGNORECASE,
        ),
        RejectReason.UNSUPPORTED_CODEC,
        "expected a codec that DuckDB reads (uncompressed, snappy, gzip, zstd, brotli, lz4_raw), found another",
    ),
    (
        re.compile(r"unsupported (?:converted|logical|physical|parquet)? ?type", re.IGNORECASE),
        RejectReason.UNSUPPORTED_TYPE,
        "expected types that DuckDB reads, found another",
    ),
    (
        re.compile(r"UTF-?8|string encoding", re.IGNORECASE),
        RejectReason.CORRUPT,
        "expected text in UTF-8, found other bytes",
    ),
)
_DISK = re.compile(r"No space left|Disk quota|Read-only file system|Permission denied|max_temp_directory_size")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'")
_MOST = 200


def reason_of(error: BaseException) -> tuple[RejectReason, str]:
    """The reason for which a file is rejected when a reader says this of it.

    Raises:
        MemoryError: it says nothing about the file.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":
        raise MemoryError(str(error)) from error
    text = str(error)
    for pattern, reason, detail in _NAMED:
        if pattern.search(text):
            return reason, detail
    return RejectReason.CORRUPT, f"expected Parquet that DuckDB reads, found: {without_values(text)}"


def says_disk(error: BaseException) -> bool:
    """Whether the error is this machine's, of the folder that takes what is written."""
    return _DISK.search(str(error)) is not None


def without_values(text: str) -> str:
    """The first line, of printable characters, without what stands in quotes: it may be a value, or a path."""
    first = (text.splitlines() or [""])[0]
    return "".join(sign if sign.isprintable() else "?" for sign in _QUOTED.sub("…", first))[:_MOST]
