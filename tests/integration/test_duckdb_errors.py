"""DuckDB still says what ``duckdb_errors`` reads: each message is one that DuckDB made just now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import duckdb
import pytest

from lakeray.adapters.ducklake import duckdb_errors
from lakeray.values.errors import (
    DiskFullError,
    ObjectGoneError,
    SpillFullError,
    StorageAddressError,
    StorageError,
    TransformMemoryError,
)
from tests.support.real.disk import tiny


@pytest.fixture
def connection(extension_directory: Path, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with a lake in memory, ``lake.main.orders``."""
    config = {"extension_directory": str(extension_directory), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=config) as opened:
        opened.execute("LOAD ducklake; LOAD sqlite_scanner; LOAD httpfs; SET http_retries = 0")
        opened.execute(f"ATTACH 'ducklake::memory:' AS lake (DATA_PATH '{tmp_path}/lake')")
        opened.execute("CREATE TABLE lake.main.orders (id BIGINT)")
        yield opened


@pytest.fixture
def storage() -> Iterator[str]:
    """A server that answers with the status that the path names."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(int(self.path.split("/")[1]))
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def raised(statement: Callable[[], object]) -> duckdb.Error:
    with pytest.raises(duckdb.Error) as caught:
        statement()
    return caught.value


def registering(connection: duckdb.DuckDBPyConnection, path: str) -> duckdb.Error:
    return raised(lambda: connection.execute(f"CALL ducklake_add_data_files('lake', 'orders', '{path}')"))


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_an_answer_of_the_storage(status: int, connection: duckdb.DuckDBPyConnection, storage: str) -> None:
    error = registering(connection, f"{storage}/{status}/a.parquet")
    assert isinstance(error, duckdb.HTTPException)
    assert duckdb_errors.refuses_a_file(error, in_storage=True)
    assert duckdb_errors.storage_failed(error) is (status != 404)
    cause = ObjectGoneError if status == 404 else StorageError  # what registers says 0 of a 403 without a body
    assert duckdb_errors.failed_around(str(error)) is cause, str(error)


def test_no_answer_of_the_storage(connection: duckdb.DuckDBPyConnection) -> None:
    error = registering(connection, "http://127.0.0.1:1/a.parquet")
    assert duckdb_errors.storage_failed(error), str(error)
    assert duckdb_errors.failed_around(str(error)) is StorageAddressError


@pytest.mark.parametrize("data", [b"no parquet at all, but long enough", b"PAR1" + b"\xff" * 40 + b"\x20\0\0\0PAR1"])
def test_a_file_that_is_none(data: bytes, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    error = registering(connection, str(path))
    assert duckdb_errors.refuses_a_file(error, in_storage=True), str(error)
    assert duckdb_errors.refuses_a_file(error, in_storage=False), str(error)
    assert not duckdb_errors.storage_failed(error)


def test_a_column_that_the_table_lacks(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    connection.execute(f"COPY (SELECT 1 AS id, 2 AS other) TO '{path}' (FORMAT parquet)")
    error = registering(connection, str(path))
    assert duckdb_errors.READING_FOOTERS in str(error) or isinstance(error, duckdb.InvalidInputException)
    assert duckdb_errors.refuses_a_file(error, in_storage=False)


def test_no_memory(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET memory_limit = '10MB'; SET temp_directory = ''")
    error = raised(lambda: connection.execute("SELECT list(range) FROM range(100000000)").fetchall())
    assert not duckdb_errors.refuses_a_file(error, in_storage=True)
    assert duckdb_errors.failed_around(str(error)) is TransformMemoryError


def test_no_disk(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "60MB",
        "threads": 1,
        "temp_directory": f"{tmp_path}/full/spill",
    }
    copied = f"COPY (SELECT md5(CAST(range AS VARCHAR)) FROM range(200000)) TO '{tmp_path}/full/x.parquet'"
    spilled = "SELECT count(*) FROM (SELECT DISTINCT md5(CAST(range AS VARCHAR)) AS x FROM range(2000000))"
    with tiny(tmp_path / "full"):
        for statement, cause in ((copied, DiskFullError), (spilled, SpillFullError)):
            with duckdb.connect(config=config) as own:  # closed before the folder goes: it keeps its files open
                error = raised(lambda: own.execute(statement).fetchall())  # noqa: B023 - called at once
            assert duckdb_errors.failed_around(str(error)) is cause, str(error)


def test_an_interrupt(connection: duckdb.DuckDBPyConnection) -> None:
    ended = threading.Event()

    def interrupt() -> None:
        while not ended.wait(0.01):
            connection.interrupt()

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    error = raised(lambda: connection.execute("SELECT count(*) FROM range(10000000000) t(a), range(100)").fetchall())
    ended.set()
    interrupting.join()
    assert not duckdb_errors.refuses_a_file(error, in_storage=True)


def test_another_writer_of_an_sqlite_catalog(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    connection.execute(f"ATTACH '{tmp_path}/catalog.sqlite' AS catalog (TYPE sqlite)")
    connection.execute("CREATE TABLE catalog.snapshots (id BIGINT PRIMARY KEY)")
    connection.execute("INSERT INTO catalog.snapshots VALUES (1)")
    error = raised(lambda: connection.execute("INSERT INTO catalog.snapshots VALUES (1)"))
    assert duckdb_errors.sqlite_conflict(error), str(error)
    with connection.cursor() as other:
        other.execute("BEGIN; INSERT INTO catalog.snapshots VALUES (2)")
        error = raised(lambda: connection.execute("INSERT INTO catalog.snapshots VALUES (3)"))
        assert duckdb_errors.sqlite_conflict(error), str(error)
        other.execute("ROLLBACK")


@pytest.mark.parametrize("table", ["lake.meta.ledger", "lake.main.orders2"])
def test_no_bookkeeping_yet(table: str, connection: duckdb.DuckDBPyConnection) -> None:
    error = raised(lambda: connection.execute(f"SELECT * FROM {table}"))
    assert duckdb_errors.lacks_bookkeeping(error) is ("meta" in table), str(error)
    connection.execute("CREATE SCHEMA lake.meta")
    assert duckdb_errors.lacks_bookkeeping(raised(lambda: connection.execute(f"SELECT * FROM {table}"))) is (
        "meta" in table
    )
