"""What the validation works out for the catalog, when the machine fails it instead of a file (P6)."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.ducklake.duckdb_errors import refuses_a_file
from lakeray.adapters.ducklake.statistics import scratch_lake
from lakeray.adapters.ducklake.statistics.statistics_reader import StatisticsReader
from lakeray.adapters.ducklake.values.file_statistics import FileStatistics
from lakeray.adapters.parquet.footers import FileTail
from lakeray.values.column_types import Scalar
from lakeray.values.model import Column

COLUMNS = (Column(name="id", type=Scalar("BIGINT")),)


def tail(folder: Path) -> FileTail:
    path = folder / "file.parquet"
    pq.write_table(pa.table({"id": [1, 2, 3]}), path)
    data, metadata = path.read_bytes(), pq.read_metadata(path)
    length = int.from_bytes(data[-8:-4], "little")
    return FileTail(
        data=data[-(length + 8) :],
        size_bytes=len(data),
        rows=metadata.num_rows,
        row_groups=metadata.num_row_groups,
        schema=metadata.schema,
    )


def test_a_failure_of_the_machine_rejects_no_file_and_is_over_with_it(
    tmp_path: Path, extension_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = StatisticsReader(extension_directory=extension_directory, temp=tmp_path / "temp")
    with monkeypatch.context() as patched:
        patched.setattr(scratch_lake, "_MEMORY", "1KB")
        assert facts.of([tail(tmp_path)], columns=COLUMNS) == [None]
    (found,) = facts.of([tail(tmp_path)], columns=COLUMNS)
    assert isinstance(found, FileStatistics)
    assert found.block.rows == (3,)


def test_only_errors_of_a_file_reject_it() -> None:
    of_the_file = duckdb.InvalidInputException("Failed to map column")
    of_the_machine = [
        duckdb.OutOfMemoryException("Failed to add data files to DuckLake: no memory"),
        duckdb.IOException("No space left on device"),
    ]
    assert refuses_a_file(of_the_file, in_storage=False)
    assert not any(refuses_a_file(error, in_storage=False) for error in of_the_machine)
