"""What DuckDB's messages mean: the one place that reads them.

A DuckDB error is told by its class, an error that came through dbt by its text alone: dbt keeps the message and drops
the class. This module imports no DuckDB: whoever has one of its errors has imported it.
"""

from __future__ import annotations

import re

from lakeray.values.causes import disk_full, storage_cause
from lakeray.values.errors import (
    CatalogError,
    DiskFullError,
    LakerayError,
    ObjectGoneError,
    SpillFullError,
    StorageAddressError,
    StorageError,
    TransformFaultError,
    TransformMemoryError,
)

ABOUT_THE_OBJECT = (404, 412, 416)
"""HTTP answers that tell of one object: gone, another one, shorter. All others tell of the storage."""
READING_FOOTERS = "Failed to add data files to DuckLake: "
"""How DuckLake begins what its Parquet reader met in a footer; the class behind it may be any."""
_FATAL = ("InternalException", "FatalException", "OutOfMemoryException", "InterruptException")
"""Classes of errors that tell of DuckDB or this machine, whatever file was being read."""
_CONFLICTS = ("UNIQUE constraint failed", "database is locked", "PRIMARY KEY")
"""SQLite's, when another transaction got in between."""
_TRANSPORT = " error for HTTP "
"""No answer at all. Raised as an IOException too."""
_STATUS = re.compile(r"\bHTTP (?:code )?(\d{1,3})\b")
"""A status of 0 is no HTTP status: DuckDB could not make sense of an answer."""
_MEMORY = re.compile(r"Out of Memory Error:|failed to (?:pin|allocate|offload) .*memory", re.IGNORECASE)
_SPILL = "max_temp_directory_size"
"""What DuckDB names when the disk for what does not fit into memory is full."""
_FAULT = re.compile(r"\bINTERNAL Error:|\bFATAL Error:|\bUnhandled error while executing")
_CATALOG = re.compile(
    r"Failed to commit DuckLake transaction|Failed to (?:query|execute).*metadata|database is locked|"
    r"[Uu]nable to connect to Postgres|server closed the connection|terminating connection|TransactionContext Error"
)


def first_line(error: BaseException) -> str:
    """The first line of an error's text: what went wrong, without the SQL and its values."""
    return str(error).split("\n", 1)[0]


def refuses_a_file(error: BaseException, *, in_storage: bool) -> bool:
    """Whether DuckLake says by it that it cannot read or map one of the files that it was to register.

    Anything else, out of memory above all, says nothing about the file, which must not be rejected for it (P6).

    Args:
        in_storage: the files are where they were delivered, so that an IOException tells of them, or of the storage:
            ask ``storage_failed`` too. Of files that were made on this machine it tells of the disk.
    """
    if _is(error, "InvalidInputException") or (in_storage and _is(error, "IOException")):
        return True
    # What DuckDB's Parquet reader meets in a footer comes with any class, Thrift's exceptions with the bare base class.
    return READING_FOOTERS in str(error) and not _is(error, *_FATAL)


def broke_down(error: BaseException) -> bool:
    """Whether DuckDB met an error inside of itself: it serves nothing more, and a transaction that is open ends the
    process."""
    return _is(error, "InternalException", "FatalException")


def storage_failed(error: BaseException) -> bool:
    """Whether the storage failed, and not one of its objects: a file that is rejected for it would stay out (P6)."""
    status: int | None = getattr(error, "status_code", None) if _is(error, "HTTPException") else None
    return _no_storage(str(error), [] if status is None else [status])


def is_of_the_storage(error: BaseException) -> bool:
    """Whether a file or an object could not be read, as against a statement that is wrong."""
    return _is(error, "IOException", "HTTPException")


def sqlite_conflict(error: BaseException) -> bool:
    """Whether another transaction of an SQLite catalog got in between."""
    return any(sign in str(error) for sign in _CONFLICTS)


def lacks_lake(error: BaseException) -> bool:
    """Whether a database is there, and no lake in it yet: who made it was cut off before DuckLake did its part."""
    return "does not exist - and creating a new DuckLake is explicitly disabled" in str(error)


def lacks_bookkeeping(error: BaseException) -> bool:
    """Whether a catalog is there, and schema meta or a table of it is not yet."""
    return _is(error, "CatalogException") and "meta" in str(error) and "does not exist" in str(error)


def lacks_column(error: BaseException) -> bool:
    """Whether a statement asks for what a table does not have: a lake of an earlier version may lack a column."""
    return _is(error, "BinderException")


def failed_around(text: str) -> type[LakerayError] | None:
    """What failed around a model, by what DuckDB said to dbt; None when it was the model or its data."""
    if _MEMORY.search(text):
        return SpillFullError if _SPILL in text else TransformMemoryError
    if disk_full(text):
        return DiskFullError
    statuses = [int(status) for status in _STATUS.findall(text)]
    if _no_storage(text, statuses):
        cause = storage_cause(text)
        return StorageAddressError if cause is StorageError and _TRANSPORT in text and not any(statuses) else cause
    if _CATALOG.search(text):
        return CatalogError
    if statuses:
        return ObjectGoneError
    return TransformFaultError if _FAULT.search(text) else None


def _no_storage(text: str, statuses: list[int]) -> bool:
    return _TRANSPORT in text or any(status not in ABOUT_THE_OBJECT for status in statuses)


def _is(error: BaseException, *names: str) -> bool:
    """Whether the error is of one of these classes of DuckDB's, or below one."""
    return any(cls.__name__ in names for cls in type(error).__mro__)
