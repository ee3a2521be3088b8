"""Somebody else writes through DuckLake's own code while the catalog writer commits: nothing of either is lost (P7)."""

from __future__ import annotations

from threading import Event, Thread

import duckdb
import pytest

from lakeray.adapters.ducklake.backends.connection import connect
from tests.differential.lakes import Twins, WrittenLake
from tests.differential.test_found_faults import CONTRACT, counts, parquet
from tests.differential.test_group_commit import batch, requests, together

ROUNDS = 12


class Other(Thread):
    """Inserts rows into a table of its own, a DuckLake snapshot each, until it is told to stop."""

    def __init__(self, lake: WrittenLake) -> None:
        super().__init__(daemon=True)
        self.commits, self.error = 0, ""
        self.begun, self.enough = Event(), Event()
        self._connection = connect(lake.backend, read_only=False)

    def run(self) -> None:
        try:
            self._connection.execute("CREATE TABLE lakehouse.main.others (number BIGINT)")
            while not self.enough.is_set():
                self._connection.execute("INSERT INTO lakehouse.main.others VALUES (?)", [self.commits])
                self.commits += 1
                self.begun.set()
        except duckdb.Error as error:
            self.error = str(error)
        finally:
            self.begun.set()
            self._connection.close()


def test_a_writer_through_ducklake_beside_the_catalog_writer_loses_nothing(own_pair: Twins, catalog_kind: str) -> None:
    if catalog_kind == "sqlite":
        pytest.skip("an embedded lake has one writer: SQLite locks the other one out")
    lake = own_pair.catalog
    streams = [own_pair.new_stream(CONTRACT) for _ in range(2)]
    other = Other(lake)
    other.start()
    assert other.begun.wait(30) and not other.error, other.error
    for number in range(ROUNDS):
        batches = {stream: batch(own_pair, stream, str(number), parquet(a=["x", f"y{number}"])) for stream in streams}
        together(lake, requests(own_pair, lake, batches))
    other.enough.set()
    other.join(60)
    assert not other.error and other.commits > 1, other.error
    assert [counts(lake, stream, "true") for stream in streams] == [2 * ROUNDS, 2 * ROUNDS]
    assert [counts(lake, stream, f"a = 'y{ROUNDS - 1}'") for stream in streams] == [1, 1]
    ((rows, numbers),) = lake.rows("SELECT count(*), count(DISTINCT number) FROM lakehouse.main.others")
    assert (rows, numbers) == (other.commits, other.commits)
    ids = [file_id for (file_id,) in lake.stored("ducklake_data_file", columns="data_file_id")]
    assert len(ids) == len(set(ids))
    snapshots = [number for (number,) in lake.stored("ducklake_snapshot", columns="snapshot_id")]
    assert snapshots == list(range(snapshots[-1] + 1))
    assert lake.rows("SELECT count(DISTINCT snapshot_id) FROM lakehouse.meta.ledger")[0][0] <= 2 * ROUNDS
