"""What the comparison found once, each by itself, and DuckLake's own faults of ADR 0015, with both writers."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, Contract, StreamName
from tests.differential.compare import catalog_rows, same_catalogs, table_id, table_statistics
from tests.differential.lakes import Twins, WrittenLake

CONTRACT = Contract(
    columns=tuple(
        Column(name=name, type=parse_type(kind))
        for name, kind in {"_airbyte_raw_id": "VARCHAR", "a": "VARCHAR", "b": "BIGINT"}.items()
    ),
    primary_key=(),
)


def parquet(*, rows: int = 2, statistics: bool = True, **columns: list[Any]) -> bytes:
    """A file with these columns and Airbyte's id."""
    out = io.BytesIO()
    table = pa.table({"_airbyte_raw_id": [str(number) for number in range(rows)], **columns})
    pq.write_table(table, out, write_statistics=statistics)
    return out.getvalue()


def landed(pair: Twins, *batches: list[bytes]) -> StreamName:
    """A stream with these batches in both lakes, each planned when the first one was: nobody knew of new columns."""
    stream = pair.new_stream(CONTRACT)
    for number, batch in enumerate(batches):
        files = [pair.put(pair.key(stream, f"{number}-{at}"), data) for at, data in enumerate(batch)]
        for taken in pair.take_in(stream, CONTRACT, files).values():
            assert taken.request is not None and len(taken.request.files) == len(files)
    return stream


def counts(lake: WrittenLake, stream: StreamName, where: str) -> int:
    """Rows that a reader finds."""
    ((found,),) = lake.rows(f"SELECT count(*) FROM lakehouse.staging.{stream.landing_table} WHERE {where}")
    return int(found)


def found(pair: Twins, stream: StreamName, where: str) -> set[int]:
    """What both lakes' readers count."""
    return {counts(lake, stream, where) for lake in pair.lakes.values()}


def test_the_same_names_in_another_order_are_one_mapping(pair: Twins) -> None:
    there, back = parquet(A=["x", "y"], b=[1, 2]), parquet(b=[1, 2], A=["x", "y"])
    stream = landed(pair, [there], [back, there], [parquet(b=[1, 2], a=["x", "y"]), parquet(a=["x", "y"], b=[1, 2])])
    same_catalogs(pair, stream)
    for lake in pair.lakes.values():
        mappings = lake.stored("ducklake_data_file", f"table_id = {table_id(lake, stream)}", "DISTINCT mapping_id")
        assert len(mappings) == 2  # names with A, and names with a


def test_nulls_of_a_file_without_the_column_are_found(pair: Twins) -> None:
    stream = landed(pair, [parquet(a=["x", "y"], b=[1, 2])], [parquet(a=["x", "y"])])
    assert found(pair, stream, "b IS NULL") == {2}
    assert found(pair, stream, "b IS NOT NULL") == {2}


def test_after_a_file_without_bounds_the_next_one_does_not_hide_its_rows(pair: Twins) -> None:
    stream = landed(pair, [parquet(a=["m", "n"], statistics=False)], [parquet(a=["c", "d"])], [parquet(a=["e", "f"])])
    assert found(pair, stream, "a > 'k'") == {2}
    assert {table_statistics(lake, stream)[_column(lake, stream, "a")][2:] for lake in pair.lakes.values()} == {
        (None, None)
    }


def test_values_that_came_in_one_batch_with_a_file_of_nulls_are_not_hidden_by_the_next_batch(pair: Twins) -> None:
    nulls, high = parquet(b=pa.array([None, None], pa.int64())), parquet(b=[98, 99])
    stream = landed(pair, [nulls, high, nulls], [nulls, parquet(b=[-100, 78])])
    assert found(pair, stream, "b > 90") == {2}
    assert {table_statistics(lake, stream)[_column(lake, stream, "b")][2:] for lake in pair.lakes.values()} == {
        ("-100", "99")
    }


def test_values_of_a_map_that_came_with_a_file_of_nulls_stay_within_the_bounds(pair: Twins) -> None:
    kind = pa.map_(pa.string(), pa.int64())
    contract = Contract(columns=(Column(name="m", type=parse_type("MAP(VARCHAR, BIGINT)")),), primary_key=())
    stream = pair.new_stream(contract)
    nulls, high, low = ([None, None], [[("k", None), ("é", 99)], None], [[("k", 30), ("", -100)], [("é", 78)]])
    for number, batch in enumerate(([nulls, high, nulls], [nulls, low])):
        bodies = [parquet(m=pa.array(values, kind)) for values in batch]
        files = [pair.put(pair.key(stream, f"{number}-{at}"), body) for at, body in enumerate(bodies)]
        pair.take_in(stream, contract, files)
    for lake in pair.lakes.values():
        assert table_statistics(lake, stream)[_column(lake, stream, "value")][2:] == ("-100", "99")


def test_bounds_that_the_catalog_lost_are_not_those_of_the_next_file(pair: Twins) -> None:
    stream = landed(pair, [parquet(b=[98, 99])])
    for lake in pair.lakes.values():
        lake.rows(
            "UPDATE __ducklake_metadata_lakehouse.ducklake_table_column_stats SET min_value = NULL, max_value = NULL "
            f"WHERE table_id = {table_id(lake, stream)}"
        )
        lake.rows(  # as registering does: DuckLake keeps a table's statistics under this number
            "UPDATE __ducklake_metadata_lakehouse.ducklake_snapshot SET next_file_id = next_file_id + 1 "
            "WHERE snapshot_id = (SELECT max(snapshot_id) FROM __ducklake_metadata_lakehouse.ducklake_snapshot)"
        )
    more = pair.put(pair.key(stream, "more"), parquet(b=[1, 2]))
    pair.take_in(stream, CONTRACT, [more])
    assert found(pair, stream, "b > 90") == {2}


@pytest.mark.parametrize("text", ["x" * 5_000, "b\0c"], ids=["too long", "with a zero"])
def test_after_a_text_that_has_no_bound_the_next_file_does_not_hide_its_rows(pair: Twins, text: str) -> None:
    stream = landed(pair, [parquet(a=["a", text])], [parquet(a=["a", "aa"])], [parquet(a=["a", "aa"])])
    assert counts(pair.catalog, stream, "a > 'ab'") == 1


def test_a_column_that_an_earlier_batch_added_is_null_in_files_that_were_validated_before(pair: Twins) -> None:
    stream = landed(pair, [parquet(a=["x", "y"], extra=["e", "f"])], [parquet(a=["x", "y"])])
    assert found(pair, stream, "extra IS NULL") == {2}


def test_a_column_of_one_file_is_null_in_the_others_of_its_batch(pair: Twins) -> None:
    stream = landed(pair, [parquet(a=["x", "y"], extra=["e", "f"]), parquet(a=["x", "y"])])
    assert found(pair, stream, "extra IS NULL") == {2}


def test_new_columns_come_with_every_batch_that_has_some(pair: Twins) -> None:
    stream = landed(pair, [parquet(a=["x", "y"])], [parquet(a=["x", "y"], extra=["e", "f"])])
    assert found(pair, stream, "extra >= 'e'") == {2}


def test_a_file_without_rows_is_taken_in_and_teaches_nothing(pair: Twins) -> None:
    empty: dict[str, list[Any]] = {"a": pa.array([], pa.string()), "b": pa.array([], pa.int64())}
    stream = landed(pair, [parquet(rows=0, **empty)], [parquet(a=["x", "y"], b=[1, 2])])
    assert len(catalog_rows(pair.catalog, stream)["statistics"]) == 3
    assert found(pair, stream, "b = 2") == {1}


def test_a_text_that_ends_a_copy_is_a_bound_like_any_other(pair: Twins) -> None:
    text = 'a\n\\.\n"\t\r\\N,'
    stream = landed(pair, [parquet(a=[text, text])])
    assert found(pair, stream, "a > 'a'") == {2}
    assert {row[4:6] for row in catalog_rows(pair.catalog, stream)["statistics"]} >= {(0, text)}


def test_an_older_bookkeeping_in_parquet_is_not_overlooked(own_pair: Twins) -> None:
    stream = landed(own_pair, [parquet(a=["x", "y"])])
    lake = own_pair.catalog
    lake.rows("CALL lakehouse.set_option('auto_compact', true, schema => 'meta')")
    lake.rows("CALL ducklake_flush_inlined_data('lakehouse')")
    again = own_pair.put(own_pair.key(stream, "again"), parquet(a=["z", "z"]))
    with pytest.raises(Exception, match="the catalog writer cannot write this batch"):
        lake.take_in(stream, CONTRACT, [again])
    assert counts(lake, stream, "true") == 2


def test_what_the_writer_wrote_ducklake_changes_afterwards(own_pair: Twins) -> None:
    stream = landed(own_pair, [parquet(a=["x", "y"])], [parquet(a=["x", "y"])])
    for lake in own_pair.lakes.values():
        for table in ("ledger", "batches", "feeder_cursors"):
            before = lake.rows(f"SELECT count(*) FROM lakehouse.meta.{table}")
            ((updated,),) = lake.rows(
                f"UPDATE lakehouse.meta.{table} SET source = 'other' WHERE stream = '{stream.stream}'"
            )
            ((gone,),) = lake.rows(f"DELETE FROM lakehouse.meta.{table} WHERE source = 'other'")
            assert updated == gone == (1 if table == "feeder_cursors" else 2)
            assert lake.rows(f"SELECT count(*) FROM lakehouse.meta.{table}")[0][0] == before[0][0] - gone
        table = f"lakehouse.staging.{stream.landing_table}"
        assert lake.rows(f"DELETE FROM {table} WHERE filename LIKE '%0-0.parquet'") == [(2,)]
        lake.rows("CALL ducklake_expire_snapshots('lakehouse', older_than => now() + INTERVAL 1 DAY)")
        assert counts(lake, stream, "true") == 2


def test_who_registered_a_batch_is_told_with_it(pair: Twins) -> None:
    stream = landed(pair, [parquet(a=["x", "y"])])
    told = {name: lake.reader.last_batch(stream) for name, lake in pair.lakes.items()}
    assert {name: batch.registered_by for name, batch in told.items() if batch is not None} == {
        "catalog": "catalog writer",
        "extension": "DuckLake's call: lake.writer is extension",
    }


def _column(lake: WrittenLake, stream: StreamName, name: str) -> int:
    where = f"column_name = '{name}' AND end_snapshot IS NULL AND table_id IN (SELECT table_id FROM "
    tables = f"__ducklake_metadata_lakehouse.ducklake_table WHERE table_name = '{stream.landing_table}')"
    ((found,),) = lake.stored("ducklake_column", where + tables, "column_id")
    return int(found)


def test_ducklake_registers_merges_and_cleans_up_after_the_writer(own_pair: Twins) -> None:
    lake, stream = own_pair.catalog, landed(own_pair, [parquet(a=["x", "y"], b=[1, 2])], [parquet(a=["z"], rows=1)])
    later = own_pair.put(own_pair.key(stream, "later"), parquet(a=["later", None], b=[90, None]))
    table, values = stream.landing_table, "a, b, _airbyte_raw_id"
    lake.rows(
        "CALL ducklake_add_data_files('lakehouse', ?, ?, schema => 'staging', allow_missing => true)",
        [table, lake.raw.url(later.key)],
    )
    wanted = [("later", 90), ("x", 1), ("y", 2), ("z", None), (None, None)]
    read = f"SELECT a, b FROM lakehouse.staging.{table} ORDER BY a NULLS LAST"
    assert lake.rows(read) == wanted
    assert [counts(lake, stream, where) for where in ("b = 90", "b IS NULL", "a = 'x'")] == [1, 2, 1]
    lake.rows(f"CALL lakehouse.set_option('auto_compact', true, schema => 'staging', table_name => '{table}')")
    lake.rows(f"CALL ducklake_merge_adjacent_files('lakehouse', '{table}', schema => 'staging')")
    files = lake.rows(f"FROM ducklake_list_files('lakehouse', '{table}', schema => 'staging')")
    assert len(files) < 3
    assert lake.rows(read) == wanted
    lake.rows("CALL ducklake_expire_snapshots('lakehouse', older_than => now() + INTERVAL 1 DAY)")
    lake.rows("CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")
    assert own_pair.extension.raw.head(own_pair.key(stream, "0-0")) is None
    assert lake.rows(read) == wanted
    assert len(lake.rows(f"SELECT {values} FROM lakehouse.staging.{table} WHERE a >= 'later'")) == 4
