"""What several rooms refuse in the same words."""

from __future__ import annotations

import re

from lakeray.values.errors import ContractError
from lakeray.values.model import Column, MergedBy, RejectReason, StreamName

READ_CODECS = "uncompressed, snappy, gzip, zstd, brotli, lz4_raw"
"""The codecs that DuckDB reads, in words."""
_NAMED = (
    (re.compile(r"encrypt", re.IGNORECASE), RejectReason.ENCRYPTED, "expected plain Parquet, found an encrypted file"),
    (
        re.compile(
            r"(?:unsupported|unknown|unrecognized|not supported).{0,40}(?:codec|compression)|\bLZO\b|"
            r"(?:codec|compression).{0,60}(?:unsupported|unknown|not supported|not built)",
            re.IGNORECASE,
        ),
        RejectReason.UNSUPPORTED_CODEC,
        f"expected a codec that DuckDB reads ({READ_CODECS}), found another",
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
    (
        re.compile(r"out of range in timestamp|could not convert timestamp", re.IGNORECASE),
        RejectReason.CORRUPT,
        "expected times that a timestamp of microseconds holds, found others",
    ),
)


def named_reason(said: str) -> tuple[RejectReason, str] | None:
    """Why a file is rejected, and the detail, by what DuckDB or Arrow said of it; None when that has no name."""
    found = ((reason, detail) for pattern, reason, detail in _NAMED if pattern.search(said))
    return next(found, None)


def other_key(stream: StreamName, noted: MergedBy, wanted: MergedBy) -> ContractError:
    """The config names another key or cursor than the rows of the processed table were merged by."""
    if noted.primary_key != wanted.primary_key:
        what, setting = "key", "primary_key"
        old, new = ", ".join(noted.primary_key), ", ".join(wanted.primary_key)
    elif noted.newest_first != wanted.newest_first:
        what, setting = "cursor", "cursor_field"
        old, new = ", ".join(noted.newest_first), ", ".join(wanted.newest_first)
    else:
        what, setting = "cursor type", "cursor_type"
        old, new = noted.cursor_type or "", wanted.cursor_type or ""
    return ContractError(
        f"{stream}: the rows of {stream.processed_table} were merged by another {what} than the stream's config says",
        expected=old or "the extraction time alone",
        found=new or "the extraction time alone",
        todo=f"`lakeray rebuild +stream={stream}` tells what the new {what} would make of them, and makes the table "
        f"anew. Or set {setting} in conf/stream/{stream}.yaml back. Nothing was changed",
    )


def other_type(stream: StreamName, column: Column, *, found: str) -> ContractError:
    """The config says another type than a landing column with rows can become.

    Args:
        found: the column's type.
    """
    return ContractError(
        f"{stream}: column {column.name} of {stream.landing_table} cannot become what the stream's config says",
        expected=f"{found} or a wider type",
        found=str(column.type),
        todo=f"`lakeray rebuild +stream={stream}` tells what the new type would make of the rows that are there, and "
        f"makes the tables anew. Or set fields.{column.name} in conf/stream/{stream}.yaml back to {found}. "
        "Nothing was changed",
    )
