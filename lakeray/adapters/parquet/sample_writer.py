"""The sample as Parquet, as Airbyte's S3 destination writes it: rows come one by one and leave in small row groups."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from lakeray.adapters.parquet.arrow_types import arrow_type
from lakeray.values.causes import disk_cause
from lakeray.values.errors import StorageError
from lakeray.values.model import Column, SampleResult

_BATCH_VALUES = 100_000
"""Rows are converted so many values at a time: Python's objects are ten times the size of Arrow's."""
_BATCH_ROWS = 500
_ROW_GROUP_BYTES = 2 << 20
"""A row group is written as soon as it holds so much, in Arrow's form."""
_SINK_BYTES = 256 << 10
"""Encoded pages are collected so far before they are written: a small file of a wide stream has a thousand pages."""
_SMALL_FILE_ROWS = 2_000
"""Files of at most so many rows are made two at a time: what costs then is encoding, outside Python."""
_EXTRACTED_AT = pa.timestamp("ms", tz="UTC")


Row = Mapping[str, Any]
"""Column name to value; an absent column is null."""


class RowFile(Protocol):
    """One file to be written."""

    @property
    def key(self) -> str:
        """Relative to the raw prefix."""

    def rows(self) -> Iterator[Row]:
        """The rows, made one at a time."""


class SampleStore(Protocol):
    """The part of the object store that the sample needs."""

    def exists(self, key: str) -> bool:
        """Whether there is an object."""

    def put_file(self, key: str, path: Path) -> None:
        """Write the local file at ``path`` as the object, atomically."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """One file that was written, or kept."""

    key: str
    rows: int
    size_bytes: int
    kept: bool


def write_sample(
    store: SampleStore,
    *,
    files: Iterable[RowFile],
    columns: Sequence[Column],
    rows_per_file: int,
    directory: Path,
    on_file: Callable[[str, int], None] = lambda _key, _size_bytes: None,
    compression: str = "NONE",
) -> SampleResult:
    """Write the files of a sample; a key that exists is kept as it is, so that a second run changes nothing (P15).

    Small files are made two at a time: one is encoded while the next one's rows are made. When interrupted, those end.

    Raises:
        StorageError: the store, or this machine's disk, takes no file.

    Args:
        store: where the files go; keys are relative to the raw prefix. Called from up to two threads.
        files: what to write, oldest first.
        columns: as `sample_schema` takes them.
        rows_per_file: how many rows a file has, about: small files are made two at a time.
        directory: for the files until they are put.
        on_file: called after each file, oldest first, with its key and size in bytes; 0 for a file that was kept.
        compression: as Parquet names it; Airbyte's default is none.
    """
    schema = sample_schema(columns)
    batch_rows = _batch_rows(schema)

    def make(file: RowFile, path: Path) -> _Made:
        if store.exists(file.key):
            return _Made(key=file.key, rows=0, size_bytes=0, kept=True)
        rows = write_rows(file.rows(), path=path, schema=schema, batch_rows=batch_rows, compression=compression)
        size_bytes = path.stat().st_size
        store.put_file(file.key, path)
        path.unlink(missing_ok=True)
        return _Made(key=file.key, rows=rows, size_bytes=size_bytes, kept=False)

    written = kept = total_bytes = total_rows = 0
    with _on_disk(directory), TemporaryDirectory(prefix="lakeray-sample-", dir=directory) as scratch:
        threads = 2 if rows_per_file <= _SMALL_FILE_ROWS else 1
        # Closed before the folder goes: whatever on_file raises, no thread still writes into it.
        with closing(_in_order(make, files, scratch=Path(scratch), threads=threads)) as results:
            for made in results:
                written, kept = written + (not made.kept), kept + made.kept
                total_bytes, total_rows = total_bytes + made.size_bytes, total_rows + made.rows
                on_file(made.key, made.size_bytes)
    return SampleResult(written=written, kept=kept, size_bytes=total_bytes, rows=total_rows)


@contextmanager
def _on_disk(directory: Path) -> Iterator[None]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except BrokenPipeError:
        raise  # of whoever is told of each file
    except OSError as error:
        raise disk_cause(error, otherwise=StorageError)(
            f"the sample's files cannot be written in {directory}",
            found=os.strerror(error.errno) if error.errno else str(error).split("\n", 1)[0],
            todo="Make room or mend the permissions, then run the command again: it goes on with the next file",
        ) from error


def sample_schema(columns: Sequence[Column]) -> pa.Schema:
    """The schema of a stream's files, the extraction time in milliseconds.

    Args:
        columns: Airbyte's, then the record's.
    """
    return pa.schema(
        [
            pa.field(column.name, _EXTRACTED_AT if column.name == "_airbyte_extracted_at" else arrow_type(column.type))
            for column in columns
        ]
    )


def write_rows(
    rows: Iterable[Row], *, path: Path, schema: pa.Schema, batch_rows: int | None = None, compression: str = "NONE"
) -> int:
    """Write rows as one Parquet file, holding one row group's worth of them at most. Returns how many there were.

    Args:
        rows: column name to value; taken as they come.
        path: the file to write.
        schema: as `sample_schema` makes it.
        batch_rows: how many rows are converted at a time; None: as many as the schema's width allows.
        compression: as Parquet names it.
    """
    total = 0
    # No Arrow schema in the footer: other writers have none, and readers must do without.
    with (
        pa.BufferedOutputStream(pa.OSFile(str(path), "wb"), _SINK_BYTES) as sink,
        pq.ParquetWriter(sink, schema, compression=compression, store_schema=False) as writer,
    ):
        for group in _row_groups(_batches(rows, schema=schema, size=batch_rows or _batch_rows(schema))):
            table = pa.Table.from_batches(group)
            writer.write_table(table, row_group_size=table.num_rows)
            total += table.num_rows
    return total


def _in_order(
    make: Callable[[RowFile, Path], _Made], files: Iterable[RowFile], *, scratch: Path, threads: int
) -> Generator[_Made, None, None]:
    """What ``make`` returns for each file, in order, ``threads`` of them in the making."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sample") as pool:
        pending: deque[Future[_Made]] = deque()
        try:
            for number, file in enumerate(files):
                pending.append(pool.submit(make, file, scratch / f"{number}.parquet"))
                if len(pending) > threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _batches(rows: Iterable[Row], *, schema: pa.Schema, size: int) -> Iterator[pa.RecordBatch]:
    remaining = iter(rows)
    fields = [(field.name, field.type) for field in schema]
    while batch := list(islice(remaining, size)):
        columns = [_array([row.get(name) for row in batch], name=name, arrow=arrow) for name, arrow in fields]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _array(values: list[Any], *, name: str, arrow: pa.DataType) -> pa.Array:
    """The values of one column. A column that a user typed differently from the connector's is cast."""
    if values.count(None) == len(values):
        return pa.nulls(len(values), arrow)
    try:
        return pa.array(values, arrow)
    except (pa.ArrowException, OverflowError) as error:
        for stored in (_storage(arrow), None):
            with suppress(pa.ArrowException, OverflowError):
                return pa.array(values, stored).cast(arrow)
        raise ValueError(f"the sample's values of column {name!r} do not fit {arrow}: {error}") from error


def _storage(arrow: pa.DataType) -> pa.DataType:
    """The type without extensions inside it: Arrow cannot make nested values of those, only cast to them."""
    if isinstance(arrow, pa.BaseExtensionType):
        return arrow.storage_type
    if pa.types.is_struct(arrow):
        return pa.struct([pa.field(part.name, _storage(part.type)) for part in arrow])
    if pa.types.is_list(arrow):
        return pa.list_(_storage(arrow.value_type))
    if pa.types.is_map(arrow):
        return pa.map_(_storage(arrow.key_type), _storage(arrow.item_type))
    return arrow


def _row_groups(batches: Iterable[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    group: list[pa.RecordBatch] = []
    size_bytes = 0
    for batch in batches:
        group.append(batch)
        size_bytes += batch.nbytes
        if size_bytes >= _ROW_GROUP_BYTES:
            yield group
            group, size_bytes = [], 0
    if group:
        yield group


def _batch_rows(schema: pa.Schema) -> int:
    """How many rows of the schema are converted at a time."""
    return max(32, min(_BATCH_ROWS, _BATCH_VALUES // _leaves(schema)))


def _leaves(kind: Any) -> int:
    """How many values a row of the schema or type holds at least, nulls included."""
    if isinstance(kind, pa.Schema) or pa.types.is_struct(kind):
        return sum(_leaves(part.type) for part in kind)
    if pa.types.is_map(kind):
        return _leaves(kind.key_type) + _leaves(kind.item_type)
    return _leaves(kind.value_type) if pa.types.is_list(kind) else 1
