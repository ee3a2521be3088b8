"""A committer that lives long: DuckLake keeps what it read of each snapshot until its DuckDB is closed."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from lakeray.adapters.dbt import python as python_dbt
from lakeray.adapters.ducklake.backends.connection import connect
from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader
from lakeray.adapters.ducklake.values.file_statistics import FileStatistics
from lakeray.adapters.ducklake.writing import committer
from lakeray.adapters.parquet.footers import FileTail, FooterReader
from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, Footer, Landed, Rejected
from tests.contract.lakes import CONTRACT, OnDisk
from tests.integration.dbt_lake import DbtLake, Project
from tests.integration.test_dbt_runner import merge, runner
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, row

COMMITS = 20
WIDE = replace(
    CONTRACT,
    columns=(*CONTRACT.columns, *(Column(name=f"c{number}", type=parse_type("VARCHAR")) for number in range(150))),
)


class _Allocated(ctypes.Structure):
    """glibc's ``struct mallinfo2`` (malloc.h)."""

    _before = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")
    _fields_ = [(name, ctypes.c_size_t) for name in (*_before, "uordblks", "fordblks", "keepcost")]


def allocated_bytes() -> int:
    """What the process has allocated and not freed, whatever its resident memory is."""
    gc.collect()
    mallinfo = ctypes.CDLL("libc.so.6").mallinfo2
    mallinfo.restype = _Allocated
    return int(mallinfo().uordblks)


@pytest.fixture(params=["extension", "catalog"])
def lake(request: pytest.FixtureRequest, tmp_path: Path, extension_directory: Path) -> Iterator[OnDisk]:
    opened = OnDisk(tmp_path / "lake", extension_directory, writer=request.param)
    yield opened
    opened.close()


@contextmanager
def renewing_after(commits: int) -> Iterator[list[int]]:
    """A committer that opens another DuckDB after so many commits; each opening is noted."""
    opened: list[int] = []

    def noted(*arguments: object, **named: object) -> object:
        opened.append(1)
        return connect(*arguments, **named)  # type: ignore[arg-type]

    with patch.object(committer, "RENEW_AFTER", commits), patch.object(committer, "connect", noted):
        yield opened


def take_in(lake: OnDisk, number: int) -> Landed:
    key = key_for(date(2026, 1, 1) + timedelta(days=number))
    lake.put(key, row(number, f"value {number}"))
    return lake.take_in(key)


def test_commits_before_and_after_another_duckdb_are_one_history(lake: OnDisk) -> None:
    lake.committer.ensure_landing(STREAM, CONTRACT)
    token = lake.committer.token
    with renewing_after(3) as opened:
        snapshots = [take_in(lake, number).snapshot for number in range(10)]
        lake.merge()
    assert len(opened) == 3 and snapshots == sorted(set(snapshots))
    assert lake.committer.token == token and len(lake.landing()) == 10
    assert {pk: value for pk, (_, value) in lake.processed().items()} == {n: f"value {n}" for n in range(10)}


def test_what_the_committer_read_of_earlier_snapshots_is_let_go(lake: OnDisk) -> None:
    lake.committer.ensure_landing(STREAM, WIDE)
    with renewing_after(COMMITS) as opened:
        # The first ones fill what is kept on purpose: compiled statements, pools, the reader's own DuckDB.
        for number in range(COMMITS):
            take_in(lake, number)
        fresh = allocated_bytes()
        for number in range(COMMITS, 2 * COMMITS - 1):
            take_in(lake, number)
        kept = allocated_bytes() - fresh
        take_in(lake, 2 * COMMITS - 1)
        left = allocated_bytes() - fresh
    # DuckLake keeps 25 kB (catalog writer) to 90 kB of each commit until another one is opened; the reader keeps 10.
    assert len(opened) == 2 and left < 0.7 * kept


def test_what_works_out_the_catalogs_rows_keeps_nothing_of_what_it_was_asked(
    tmp_path: Path, extension_directory: Path
) -> None:
    with closing(OnDisk(tmp_path / "lake", extension_directory)) as lake:
        key = key_for(date(2026, 1, 1))
        lake.put(key, row(1))
        _, tail = read_tail(lake, key)
    facts = StatisticsReader(extension_directory=extension_directory, temp=tmp_path / "temp")

    def ask(times: int) -> int:
        for _ in range(times):
            (found,) = facts.of([tail], columns=CONTRACT.columns)
            assert isinstance(found, FileStatistics) and found.block.rows == (1,)
        return allocated_bytes()

    # One DuckDB for all of them would keep 800 bytes of each question.
    assert -ask(250) + ask(450) < 450 * 200


def read_tail(lake: OnDisk, key: str) -> tuple[Footer, FileTail]:
    """What the validation reads of a file's end."""
    (file,) = lake.batch(key).files
    found = FooterReader(lake.store).read_tail(file)
    assert not isinstance(found, Rejected)
    return found


def test_dbt_works_on_another_duckdb_after_some_runs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    lake = DbtLake(tmp_path / "lake", Project.parse(tmp_path_factory.mktemp("renewal")))
    seen = set()
    with patch.object(python_dbt, "_RENEW_AFTER", 3), patch.dict(os.environ):
        dbt = runner(lake)
        for number in range(8):
            assert merge(dbt, lake.land("klaviyo__metrics", {"id": str(number)})).rows_affected == 1
            seen.add(id(DuckDBConnectionManager.env()))
        dbt.close()
    assert len(seen) > 1
    with pytest.raises(Exception, match="before creation"):
        DuckDBConnectionManager.env()
    assert lake.sql("SELECT count(*) FROM lakehouse.main.int_klaviyo__metrics") == [(8,)]
