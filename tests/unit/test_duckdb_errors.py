"""What DuckDB's messages mean. That DuckDB still says them so is tested with DuckDB itself, in integration."""

from __future__ import annotations

import pytest

from lakeray.adapters.ducklake import duckdb_errors
from lakeray.values.errors import (
    CatalogError,
    LakerayError,
    ObjectGoneError,
    SpillFullError,
    StorageAddressError,
    StorageError,
    StorageRefusedError,
    TransformMemoryError,
)

FOOTERS = "Failed to add data files to DuckLake: "


class IOException(Exception):
    """Named as DuckDB's."""


class HTTPException(IOException):
    """Named as DuckDB's, with its status."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status_code = status


class Error(Exception):
    """DuckDB's bare base class."""


def named(name: str, text: str = "x") -> BaseException:
    """An error of a class of this name."""
    made: BaseException = type(name, (Error,), {})(text)
    return made


FATAL = ("InternalException", "FatalException", "OutOfMemoryException", "InterruptException")


def test_the_first_line_alone_is_told() -> None:
    assert duckdb_errors.first_line(Error("IO Error: gone\nLINE 1: SELECT secret")) == "IO Error: gone"


@pytest.mark.parametrize(
    ("error", "in_storage", "on_disk"),
    [
        (named("InvalidInputException", "not a Parquet file"), True, True),
        (IOException("cannot open"), True, False),
        (HTTPException("HTTP 404", 404), True, False),
        (Error(FOOTERS + "TProtocolException"), True, True),
        (named("ConversionException", FOOTERS + "a bound"), True, True),
        (named("ConversionException", "a bound"), False, False),
        (named("CatalogException"), False, False),
        *((named(name, FOOTERS + "x"), False, False) for name in FATAL),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_who_is_at_fault_when_files_are_registered(error: BaseException, in_storage: bool, on_disk: bool) -> None:
    assert duckdb_errors.refuses_a_file(error, in_storage=True) is in_storage
    assert duckdb_errors.refuses_a_file(error, in_storage=False) is on_disk


@pytest.mark.parametrize("status", [0, 403, 404, 412, 416, 429, 500, 503])
def test_three_answers_tell_of_one_object_and_all_others_of_the_storage(status: int) -> None:
    about_the_object = status in (404, 412, 416)
    assert duckdb_errors.storage_failed(HTTPException("HTTP Error: x", status)) is not about_the_object
    around = duckdb_errors.failed_around(f"HTTP Error: Unable to read 's3://raw/a' (HTTP {status} So It Is)")
    of_storage = StorageRefusedError if status == 403 else StorageError
    assert around is (ObjectGoneError if about_the_object else of_storage)


def test_no_answer_at_all_is_the_storages_fault() -> None:
    text = "IO Error: Could not establish connection error for HTTP GET to '/raw'"
    assert duckdb_errors.storage_failed(IOException(text))
    assert duckdb_errors.failed_around(text) is StorageAddressError
    assert not duckdb_errors.storage_failed(IOException("IO Error: No files found that match the pattern"))


@pytest.mark.parametrize(
    ("text", "conflict"),
    [
        ("Failed to execute: UNIQUE constraint failed: ducklake_snapshot.snapshot_id", True),
        ("database is locked", True),
        ("Duplicate key violates PRIMARY KEY constraint", True),
        ("disk I/O error", False),
    ],
)
def test_another_writer_of_sqlite_is_told_from_a_failure(text: str, conflict: bool) -> None:
    assert duckdb_errors.sqlite_conflict(Error(text)) is conflict


def test_a_database_without_a_lake_is_told_from_one_that_does_not_answer() -> None:
    text = 'Existing DuckLake at "sqlite:x" does not exist - and creating a new DuckLake is explicitly disabled'
    assert duckdb_errors.lacks_lake(named("InvalidInputException", text))
    assert not duckdb_errors.lacks_lake(IOException("Unable to connect to Postgres"))


def test_a_lake_without_bookkeeping_is_told_from_a_catalog_that_fails() -> None:
    text = "Catalog Error: Table with name meta.ledger does not exist!"
    assert duckdb_errors.lacks_bookkeeping(named("CatalogException", text))
    assert not duckdb_errors.lacks_bookkeeping(named("IOException", text))
    assert not duckdb_errors.lacks_bookkeeping(named("CatalogException", "Table with name orders does not exist!"))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Out of Memory Error: could not allocate block of 256 KiB (1.0 GiB/1.0 GiB used)", TransformMemoryError),
        ("Invalid Error: Failed to offload 16.0 MiB of memory", TransformMemoryError),
        ("Out of Memory Error: failed to offload, by 'max_temp_directory_size'", SpillFullError),
        ("TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction", CatalogError),
        ("IO Error: Unable to connect to Postgres at host=db", CatalogError),
        ("Invalid Error: terminating connection due to administrator command", CatalogError),
        ("Binder Error: no such column", None),
        ("Out of Memory Error: while HTTP 503 was answered", TransformMemoryError),
    ],
)
def test_what_dbt_repeats_is_told_by_its_text(text: str, kind: type[LakerayError] | None) -> None:
    assert duckdb_errors.failed_around(f"Runtime Error in model x\n  {text}") is kind
