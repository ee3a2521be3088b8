"""A converted copy that cannot be made: the object's fault is a verdict, this machine's is an error (P6)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet.conversion import convert
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.steps import validate
from lakeray.values.column_types import parse_type
from lakeray.values.errors import StorageError, TryAgainError
from lakeray.values.model import Accepted, Column, Contract, Rejected, RejectReason, StreamName
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
