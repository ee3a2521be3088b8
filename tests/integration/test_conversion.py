"""A converted copy that cannot be made: the object's fault is a verdict, this machine's is an error (P6)."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet import apart as apart_module
from lakeray.adapters.parquet.apart import Apart
from lakeray.adapters.parquet.conversion import convert
from lakeray.adapters.parquet.validation import BatchValidator
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.steps import validate
from lakeray.values.column_types import parse_type
from lakeray.values.errors import StorageError, TryAgainError
from lakeray.values.model import Accepted, Batch, Column, Contract, Rejected, RejectReason, StreamName, Verdict
from tests.support.real.disk import tiny
from tests.support.real.parquet import read_footer

STREAM = StreamName("shop", "orders")
KEY = "shop/orders/year=2026/month=01/day=01/part_0.parquet"
CONTRACT = Contract(
    columns=(*AIRBYTE_COLUMNS, Column(name="id", type=parse_type("VARCHAR"))),
    primary_key=("id",),
)
ROWS = 50_000


@pytest.fixture
def raw(tmp_path: Path) -> ObstoreStore:
    """With one object whose extraction times are bare milliseconds: it is registered as a converted copy."""
    path = tmp_path / "raw" / KEY
    path.parent.mkdir(parents=True)
    columns = {
        "_airbyte_raw_id": pa.nulls(ROWS, pa.string()),
        "_airbyte_extracted_at": pa.array(range(1_767_312_000_000, 1_767_312_000_000 + ROWS)),
        "id": pa.array([f"{number * 2654435761 % 2**32:x}-{number}" for number in range(ROWS)]),
    }
    pq.write_table(pa.table(columns), path, compression="none")
    return open_store((tmp_path / "raw").as_uri())


@pytest.fixture
def lake(tmp_path: Path) -> ObstoreStore:
    (tmp_path / "lake").mkdir()
    return open_store((tmp_path / "lake").as_uri())


def accepted(raw: ObstoreStore) -> Accepted:
    (file,) = raw.list_files("")
    footer = read_footer(raw, file)
    assert not isinstance(footer, Rejected), footer
    verdict = validate.verdict(file, footer, CONTRACT)
    assert isinstance(verdict, Accepted) and verdict.casts, verdict
    return verdict


def test_a_copy_is_registered_in_place_of_the_object(raw: ObstoreStore, lake: ObstoreStore, tmp_path: Path) -> None:
    converted = convert(accepted(raw), stream=STREAM, raw=raw, lake=lake, temp=tmp_path / "tmp")
    assert isinstance(converted, Accepted) and converted.registered_path is not None
    assert pq.read_metadata(converted.registered_path).num_rows == ROWS
    assert list((tmp_path / "tmp").iterdir()) == []


def converted_file(tmp_path: Path, contract: str, values: pa.Array, **options: Any) -> Verdict:
    """The verdict on a file with one column ``c`` beside its key, for a landing column of another type."""
    path = tmp_path / "raw" / KEY
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": pa.array([f"{n}" for n in range(len(values))]), "c": values}), path, **options)
    wanted = Contract(columns=(*CONTRACT.columns, Column(name="c", type=parse_type(contract))), primary_key=("id",))
    raw, lake = open_store((tmp_path / "raw").as_uri()), open_store((tmp_path / "lake").as_uri())
    (tmp_path / "lake").mkdir()
    validator = BatchValidator(raw=raw, lake=lake, temp=tmp_path / "tmp", concurrency=1, judge=validate.verdict)
    files = tuple(raw.list_files(""))
    return validator.validate(Batch(id="b", stream=STREAM, files=files, size_bytes=0, projected_bytes=0), wanted)[0]


START = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE_RANGE = [datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), datetime(1, 1, 1, tzinfo=UTC), START, None]


@pytest.mark.parametrize("contract", ["TIMESTAMP WITH TIME ZONE", "TIMESTAMP"])
def test_int96_of_all_years_comes_out_as_duckdb_reads_it(tmp_path: Path, contract: str) -> None:
    int96 = {"use_deprecated_int96_timestamps": True}
    verdict = converted_file(tmp_path, contract, pa.array(WHOLE_RANGE, pa.timestamp("us")), **int96)
    assert isinstance(verdict, Accepted), verdict
    path = verdict.registered_path or str(tmp_path / "raw" / KEY)
    found = [row[0] for row in duckdb.sql(f"SELECT CAST(c AS VARCHAR) FROM '{path}' ORDER BY id").fetchall()]
    zone = "+00" if verdict.registered_path else ""
    assert found == [*(f"{text}{zone}" for text in ("9999-12-31 23:59:59.999999", "0001-01-01 00:00:00",
                                                    "2026-01-01 00:00:00")), None]  # fmt: skip


CASTS = {
    "a time in UTC": ("TIME", pa.array([time(9, 30), None], pa.time64("us")), {"write_time_adjusted_to_utc": True}),
    "a time": ("TIME WITH TIME ZONE", pa.array([time(9, 30), None], pa.time64("us")), {}),
    "whole numbers": ("DOUBLE", pa.array([2**53, -(2**53)]), {}),
    "seconds": ("TIMESTAMP WITH TIME ZONE", pa.array([START, None], pa.timestamp("s")), {}),
    "nanoseconds": ("TIMESTAMP WITH TIME ZONE", pa.array([START, None], pa.timestamp("ns")), {}),
    "no type": ("VARCHAR", pa.nulls(2), {}),
    "no type, nested": ("STRUCT(a BIGINT[])", pa.nulls(2), {}),
}


@pytest.mark.parametrize("name", CASTS)
def test_values_that_fit_are_converted_and_come_back(tmp_path: Path, name: str) -> None:
    contract, values, options = CASTS[name]
    verdict = converted_file(tmp_path, contract, values, **options)
    assert isinstance(verdict, Accepted) and verdict.registered_path is not None, verdict
    copy = duckdb.sql(f"SELECT c FROM '{verdict.registered_path}' ORDER BY id")
    assert parse_type(str(copy.types[0])) == parse_type(contract)
    assert [row[0] is None for row in copy.fetchall()] == [not value.is_valid for value in values]


LOSSES = {
    "a number that is no double": ("DOUBLE", pa.array([1, 2**53 + 1]), RejectReason.TYPE_CHANGED),
    "the largest": ("DOUBLE", pa.array([2**63 - 1]), RejectReason.TYPE_CHANGED),
    "a nanosecond": (
        "TIMESTAMP WITH TIME ZONE",
        pa.array([1_767_225_600_000_000_001]).view(pa.timestamp("ns")),
        RejectReason.TYPE_CHANGED,
    ),
    "a time after midnight": ("TIME", pa.array([86_400_000_001]).view(pa.time64("us")), RejectReason.CORRUPT),
    "a time before it": ("TIME", pa.array([-9 * 10**18]).view(pa.time64("us")), RejectReason.CORRUPT),
}


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize("name", LOSSES)
def test_values_that_do_not_fit_reject_the_file_and_are_not_shown(tmp_path: Path, name: str, statistics: bool) -> None:
    contract, values, reason = LOSSES[name]
    verdict = converted_file(tmp_path, contract, values, write_statistics=statistics)
    assert isinstance(verdict, Rejected) and verdict.reason is reason, verdict
    shown = [str(value) for value in values.cast(pa.int64()).to_pylist() if abs(value) > 1_000]
    assert not any(text in verdict.detail for text in shown)


@pytest.mark.parametrize("nested", [pa.list_(pa.time64("us")), pa.struct([("t", pa.time64("us"))])], ids=str)
@pytest.mark.parametrize("microseconds", [-1, 0, 86_400_000_000, 86_400_000_001])
def test_times_of_day_inside_of_others_are_looked_at(tmp_path: Path, nested: pa.DataType, microseconds: int) -> None:
    times = pa.array([microseconds]).view(pa.time64("us"))
    lists = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), times)
    values = lists if pa.types.is_list(nested) else pa.StructArray.from_arrays([times], names=["t"])
    contract = "TIME[]" if pa.types.is_list(nested) else "STRUCT(t TIME)"
    verdict = converted_file(tmp_path, contract, values, write_statistics=False)
    assert isinstance(verdict, Accepted) == (0 <= microseconds <= 86_400_000_000), verdict


def test_a_file_that_ends_the_process_that_reads_it_is_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    apart = Apart()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", shutil.which("sh") or "sh")
        with pytest.raises(TryAgainError, match="does not work"):
            apart.ask({"source": "x"}, size_bytes=0)
    program = "import os, sys; sys.stdin.readline(); os.abort()"
    for code, patience_s in ((program, 60.0), (program.replace("os.abort()", "input()"), 0.5)):
        monkeypatch.setattr(apart_module, "_PROGRAM", ("-c", code))
        monkeypatch.setattr(apart_module, "_PATIENCE_S", patience_s)
        assert apart.ask({"source": "x"}, size_bytes=0)["reason"] == "breaks_reader"
    apart.close()


def test_a_file_that_is_registered_anew_with_other_casts_leaves_the_copy_that_is_registered(
    raw: ObstoreStore, lake: ObstoreStore, tmp_path: Path
) -> None:
    first = accepted(raw)
    other = replace(first, casts=tuple(replace(cast, wanted=parse_type("VARCHAR")) for cast in first.casts))
    paths = [
        item.registered_path
        for verdict in (first, other, first)
        if isinstance(item := convert(verdict, stream=STREAM, raw=raw, lake=lake, temp=tmp_path / "tmp"), Accepted)
    ]
    assert (len(paths), len(set(paths)), paths[0]) == (3, 2, paths[2])
    assert len(list(lake.list_files(""))) == 2


def test_an_object_that_vanishes_before_its_copy_is_made_is_rejected_as_vanished(
    raw: ObstoreStore, lake: ObstoreStore, tmp_path: Path
) -> None:
    verdict = accepted(raw)
    raw.delete(KEY)
    converted = convert(verdict, stream=STREAM, raw=raw, lake=lake, temp=tmp_path / "tmp")
    assert isinstance(converted, Rejected) and converted.reason is RejectReason.VANISHED
    assert list(lake.list_files("")) == []


def test_a_full_temporary_folder_rejects_no_file(raw: ObstoreStore, lake: ObstoreStore, tmp_path: Path) -> None:
    temp = tmp_path / "tmp"
    temp.mkdir()
    with tiny(temp):
        (temp / "ballast").write_bytes(bytes(900_000))
        with pytest.raises(TryAgainError, match=r"No space left.*Make room"):
            convert(accepted(raw), stream=STREAM, raw=raw, lake=lake, temp=temp)
    assert list(lake.list_files("")) == []


def test_a_full_lake_rejects_no_file(raw: ObstoreStore, lake: ObstoreStore, tmp_path: Path) -> None:
    with tiny(tmp_path / "lake"):
        (tmp_path / "lake" / "ballast").write_bytes(bytes(900_000))
        with pytest.raises(StorageError, match="No space left"):
            convert(accepted(raw), stream=STREAM, raw=raw, lake=lake, temp=tmp_path / "tmp")
        assert [file.key for file in lake.list_files("")] == ["ballast"]


@pytest.mark.parametrize("name", ["_airbyte_extracted_at", "_airbyte_emitted_at"])
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1_767_312_000, None, 946_684_800], pa.int32()),
        ([1_767_312_000, None, 946_684_800], pa.int64()),
        ([1_767_312_000_000, None, 946_684_800_000], pa.int64()),
        ([1_767_312_000_000_000, None, 946_684_800_000_000], pa.uint64()),
        ([1_767_312_000_000_000_999, None, 946_684_800_000_000_000], pa.int64()),
    ],
)
def test_a_whole_number_is_the_time_that_is_plausible(
    tmp_path: Path, lake: ObstoreStore, values: list[int | None], kind: pa.DataType, name: str
) -> None:
    converted = convert(timed(tmp_path, values, kind, name=name), stream=STREAM, **places(tmp_path, lake))
    assert isinstance(converted, Accepted) and converted.registered_path is not None
    found = pq.read_table(converted.registered_path)[name].cast(pa.timestamp("us", tz="UTC")).to_pylist()
    assert found == [datetime(2026, 1, 2, tzinfo=UTC), None, datetime(2000, 1, 1, tzinfo=UTC)]


@pytest.mark.parametrize(
    "values",
    [[0], [-1], [946_684_799], [4_102_444_800], [1_767_312_000, 1_767_312_000_000], [4_102_444_800_000_000_000]],
)
def test_numbers_that_are_no_times_reject_the_file(tmp_path: Path, lake: ObstoreStore, values: list[int]) -> None:
    rejected = convert(timed(tmp_path, values, pa.int64()), stream=STREAM, **places(tmp_path, lake))
    assert isinstance(rejected, Rejected) and rejected.reason is RejectReason.IMPLAUSIBLE_TIME
    assert "between the years 2000 and 2100" in rejected.detail and not any(
        str(v) in rejected.detail for v in values if v > 9999
    )


def test_units_that_differ_from_one_part_of_a_file_to_the_next_reject_it(tmp_path: Path, lake: ObstoreStore) -> None:
    values = [1_767_312_000] * 10_000 + [1_767_312_000_000] * 10_000
    rejected = convert(timed(tmp_path, values, pa.int64()), stream=STREAM, **places(tmp_path, lake))
    assert isinstance(rejected, Rejected) and rejected.reason is RejectReason.IMPLAUSIBLE_TIME


def timed(tmp_path: Path, values: list[Any], kind: pa.DataType, *, name: str = "_airbyte_extracted_at") -> Accepted:
    """A file whose extraction times are these numbers, as it was validated."""
    path = tmp_path / "raw" / KEY
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({name: pa.array(values, kind), "id": pa.array(map(str, range(len(values))))}), path)
    return accepted(open_store((tmp_path / "raw").as_uri()))


def places(tmp_path: Path, lake: ObstoreStore) -> dict[str, Any]:
    """What a conversion works on."""
    return {"raw": open_store((tmp_path / "raw").as_uri()), "lake": lake, "temp": tmp_path / "tmp"}
