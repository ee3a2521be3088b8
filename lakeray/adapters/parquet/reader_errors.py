"""What DuckDB and Arrow say of a file that they cannot read, as a reason and a detail that shows no data."""

from __future__ import annotations

import re

from lakeray.values.model import RejectReason
from lakeray.values.redaction import line_without_values
from lakeray.values.refusals import named_reason

_DISK = re.compile(
    r"No space left|Disk quota|Read-only file system|Permission denied|max_temp_directory_size|No files found that|"
    r"Cannot open file|Input/output error|Too many open files"
)


def reason_of(error: BaseException) -> tuple[RejectReason, str]:
    """The reason for which a file is rejected when a reader says this of it.

    Raises:
        MemoryError: it says nothing about the file.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryException":
        raise MemoryError(str(error)) from error
    text = str(error)
    return named_reason(text) or (
        RejectReason.CORRUPT,
        f"expected Parquet that DuckDB reads, found: {line_without_values(text)}",
    )


def says_disk(error: BaseException) -> bool:
    """Whether the error is this machine's, of the folder that takes what is written."""
    return _DISK.search(str(error)) is not None
