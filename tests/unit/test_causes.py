"""Whose fault a failure is, by texts that DuckDB, obstore, botocore and the system were provoked to say."""

from __future__ import annotations

import errno
import os

import pytest

from lakeray.adapters.dbt.failures import failure
from lakeray.adapters.ducklake.duckdb_errors import failed_around
from lakeray.ports.transformer import Node, NodeResult
from lakeray.values.causes import disk_cause, storage_cause
from lakeray.values.errors import TryAgainError

_DISK_LIMIT = """This limit was set by the 'max_temp_directory_size' setting.
By default, this setting utilizes the available disk space on the drive where the 'temp_directory' is located."""
OF_DUCKDB = [
    # a full tmpfs, and RLIMIT_FSIZE
    ('IO Error: Could not write file "/lake/x.parquet": No space left on device', "disk_full"),
    ('IO Error: Could not write file "/tmp/duckdb_temp_storage_DEFAULT-0.tmp": File too large', "disk_full"),
    (
        "Out of Memory Error: failed to offload data block of size 256.0 KiB (768.0 KiB/921.5 KiB used).\n"
        + _DISK_LIMIT,
        "spill_full",
    ),
    ("Out of Memory Error: could not allocate block of size 256.0 KiB (57.1 MiB/57.2 MiB used)", "out_of_memory"),
    # an S3 that answers
    (
        "HTTP Error: HTTP GET error reading 'http://127.0.0.1:1/raw/a.parquet' in region '' (HTTP 401 Unauthorized)",
        "storage_refused",
    ),
    (
        "HTTP Error: HTTP GET error reading 's3://raw/a.parquet' in region '' (HTTP 403 Forbidden)\n\n"
        "AccessDenied: Access Denied.\n\nAuthentication Failure - this is usually caused by invalid or missing",
        "storage_refused",
    ),
    ("HTTP Error: Unable to connect to URL s3://raw/a.parquet: Forbidden (HTTP code 403)", "storage_refused"),
    ("HTTP Error: HTTP GET error reading 's3://raw/a.parquet' in region '' (HTTP 404 Not Found)", "object_gone"),
    (
        "HTTP Error: Unable to connect to URL s3://raw/a.parquet: Not Found (HTTP code 404)\n\nNoSuchBucket: none",
        "object_gone",
    ),
    (
        "HTTP Error: HTTP GET error reading 's3://raw/a.parquet' in region '' (HTTP 301 Moved Permanently)",
        "storage_address",
    ),
    ("HTTP Error: Request returned HTTP 503 for HTTP HEAD to 'http://127.0.0.1:1/raw/a.parquet'", "storage"),
    # nobody there
    (
        "IO Error: Could not resolve hostname error for HTTP HEAD to 'http://no.such.host.invalid/b/a.parquet'",
        "storage_address",
    ),
    (
        "IO Error: Could not connect to server error for HTTP HEAD to 'http://127.0.0.1:1/b/a.parquet'",
        "storage_address",
    ),
    ("IO Error: Could not establish connection error for HTTP GET to '/raw'", "storage_address"),
    # nobody's but DuckDB's
    ("INTERNAL Error: Attempted to access index 3 within vector of size 3", "transform_fault"),
    # the catalog
    ("TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction.", "catalog"),
    (
        "TransactionContext Error: Failed to commit: Failed to commit DuckLake transaction. database or disk is full",
        "disk_full",
    ),
    # a model, or its data
    ('Binder Error: Referenced column "x" not found in FROM clause!', "transform"),
    ("Conversion Error: Could not convert string 'MARKER' to INT32", "transform"),
]
OF_CLIENTS = [
    (
        "The operation lacked the necessary privileges to complete for path x: Error performing HEAD "
        "http://127.0.0.1:1/b/x in 1.0ms - Server returned non-2xx status code: 403 Forbidden:",
        "storage_refused",
    ),
    (
        "The operation lacked valid authentication credentials for path x: Error performing HEAD "
        "http://127.0.0.1:1/b/x in 1.1ms - Server returned non-2xx status code: 401 Unauthorized:",
        "storage_refused",
    ),
    ("An error occurred (403) when calling the HeadObject operation: Forbidden", "storage_refused"),
    ("Server returned non-2xx status code: 503 Service Unavailable:", "storage"),
    (
        "Received redirect without LOCATION, this normally indicates an incorrectly configured region",
        "storage_address",
    ),
    ('Could not connect to the endpoint URL: "http://no.such.host.invalid/b?list-type=2"', "storage_address"),
    ('HTTP error: error sending request\n\nDebug source: ConnectError("dns error", Custom {', "storage_address"),
    ("Unable to copy data to file: No space left on device (os error 28)", "disk_full"),
    ("reading a key of 403 letters failed", "storage"),
]


def of_dbt(message: str) -> dict[str, str]:
    """The error that a failed model with this message becomes."""
    node = Node(
        id="model.lakeray.int_shop__orders", name="int_shop__orders", kind="model", tags=frozenset(), parents=()
    )
    result = NodeResult(
        node=node, status="error", message=f"Runtime Error in model x\n  {message}", rows=0, seconds=0.0
    )
    return failure("shop/orders", [result], None, failed_around=failed_around).as_dict()


@pytest.mark.parametrize(("text", "kind"), OF_DUCKDB)
def test_dbts_errors_say_whose_fault_it_was(text: str, kind: str) -> None:
    error = of_dbt(text)
    assert error["kind"] == kind and error["todo"]
    assert ("Mend the model or the data" in error["todo"]) is (kind == "transform")


@pytest.mark.parametrize(("text", "kind"), OF_CLIENTS)
def test_what_clients_of_the_storage_say(text: str, kind: str) -> None:
    cause = storage_cause(text)
    assert cause.kind == kind and bool(cause.advice) is (kind != "storage")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS])
def test_a_full_disk_is_told_from_one_that_does_not_let_us(number: int) -> None:
    is_full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    found = disk_cause(OSError(number, os.strerror(number)), otherwise=TryAgainError)
    assert found.kind == ("disk_full" if is_full else "try_again")


@pytest.mark.parametrize(
    "message",
    [
        "Conversion Error: Could not convert string 'MARKER' to INT32",
        "Conversion Error: Could not convert string 'MARKER's \"x' to INT32",
        'Conversion Error: invalid timestamp field format: "MARKER\nMARKER", expected format is (YYYY-MM-DD)',
        'Constraint Error: PRIMARY KEY or UNIQUE constraint violation: duplicate key "MARKER"',
        'Invalid Input Error: Invalid string encoding found in file "a": value "MARKER\\xFF" is not valid UTF8!',
        "Conversion Error: Type INT32 with value MARKER can't be cast because the value is out of range",
    ],
)
def test_no_value_of_a_row_is_repeated(message: str) -> None:
    assert "MARKER" not in str(of_dbt(message))


def test_names_that_a_model_needs_are_told() -> None:
    assert '"colour"' in of_dbt('Binder Error: Referenced column "colour" not found in FROM clause!')["found"]
