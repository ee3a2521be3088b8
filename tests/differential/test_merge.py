"""A merge of our own beside DuckLake's DELETE and INSERT of the same rows: two lakes, on SQLite and on Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakeray.adapters.ducklake.catalog.attempts import NotProved
from lakeray.adapters.ducklake.catalog.merge_writer import MergeWriter
from lakeray.adapters.ducklake.writing.prepared_merge import MergedRows, NewRows, PreparedMerge
from lakeray.adapters.ducklake.writing.record_order import RecordOrder
from lakeray.values.errors import LeaseLostError
from lakeray.values.faults import Fault, FaultPoint, no_fault
from lakeray.values.model import Contract, StreamName
from tests.differential.lakes import CATALOG, Twins, WrittenLake
from tests.support.fakes.records import CONTRACT

COLUMNS = {
    "_airbyte_raw_id": "VARCHAR",
    "_airbyte_extracted_at": "TIMESTAMP WITH TIME ZONE",
    "id": "BIGINT",
    "part": "VARCHAR",
    "cursor": "TIMESTAMP",
    "value": "STRUCT(a INTEGER, b DOUBLE[])",
    "_lakeray_origin": "VARCHAR",
}
KEY = ("id", "part")
ORDER = RecordOrder(newest_first=("cursor",))
Record = dict[str, Any]
_names = count()


def new_name() -> str:
    return f"test-{next(_names)}"


def discard(paths: Sequence[str]) -> None:
    for path in paths:
        Path(path).unlink(missing_ok=True)


def record(random: Random, number: int) -> Record:
    """Few keys, few times: records are often level, and some are the very same."""
    at = random.randrange(4)
    return {
        "_airbyte_raw_id": f"r{random.randrange(6)}",
        "_airbyte_extracted_at": f"2026-03-0{1 + random.randrange(3)} 00:00:00+00",
        "id": random.choice([*range(8), None]),
        "part": random.choice(["a", None]),
        "cursor": None if at == 0 else f"2026-02-0{at} 00:00:00",
        "value": {"a": number, "b": [number / 2]},
        "_lakeray_origin": f"2026-03-01 shop/f_{random.choice([2, 10])}.parquet",
    }


def age(row: Record) -> tuple[tuple[bool, Any], ...]:
    """The order of P12, of a row that is in the table: a missing value is the oldest."""
    origin = row["_lakeray_origin"]
    natural = origin.replace("f_2.", "f_02.")
    terms = (row["cursor"], row["_airbyte_extracted_at"], natural, origin, row["_airbyte_raw_id"])
    return tuple((term is not None, term) for term in terms)


def newest_of(table: dict[tuple[Any, ...], Record], rows: Sequence[Record]) -> dict[tuple[Any, ...], Record]:
    """Brute force: what of these rows is newer than the table's, by key."""
    found: dict[tuple[Any, ...], Record] = {}
    for number, row in enumerate(rows):
        key = tuple(row[name] for name in KEY)
        if all(value is None for value in key):
            continue
        best = found.get(key)
        if best is None or (*age(row)[:4], (True, number), age(row)[4]) > (
            *age(best)[:4],
            (True, rows.index(best)),
            age(best)[4],
        ):
            found[key] = row
    return {key: row for key, row in found.items() if key not in table or age(row) > age(table[key])}


def relation(rows: Sequence[Record]) -> str:
    """The rows as a relation that ``newest`` takes."""
    fields = {**COLUMNS, "_lakeray_number": "BIGINT", "_lakeray_row": "BIGINT"}
    numbered = [{**row, "_lakeray_number": at, "_lakeray_row": at} for at, row in enumerate(rows)]
    text, kinds = json.dumps(numbered).replace("'", "''"), json.dumps([fields]).replace("'", "''")
    return f"(SELECT unnest(from_json('{text}', '{kinds}'), max_depth := 2))"


class Merges:
    """A processed table of one stream in both lakes."""

    def __init__(self, pair: Twins, *, contract: Contract = CONTRACT) -> None:
        self.pair = pair
        self.stream: StreamName = pair.new_stream(contract)
        self.table = f"lakehouse.main.{self.stream.processed_table}"
        self.model: dict[tuple[Any, ...], Record] = {}
        self.snapshots: dict[str, list[int]] = {name: [] for name in pair.lakes}
        listed = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        for lake in pair.lakes.values():
            lake.rows(f"CREATE TABLE {self.table} ({listed})")

    def head(self, lake: WrittenLake) -> int:
        return int(lake.rows(f"SELECT max(snapshot_id) FROM {CATALOG}.ducklake_snapshot")[0][0])

    def round(self, rows: Sequence[Record]) -> MergedRows:
        """Merge the rows in both lakes, and into the model."""
        taken = newest_of(self.model, rows)
        gone = [key for key in taken if key in self.model]
        self.by_ducklake(self.pair.extension, gone, list(taken.values()))
        merged = self.by_us(rows)
        self.model |= taken
        assert (merged.written, merged.replaced) == (len(taken), len(gone))
        for name, lake in self.pair.lakes.items():
            self.snapshots[name].append(self.head(lake))
        return merged

    def by_ducklake(self, lake: WrittenLake, gone: Sequence[tuple[Any, ...]], rows: Sequence[Record]) -> None:
        lake.rows("BEGIN TRANSACTION")
        if gone:
            # One statement: of several in a transaction, DuckLake's own feeds lose rows.
            keys = ", ".join("(?::BIGINT, ?::VARCHAR)" for _ in gone)
            same = " AND ".join(f"gone.{name} IS NOT DISTINCT FROM there.{name}" for name in KEY)
            lake.rows(
                f"DELETE FROM {self.table} AS there WHERE EXISTS (SELECT 1 FROM (VALUES {keys}) AS gone(id, part) "
                f"WHERE {same})",
                [value for key in gone for value in key],
            )
        if rows:
            listed = ", ".join(f'"{name}"' for name in COLUMNS)
            lake.rows(f"INSERT INTO {self.table} SELECT {listed} FROM {relation(rows)}")
        lake.rows("COMMIT")

    @contextmanager
    def writer(self, *, fault: Fault = no_fault) -> Iterator[MergeWriter]:
        lake = self.pair.catalog
        writer = MergeWriter(
            lake.backend.session(lake.connection), token=lake.committer.token, connection=lake.connection, fault=fault
        )
        try:
            yield writer
        finally:
            writer.close()

    def by_us(self, rows: Sequence[Record], *, fault: Fault = no_fault, through: int | None = None) -> MergedRows:
        lake = self.pair.catalog
        with self.writer(fault=fault) as writer:
            merge = PreparedMerge(lake.connection, writer, new_name=new_name, discard=discard)
            batch = NewRows(
                commit_id=f"merge-{next(_names)}",
                stream=self.stream,
                rows=relation(rows),
                key=KEY,
                order=ORDER,
                through=through,
            )
            return merge.merge(batch, at=lake.clock.now())

    def shown(self, lake: WrittenLake, relation: str) -> list[str]:
        listed = ", ".join(f'"{name}"' for name in COLUMNS)
        return sorted(repr(row) for row in lake.rows(f"SELECT {listed} FROM {relation}"))

    def same(self) -> None:
        """Rows, time travel and change feeds of both lakes, and the model's rows."""
        mine, theirs = self.pair.catalog, self.pair.extension
        assert self.shown(mine, self.table) == self.shown(theirs, self.table)
        assert mine.rows(f"SELECT count(*), min(id), max(id), max(cursor) FROM {self.table}") == theirs.rows(
            f"SELECT count(*), min(id), max(id), max(cursor) FROM {self.table}"
        )
        assert {tuple(row) for row in mine.rows(f"SELECT id, part, value.a FROM {self.table}")} == {
            (*key, row["value"]["a"]) for key, row in self.model.items()
        }
        for own, other in zip(self.snapshots["catalog"], self.snapshots["extension"], strict=True):
            assert self.shown(mine, f"{self.table} AT (VERSION => {own})") == self.shown(
                theirs, f"{self.table} AT (VERSION => {other})"
            )

    def same_feeds(self) -> None:
        """What was inserted and deleted, between any two rounds."""
        rounds = range(len(self.snapshots["catalog"]))
        for function in ("ducklake_table_insertions", "ducklake_table_deletions"):
            for first, last in [(a, b) for a in rounds for b in rounds if a <= b]:
                found = {}
                for name, lake in self.pair.lakes.items():
                    # A round that changed nothing made no snapshot; the range begins behind the one before it.
                    start = self.snapshots[name][first - 1] + 1 if first else self.snapshots[name][0]
                    end = self.snapshots[name][last]
                    bounds = f"'lakehouse', 'main', '{self.stream.processed_table}', {start}, {end}"
                    found[name] = self.shown(lake, f"{function}({bounds})") if start <= end else []
                assert found["catalog"] == found["extension"], (function, first, last)


def batches(seed: int, sizes: Sequence[int]) -> list[list[Record]]:
    random = Random(seed)
    numbers = count()
    return [[record(random, next(numbers)) for _ in range(size)] for size in sizes]


def test_a_merge_is_what_ducklakes_delete_and_insert_are_and_ducklake_goes_on_from_it(pair: Twins) -> None:
    merges = Merges(pair)
    for rows in batches(1, [6, 1, 9, 30, 3, 12]):
        merges.round(rows)
    merges.same()
    merges.same_feeds()
    assert lists_are_sound(merges)
    for lake in pair.lakes.values():
        lake.rows(f"DELETE FROM {merges.table} WHERE id = 3")
    merges.model = {key: row for key, row in merges.model.items() if key[0] != 3}
    for rows in batches(2, [8, 8]):
        merges.round(rows)
    merges.same()
    assert lists_are_sound(merges)


def lists_are_sound(merges: Merges) -> bool:
    """Each live file has one list: ascending, within the file, as long as the catalog says."""
    lake = merges.pair.catalog
    with merges.writer() as writer:
        state = writer.look(merges.stream)
    for file in state.files.values():
        if file.deleted is not None:
            at = state.folder.place(file.deleted.path, is_relative=file.deleted.is_relative)
            positions = [row[0] for row in lake.rows(f"SELECT pos FROM read_parquet('{at}')")]
            assert positions == sorted(set(positions))
            assert len(positions) == file.deleted.count < file.rows
            assert 0 <= positions[0] <= positions[-1] < file.rows
    return any(file.deleted is not None for file in state.files.values())


def test_ducklake_updates_rewrites_expires_and_cleans_up_what_we_wrote(own_pair: Twins) -> None:
    merges = Merges(own_pair)
    for rows in batches(3, [20, 6, 6]):
        merges.round(rows)
    for lake in own_pair.lakes.values():
        lake.rows(f"UPDATE {merges.table} SET value = {{'a': -1, 'b': []}} WHERE id = 1")
        lake.rows(f"INSERT INTO {merges.table} SELECT * REPLACE (100 AS id) FROM {merges.table} WHERE id = 2")
    for key, row in list(merges.model.items()):
        if key[0] == 1:
            merges.model[key] = {**row, "value": {"a": -1, "b": []}}
        if key[0] == 2:
            merges.model[100, key[1]] = {**row, "id": 100}
    # Rows that were updated keep DuckLake's number of the file that they were in.
    for rows in batches(4, [9, 9]):
        merges.round(rows)
    merges.same()
    for lake in own_pair.lakes.values():
        lake.rows("CALL ducklake_rewrite_data_files('lakehouse', delete_threshold => 0)")
        lake.rows("CALL ducklake_expire_snapshots('lakehouse', older_than => now() + INTERVAL 1 DAY)")
        lake.rows("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")
    merges.snapshots = {name: [] for name in merges.snapshots}
    for rows in batches(8, [9, 9]):
        merges.round(rows)
    merges.same()


def test_a_crash_before_the_commit_leaves_the_table_and_one_after_it_is_merged_once(pair: Twins) -> None:
    merges = Merges(pair)
    first, second = batches(5, [10, 10])
    merges.round(first)

    def die(at: FaultPoint) -> Fault:
        def fault(point: FaultPoint) -> None:
            if point is at:
                raise KeyboardInterrupt

        return fault

    before = merges.shown(pair.catalog, merges.table)
    with pytest.raises(KeyboardInterrupt):
        merges.by_us(second, fault=die(FaultPoint.BEFORE_COMMIT))
    assert merges.shown(pair.catalog, merges.table) == before
    with pytest.raises(KeyboardInterrupt):
        merges.by_us(second, fault=die(FaultPoint.AFTER_COMMIT))
    again = merges.by_us(second)
    assert again == MergedRows(snapshot=None, written=0, replaced=0)
    taken = newest_of(merges.model, second)
    merges.by_ducklake(pair.extension, [key for key in taken if key in merges.model], list(taken.values()))
    merges.model |= taken
    merges.snapshots = {name: [] for name in merges.snapshots}
    merges.same()


def test_whoever_commits_in_between_is_seen_at_the_head(pair: Twins) -> None:
    merges = Merges(pair)
    merges.round(batches(6, [12])[0])
    other = Merges(pair)
    lake = pair.catalog
    left = [lambda: lake_insert(other), lambda: delete(merges)]

    def lake_insert(table: Merges) -> None:
        lake.rows(f"INSERT INTO {table.table} (id) VALUES (1)")

    def delete(table: Merges) -> None:
        lake.rows(f"DELETE FROM {table.table} WHERE id = 1")

    def name() -> str:
        if left:
            left.pop(0)()
        return new_name()

    rows = [
        {**record(Random(0), 999), "id": number, "part": "a", "cursor": "2026-05-01 00:00:00"} for number in range(8)
    ]
    with merges.writer() as writer:
        merge = PreparedMerge(lake.connection, writer, new_name=name, discard=discard)
        batch = NewRows(commit_id="m", stream=merges.stream, rows=relation(rows), key=KEY, order=ORDER)
        merged = merge.merge(batch, at=lake.clock.now())
    assert not left
    assert merged.written == 8
    delete(merges)
    found = lake.rows(
        f"SELECT id, count(*) FROM {merges.table} WHERE part = 'a' AND id IS NOT NULL GROUP BY id ORDER BY id"
    )
    assert found == [(number, 1) for number in range(8) if number != 1]


def test_the_mark_moves_in_the_merges_own_snapshot_and_never_back(pair: Twins) -> None:
    merges, lake = Merges(pair), pair.catalog
    rows = batches(9, [10])[0]
    with pytest.raises(NotProved, match="has no cursor"):
        merges.by_us(rows, through=9)
    lake.rows(
        "INSERT INTO lakehouse.meta.feeder_cursors VALUES (?, ?, 'a/key', 3, now())",
        [merges.stream.source, merges.stream.stream],
    )

    def mark(version: int) -> list[Any]:
        table = f"lakehouse.meta.feeder_cursors AT (VERSION => {version})"
        found = lake.rows(
            f"SELECT cursor_path, transformed_snapshot FROM {table} WHERE stream = ?", [merges.stream.stream]
        )
        return list(found)

    before = merges.head(lake)
    merged = merges.by_us(rows, through=9)
    assert merged.snapshot == before + 1
    assert (mark(before), mark(before + 1)) == ([("a/key", 3)], [("a/key", 9)])
    # Nothing is newer any more, and the mark stays where it is.
    assert merges.by_us(rows, through=5) == MergedRows(snapshot=before + 2, written=0, replaced=0)
    assert mark(before + 2) == [("a/key", 9)]


def test_who_lost_the_lease_merges_nothing(own_pair: Twins) -> None:
    merges = Merges(own_pair)
    first, second = batches(7, [10, 10])
    merges.round(first)
    lake = own_pair.catalog
    with merges.writer() as stale:
        lake.reopen()
        before = merges.head(lake)
        merge = PreparedMerge(lake.connection, stale, new_name=new_name, discard=discard)
        batch = NewRows(commit_id="m", stream=merges.stream, rows=relation(second), key=KEY, order=ORDER)
        with pytest.raises(LeaseLostError):
            merge.merge(batch, at=lake.clock.now())
    assert merges.head(lake) == before


_KEYS = {
    "BIGINT": ["1", "-5", "NULL"],
    "VARCHAR": ["'a'", "''", "chr(0) || 'z'", "repeat('long', 400)", "NULL"],
    "DOUBLE": ["1.5", "'nan'", "'-inf'", "NULL"],
    "TIMESTAMP WITH TIME ZONE": ["'2026-03-01 00:00:00+00'", "'infinity'", "NULL"],
    "BLOB": ["'\\x00\\xFF'", "''", "NULL"],
    "STRUCT(a INTEGER)": ["{'a': 1}", "{'a': NULL}", "NULL"],
}
_ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=5)


@settings(max_examples=2)
@given(batches=st.lists(_ROWS, min_size=2, max_size=3))
@pytest.mark.parametrize("kind", _KEYS)
def test_keys_of_any_type_have_the_newest_of_their_rows(pair: Twins, kind: str, batches: list[list[Any]]) -> None:
    """Beside brute force: of each value of the key the greatest cursor, of level ones the first that came."""
    values, lake = _KEYS[kind], pair.catalog
    merges = Merges(pair)
    lake.rows(
        f"CREATE OR REPLACE TABLE {merges.table} (id {kind}, age INTEGER, _airbyte_extracted_at DATE, n INTEGER, "
        "_airbyte_raw_id VARCHAR)"
    )
    expected: dict[int, tuple[int, int]] = {}
    numbers = count()
    for rows in batches:
        told = []
        for at, cursor in rows:
            number, chosen = next(numbers), at % len(values)
            told.append(f"({values[chosen]}::{kind}, {cursor}, NULL, {number}, 'same', {number}, {number})")
            in_batch = number - len(told) + 1
            best = expected.get(chosen)
            # Of one batch the later row of an object is the newer one; of another batch nothing tells them apart.
            if values[chosen] != "NULL" and (
                best is None or cursor > best[0] or (cursor == best[0] and best[1] >= in_batch)
            ):
                expected[chosen] = (cursor, number)
        names = "id, age, _airbyte_extracted_at, n, _airbyte_raw_id, _lakeray_number, _lakeray_row"
        batch = NewRows(
            commit_id=f"merge-{next(_names)}",
            stream=merges.stream,
            rows=f"(SELECT * FROM (VALUES {', '.join(told)}) AS told({names}))",
            key=("id",),
            order=RecordOrder(newest_first=("age",), origin=False),
        )
        with merges.writer() as writer:
            PreparedMerge(lake.connection, writer, new_name=new_name, discard=discard).merge(batch, at=lake.clock.now())
    assert set(lake.rows(f"SELECT age, n FROM {merges.table}")) == set(expected.values())
