"""Every backend of the catalog keeps the same contract, wherever the files are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from lakeray import wiring
from lakeray.adapters.ducklake import sql
from lakeray.adapters.ducklake.backends.backend import Backend
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.backends.postgres.catalog import INDEXES
from lakeray.adapters.ducklake.catalog.attempts import Conflict
from lakeray.adapters.ducklake.catalog.session import Rows
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.ports.committer import LeaseTerms
from lakeray.values.column_types import quoted
from lakeray.values.errors import LeaseHeldError
from lakeray.values.model import Cursor, StreamName
from tests.realstack.backends import COMBINATIONS, PASSWORD, STREAM, BackendLake, Combination
from tests.realstack.stack import Stack, until
from tests.support.real.processes import ran_as

SAMPLE = (f"+stream={STREAM}", "sample.days=1", "sample.files_per_day=2", "sample.rows_per_file=5")
LISTS = StreamName("klaviyo", "lists")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
WAL = b"\x02\x02"
"""At the 18th byte of an SQLite file: written and read with a write-ahead log (sqlite.org, fileformat2)."""


@pytest.fixture(params=COMBINATIONS, ids=str)
def lake(request: pytest.FixtureRequest, tmp_path: Path, stack: Stack, extension_directory: Path) -> BackendLake:
    combination: Combination = request.param
    (tmp_path / "extensions").symlink_to(extension_directory)
    return BackendLake(tmp_path, combination, stack)


@pytest.fixture
def backend(lake: BackendLake) -> Backend:
    """As the composition root makes it from the settings."""
    return wiring.backend(settings_of(parse(["status", *lake.settings])))


@contextmanager
def opened(backend: Backend, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(backend, read_only=read_only)
    try:
        yield connection
    finally:
        connection.close()


def test_a_lake_that_is_not_there_reads_as_an_empty_one_and_is_not_made(lake: BackendLake, backend: Backend) -> None:
    assert not backend.exists()
    reader = DuckLakeReader(backend)
    assert reader.cursor(LISTS) == Cursor(stream=LISTS)
    assert reader.catalog_version() is None
    reader.close()
    assert not (lake.root / "catalog.sqlite").exists()
    if lake.combination.catalog == "postgres":
        assert lake.catalogs() == []


def test_a_lake_whose_making_was_cut_off_reads_as_an_empty_one_and_is_made_by_the_next(
    lake: BackendLake, backend: Backend
) -> None:
    config = {"extension_directory": str(lake.root / "extensions"), "autoinstall_known_extensions": "false"}
    with duckdb.connect(config=config) as connection:
        for name in backend.extensions:
            connection.execute(f"LOAD {name}")
        for _ in range(2):
            backend.make(connection)
    reader = DuckLakeReader(backend)
    assert reader.cursor(LISTS) == Cursor(stream=LISTS)
    with opened(backend) as connection:
        connection.execute(sql.load("ducklake/meta_schema"))
    assert reader.catalog_version() is not None and reader.cursor(LISTS) == Cursor(stream=LISTS)
    reader.close()


def test_opening_for_writing_makes_the_one_lake_where_it_belongs(lake: BackendLake, backend: Backend) -> None:
    for number in range(2):
        with opened(backend) as connection:
            connection.execute(f"CREATE TABLE lakehouse.main.made_{number} (id BIGINT)")
    assert backend.exists()
    with opened(backend, read_only=True) as connection, pytest.raises(duckdb.Error, match=r"(?i)read.only"):
        connection.execute("CREATE TABLE lakehouse.main.made_2 (id BIGINT)")
    assert lake.tables() == ["main.made_0", "main.made_1"]
    if lake.combination.catalog == "postgres":
        assert lake.catalogs() == [lake.combination.schema]
        assert not (lake.root / "catalog.sqlite").exists()
    else:
        assert (lake.root / "catalog.sqlite").read_bytes()[18:20] == WAL


def test_one_holds_the_lease_and_the_other_is_told_who(backend: Backend) -> None:
    terms = LeaseTerms(wait_s=0, heartbeat_s=0.1, timeout_s=60)
    first, second = (backend.lease(holder=f"process {number}", since=NOW, terms=terms) for number in (1, 2))
    assert first.holder() is None
    with first.hold():
        assert "process 1, since " in str(second.holder())
        with pytest.raises(LeaseHeldError, match="process 1"), second.hold():
            pass
        with pytest.raises(LeaseHeldError, match="one of process 1"):
            second.take_from_silent()
    until(lambda: second.holder() is None, what="the server has seen the connection end")
    with second.hold() as held:
        assert "process 2" in str(first.holder())
        held.check()
        held.confirm()
    until(lambda: second.holder() is None, what="the server has seen the connection end")
    assert first.take_from_silent() is None


def test_a_server_says_what_time_it_is(lake: BackendLake, backend: Backend) -> None:
    clocks = backend.clocks()
    assert list(clocks) == (["Postgres"] if lake.combination.catalog == "postgres" else [])
    assert all(abs(now() - datetime.now(UTC)) < timedelta(days=1) for now in clocks.values())


def test_the_session_writes_the_catalogs_own_tables_in_transactions(lake: BackendLake, backend: Backend) -> None:
    with opened(backend) as connection:
        session = backend.session(connection)
        numbers = {name: [7] for name in ("snapshot_id", "schema_version", "next_catalog_id", "next_file_id")}
        more = pa.table({**numbers, "snapshot_time": [NOW.isoformat()]})
        counted = [("SELECT count(*) FROM ducklake_snapshot WHERE snapshot_id = $1", [7])]
        for commits in (False, True):
            session.begin()
            session.write([Rows("ducklake_snapshot", more), ("DELETE FROM ducklake_schema WHERE schema_id = $1", [9])])
            assert session.fetch([*counted, *counted]) == [[(1,)], [(1,)]]
            session.commit() if commits else session.rollback()
            session.begin()
            assert session.fetch(counted) == [[(int(commits),)]]
            session.rollback()
        session.begin()
        with pytest.raises(Conflict):
            session.write([Rows("ducklake_snapshot", more)])
        session.rollback()
        session.close()
        shown = "SELECT snapshot_id FROM lakehouse.snapshots() ORDER BY snapshot_id DESC LIMIT 1"
        assert connection.execute(shown).fetchall() == [(7,)]


def test_what_the_database_answers_is_what_ducklake_answers(lake: BackendLake, backend: Backend) -> None:
    with opened(backend) as connection:
        connection.execute(sql.load("ducklake/meta_schema"))
        for _ in range(2):
            backend.add_indexes()
        connection.execute(
            "INSERT INTO lakehouse.meta.feeder_cursors VALUES ('klaviyo', 'lists', 'a key with % and ''', 3, ?)", [NOW]
        )
        queries = backend.queries()
        try:
            for name, values in (("all_cursors", []), ("cursor", ["klaviyo", "lists"]), ("totals", ["a", "b"])):
                rows = queries.rows(name, values)
                told = connection.execute(sql.load(f"ducklake/{name}"), values).fetchall()
                assert rows == (told if lake.combination.catalog == "postgres" else None), name
            assert queries.rows("no such query", []) is None
        finally:
            queries.close()
    if lake.combination.catalog == "postgres":
        made = lake.in_postgres("SELECT schemaname, indexname FROM pg_indexes WHERE indexname LIKE 'lakeray%'")
        assert set(made) == {(lake.combination.schema, name) for name in INDEXES}


def test_a_feed_and_its_transform_end_in_the_tables_of_the_one_lake(lake: BackendLake) -> None:
    lake.ok("sample", *SAMPLE)
    ran = lake.ok("feed", f"+stream={STREAM}")
    fed = ran.stream(STREAM)
    assert (fed["status"], fed["files"]) == ("ok", 2)
    assert lake.tables() == ["main.int_klaviyo__lists", "staging.stg_klaviyo__lists"]
    landed, merged = lake.landing(STREAM, "id"), lake.processed(STREAM, "id")
    assert len(landed) == fed["rows"] and merged == sorted(set(landed), key=repr)
    assert lake.document("feed", f"+stream={STREAM}")["streams"][0]["status"] == "nothing_new"
    if lake.combination.catalog == "postgres":
        assert lake.catalogs() == [lake.combination.schema]
        assert_nowhere(PASSWORD, lake.root, ran.out + ran.err)
    if lake.combination.s3:
        assert_snippets_read(lake, rows=len(landed))


def assert_snippets_read(lake: BackendLake, *, rows: int) -> None:
    """``connect`` says no secret, its snippets read the lake, and ``sql`` does and writes nothing."""
    count = f"SELECT count(*) AS n FROM staging.stg_{STREAM.replace('/', '__')}"
    assert lake.document("sql", count) == [{"n": rows}]
    keys = {
        "S3_ACCESS_KEY_ID": lake.services.s3_access_key_id,
        "S3_SECRET_ACCESS_KEY": lake.services.s3_secret_access_key,
    }
    for kind in ("python", "duckdb"):
        text = lake.document("connect", kind)["snippet"]
        assert keys["S3_SECRET_ACCESS_KEY"] not in text and PASSWORD not in text
        assert "int_klaviyo__lists" in ran_as(kind, text, environment={**keys, "PGPASSWORD": PASSWORD})
    if lake.combination.catalog == "postgres":  # the role of docs/lake.md, which may read and nothing else
        role, schema = f"reader_{lake.database}", quoted(lake.combination.schema)
        lake.in_postgres(f"CREATE ROLE {role} LOGIN PASSWORD 'of the reader'")
        lake.in_postgres(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        lake.in_postgres(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
        text = lake.document("connect", "python")["snippet"].replace(f"user={lake.database}", f"user={role}")
        text += f'\nprint(lake.sql("{count}"))'
        assert str(rows) in ran_as("python", text, environment={**keys, "PGPASSWORD": "of the reader"})
    refused = lake.run("sql", "DELETE FROM int_klaviyo__lists")
    assert (refused.code, "read" in refused.err) == (2, True)


def test_a_connection_that_is_opened_anew_has_the_password_and_its_error_has_not(
    stack: Stack, tmp_path: Path, extension_directory: Path
) -> None:
    (tmp_path / "extensions").symlink_to(extension_directory)
    lake = BackendLake(tmp_path, Combination(catalog="postgres", s3=False), stack)
    backend = wiring.backend(settings_of(parse(["status", *lake.settings])))
    with opened(backend) as connection:
        end_all = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{lake.database}'"
        assert lake.in_postgres(end_all)
        connection.execute("CREATE TABLE lakehouse.main.made (id BIGINT)")
        lake.in_postgres(f"ALTER ROLE {lake.database} PASSWORD 'another'")
        assert lake.in_postgres(end_all)
        with pytest.raises(duckdb.Error, match="password authentication failed") as failed:
            connection.execute("DROP TABLE lakehouse.main.made")
        shown = [connection.sql(f"FROM {name}()").fetchall() for name in ("duckdb_databases", "duckdb_secrets")]
        for text in (str(failed.value), str(shown)):
            assert not [part for part in PASSWORD.split() if len(part) > 5 and part in text], text


def assert_nowhere(secret: str, root: Path, said: str) -> None:
    """Not said, and in no file but the one that the settings are read from."""
    marks = [part.encode() for part in secret.split() if len(part) > 5]
    texts = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "this.yaml"}
    assert any("dbt.log" in path for path in texts)
    assert not [path for path, text in {**texts, "output": said.encode()}.items() if any(m in text for m in marks)]
