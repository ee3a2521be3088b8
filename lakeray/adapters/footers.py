"""Reading Parquet footers: the tail of the object alone, whatever is in it (P6)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from lakeray.adapters.arrow_types import file_columns
from lakeray.model import Footer, Rejected, RejectReason, SourceFile
from lakeray.ports import ObjectStore

MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_TAIL_BYTES = 64 * 1024
"""Most footers fit: 123 columns with nested fields and one row group take about 40 kB."""
_MAX_FOOTER_BYTES = 64 * 1024 * 1024
_SMALLEST_BYTES = 12
"""Two magic numbers and a footer length."""


def read_footer(store: ObjectStore, file: SourceFile) -> Footer | Rejected:
    """The file's footer, or why it has none that can be used.

    Raises:
        StorageError: the object store failed; that says nothing about the file.
    """
    if file.size_bytes == 0:
        return _rejected(file, RejectReason.EMPTY, "expected Parquet, found 0 bytes")
    if file.size_bytes < _SMALLEST_BYTES:
        return _rejected(file, RejectReason.NOT_PARQUET, f"expected Parquet, found {file.size_bytes} bytes")
    try:
        return _read(store, file)
    except FileNotFoundError:
        return _rejected(file, RejectReason.VANISHED, "expected the listed object, found none")


def _read(store: ObjectStore, file: SourceFile) -> Footer | Rejected:
    tail = _tail(store, file, min(_TAIL_BYTES, file.size_bytes))
    if tail[-4:] == _ENCRYPTED:
        return _rejected(file, RejectReason.CORRUPT, "expected plain Parquet, found an encrypted footer")
    if tail[-4:] != MAGIC:
        return _without_magic(store, file)
    length = int.from_bytes(tail[-8:-4], "little")
    if length + _SMALLEST_BYTES > file.size_bytes or length == 0:
        return _rejected(
            file, RejectReason.TRUNCATED, f"expected a footer of {length} bytes in a file of {file.size_bytes}"
        )
    if length > _MAX_FOOTER_BYTES:
        return _rejected(
            file, RejectReason.TOO_LARGE, f"expected a footer of at most {_MAX_FOOTER_BYTES} bytes, found {length}"
        )
    if length + 8 > len(tail):
        tail = _tail(store, file, length + 8)
    return _parsed(file, tail[-(length + 8) :])


def _tail(store: ObjectStore, file: SourceFile, length: int) -> bytes:
    return store.read_range(file.key, start=file.size_bytes - length, length=length)


def _without_magic(store: ObjectStore, file: SourceFile) -> Rejected:
    head = store.read_range(file.key, start=0, length=4)
    if head == MAGIC:
        return _rejected(file, RejectReason.TRUNCATED, "expected a footer at the end, found none: the file was cut off")
    return _rejected(file, RejectReason.NOT_PARQUET, "expected Parquet, found neither its beginning nor its end")


def _parsed(file: SourceFile, footer: bytes) -> Footer | Rejected:
    # pyarrow reads metadata from a whole file; the beginning and the footer are all it looks at.
    try:
        metadata = pq.read_metadata(pa.BufferReader(MAGIC + footer))
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        end = max((_end(group) for group in groups), default=0)
        columns = file_columns(metadata.schema)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        detail = f"expected a Parquet footer, found one that cannot be read: {str(error).splitlines()[0][:200]}"
        return _rejected(file, RejectReason.CORRUPT, detail)
    if end > file.size_bytes:
        return _rejected(
            file, RejectReason.TRUNCATED, f"expected data up to byte {end}, found a file of {file.size_bytes} bytes"
        )
    return Footer(
        rows=metadata.num_rows,
        row_groups=metadata.num_row_groups,
        columns=columns,
        compressed_bytes=file.size_bytes,
        uncompressed_bytes=sum(group.total_byte_size for group in groups),
    )


def _end(group: pq.RowGroupMetaData) -> int:
    if group.num_columns == 0:
        return 0
    last = group.column(group.num_columns - 1)
    start = last.dictionary_page_offset if last.has_dictionary_page else last.data_page_offset
    return int(start + last.total_compressed_size)


def _rejected(file: SourceFile, reason: RejectReason, detail: str) -> Rejected:
    return Rejected(file=file, reason=reason, detail=detail)
