"""Reading Parquet footers: the tail of the object alone, whatever is in it (P6)."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from lakeray.adapters.parquet.footer_bytes import codecs_of, promised_bytes
from lakeray.adapters.parquet.footer_lanes import UNREAD_CODECS
from lakeray.adapters.parquet.known_footers import Counts, KnownFooter
from lakeray.adapters.parquet.meanwhile import moved_meanwhile, vanished
from lakeray.adapters.parquet.schemas import KnownSchemas, RefusedSchema
from lakeray.adapters.parquet.times_of_day import Times
from lakeray.ports.storage import ObjectStore
from lakeray.values.errors import StorageError
from lakeray.values.model import Column, Footer, Rejected, RejectReason, SourceFile
from lakeray.values.redaction import line_without_values
from lakeray.values.refusals import READ_CODECS

MAGIC = b"PAR1"
MAX_COLUMNS = 10_000
"""Top-level columns of a file (inclusive). Under ``on_new_column: add`` each of them can become a landing column."""
_MAX_LEAVES = 20_000
"""Columns without parts, nested ones included (inclusive)."""
_ENCRYPTED = b"PARE"
_FIRST_TAIL_BYTES = 128 * 1024
"""What is read of the first files of a batch. Most footers fit: 123 columns with nested fields, one row group and its
statistics take about 105 kB."""
_TAILS_BYTES = (16 * 1024, 1024 * 1024)
"""What is read of a file at least and at most, once the footers of others are known (inclusive)."""
_FOOTERS_TO_KNOW = 8
"""Footers after which their length is relied on."""
_MAX_FOOTER_BYTES = 16 * 1024 * 1024
_LARGE_FOOTER_BYTES = 1024 * 1024
"""Above it footers are read one at a time: in memory a footer takes ten times its bytes, or more."""
_MAX_ITEMS = 100_000
"""Elements of one list in a footer (inclusive). Thrift makes room for as many as the file claims to have."""
_MAX_SIZE = 2**63 - 1
"""Bytes, or rows, that a file can say it has (inclusive): what the books can hold."""
_MAX_KNOWN = 8
"""Schemas of a batch whose footers are not parsed one by one."""
_MAX_LESSONS = 24
"""Footers of a batch from which something is to be learned: it costs as much as parsing ten of them."""
_MAY_BE_UNREAD = re.compile(rb"\x15[\x06\x0a]\x16")
"""One of ``UNREAD_CODECS`` as a column chunk has it: an i32 in the field after the last, then an i64, num_values."""
NO_TIMES = "expected times of day from 00:00 to 24:00, found others"
_SMALLEST_BYTES = 12
"""Two magic numbers and a footer length."""
# pq.read_metadata gives the same and takes longer: it makes a table of all nested paths, which we do not need.
_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(
        thrift_string_size_limit=_MAX_FOOTER_BYTES, thrift_container_size_limit=_MAX_ITEMS
    )
)
# What pyarrow raises depends on where the bytes are wrong; names that are not UTF-8 are a ValueError.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileTail:
    """The end of a file whose footer was read, for whoever needs more of it than ``Footer`` says."""

    data: bytes = field(repr=False)
    """From the footer's first byte to the file's last."""
    size_bytes: int
    """Of the whole file."""
    rows: int
    row_groups: int
    schema: pq.ParquetSchema = field(repr=False)
    has_times: bool = False
    """Whether there are times of day in it: such footers are all looked at one by one."""
    times: Times = Times.WITHIN
    """What the footer says of times of day."""
    chunks: tuple[tuple[bytes, ...], Sequence[int]] | None = field(default=None, repr=False)
    """Patterns, and what ``footer_lanes.find_chunks`` found with them, if somebody has looked."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A footer of a schema that is known, for ``FooterReader.parsed``: many at once cost less than each alone."""

    file: SourceFile
    footer: bytes = field(repr=False)
    """To the file's last byte."""
    known: _Known = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Known:
    footer: KnownFooter
    columns: tuple[Column, ...]
    schema: pq.ParquetSchema


class FooterReader:
    """Reads the footers of one batch, from many threads; what its files have in common is worked out once."""

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        """Read footers from ``store``.

        Args:
            folder: where DuckDB is asked about a schema; None for the system's own temporary folder.
        """
        self._store = store
        self._folder = folder
        self._schemas = KnownSchemas(folder)
        self._large = Lock()
        self._learning = Lock()
        self._lessons = 0
        self._known: deque[_Known] = deque(maxlen=_MAX_KNOWN)
        self._longest_bytes = self._footers = 0

    @property
    def tail_bytes(self) -> int:
        """What is read of a file at first: an eighth more than the longest footer so far, so that one request does."""
        if self._footers < _FOOTERS_TO_KNOW:
            return _FIRST_TAIL_BYTES
        least, most = _TAILS_BYTES
        return min(most, max(least, self._longest_bytes + self._longest_bytes // 8))

    def read_tail(self, file: SourceFile) -> tuple[Footer, FileTail] | Rejected:
        """The file's footer with the bytes that were read, or why it has none that can be used.

        Raises:
            StorageError: the object store failed; that says nothing about the file.
        """
        found = self.fetch(file, leave=lambda _: False)
        assert not isinstance(found, Fetched)
        return found

    def fetch(self, file: SourceFile, *, leave: Callable[[tuple[Column, ...]], bool]) -> _Read | Rejected | Fetched:
        """As ``read_tail``, but a footer of known columns may be left for ``parsed``.

        Args:
            leave: whether footers with these columns may be.
        """
        if file.size_bytes == 0:
            return _rejected(file, RejectReason.EMPTY, "expected Parquet, found 0 bytes")
        if file.size_bytes < _SMALLEST_BYTES:
            return _rejected(file, RejectReason.NOT_PARQUET, f"expected Parquet, found {file.size_bytes} bytes")
        try:
            return self._read(file, leave)
        except FileNotFoundError:
            return vanished(file)
        except StorageError:
            moved = moved_meanwhile(self._store, file)
            if moved is None:
                raise
            return moved

    def parsed(self, fetched: Sequence[Fetched]) -> list[_Read | Rejected]:
        """What ``read_tail`` gives for each."""
        found: dict[int, _Read | Rejected] = {}
        groups: dict[int, list[int]] = {}
        for number, item in enumerate(fetched):
            groups.setdefault(id(item.known), []).append(number)
        for numbers in groups.values():
            known = fetched[numbers[0]].known
            counted = known.footer.read([fetched[number].footer for number in numbers])
            for number, counts in zip(numbers, counted, strict=True):
                read = None if counts is None else _as_counted(fetched[number], counts)
                found[number] = read or self._parsed(fetched[number].file, fetched[number].footer)
        return [found[number] for number in range(len(fetched))]

    def _parsed(self, file: SourceFile, footer: bytes) -> _Read | Rejected:
        found = _parsed(file, footer, self._schemas)
        if isinstance(found, tuple) and found[0].row_groups == 1 and not found[1].has_times:
            self._learn(footer, *found)
        return found

    def _learn(self, data: bytes, footer: Footer, tail: FileTail) -> None:
        with self._learning:
            if self._lessons == _MAX_LESSONS or any(known.footer.fits(data) for known in self._known):
                return
            self._lessons += 1
            learned = KnownFooter.learned(data, rows=footer.rows, uncompressed_bytes=footer.uncompressed_bytes)
            if learned is not None:
                self._known.append(_Known(learned, footer.columns, tail.schema))

    def _read(self, file: SourceFile, leave: Callable[[tuple[Column, ...]], bool]) -> _Read | Rejected | Fetched:
        tail = self._tail(file, min(self.tail_bytes, file.size_bytes))
        if tail[-4:] == _ENCRYPTED:
            return _rejected(file, RejectReason.ENCRYPTED, "expected plain Parquet, found an encrypted footer")
        if tail[-4:] != MAGIC:
            return self._without_magic(file)
        length = int.from_bytes(tail[-8:-4], "little")
        if length + _SMALLEST_BYTES > file.size_bytes or length == 0:
            return _rejected(
                file, RejectReason.TRUNCATED, f"expected a footer of {length} bytes in a file of {file.size_bytes}"
            )
        if length > _MAX_FOOTER_BYTES:
            return _rejected(
                file, RejectReason.TOO_LARGE, f"expected a footer of at most {_MAX_FOOTER_BYTES} bytes, found {length}"
            )
        if length > _LARGE_FOOTER_BYTES:
            with self._large:
                return _parsed(file, self._tail(file, length + 8), KnownSchemas(self._folder))
        # From many threads without a lock: what is lost is a length, and costs a request.
        self._longest_bytes, self._footers = max(self._longest_bytes, length + 8), self._footers + 1
        if length + 8 > len(tail):
            tail = self._tail(file, length + 8)
        footer = tail[-(length + 8) :]
        for known in tuple(self._known):
            if known.footer.fits(footer) and leave(known.columns):
                return Fetched(file, footer, known)
        return self._parsed(file, footer)

    def _tail(self, file: SourceFile, length: int) -> bytes:
        return self._store.read_range(file.key, start=file.size_bytes - length, length=length)

    def _without_magic(self, file: SourceFile) -> Rejected:
        head = self._store.read_range(file.key, start=0, length=4)
        if head == MAGIC:
            detail = "expected a footer at the end, found none: the file was cut off"
            return _rejected(file, RejectReason.TRUNCATED, detail)
        return _rejected(file, RejectReason.NOT_PARQUET, "expected Parquet, found neither its beginning nor its end")


_Read = tuple[Footer, FileTail]


def _parsed(file: SourceFile, footer: bytes, schemas: KnownSchemas) -> _Read | Rejected:
    # pyarrow reads metadata from a whole file; the beginning and the footer are all it looks at.
    try:
        fragment = _FORMAT.make_fragment(pa.BufferReader(MAGIC + footer))
        metadata = fragment.metadata
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        rejected = (
            _too_wide(file, metadata.num_columns, "leaves")
            or _contradiction(file, metadata, groups)
            or _missing_data(file, groups, footer)
            or _unread_codec(file, footer)
        )
        if rejected is not None:
            return rejected
        known = schemas.of(footer, metadata.metadata)
        times = known.times(footer)
    except RefusedSchema as error:
        return _rejected(file, error.reason, error.detail)
    except MemoryError:  # Arrow's is an ArrowException too; it says nothing about the file
        raise
    except _UNREADABLE as error:
        why = line_without_values(str(error)) or type(error).__name__
        return _corrupt(file, f"expected a Parquet footer, found one that cannot be read: {why}")
    found = Footer(
        rows=metadata.num_rows,
        row_groups=metadata.num_row_groups,
        columns=known.columns,
        compressed_bytes=file.size_bytes,
        uncompressed_bytes=sum(group.total_byte_size for group in groups),
        largest_group_bytes=max((group.total_byte_size for group in groups), default=0),
    )
    if times is Times.OUTSIDE:
        return _corrupt(file, NO_TIMES)
    tail = FileTail(
        data=footer,
        size_bytes=file.size_bytes,
        rows=found.rows,
        row_groups=found.row_groups,
        schema=metadata.schema,
        times=times,
        has_times=bool(known.with_times),
    )
    return _too_wide(file, len(known.columns), "columns") or (found, tail)


def _as_counted(fetched: Fetched, counts: Counts) -> _Read | None:
    """A footer that was not parsed; None when there may be something wrong with it."""
    file, known = fetched.file, fetched.known
    if not counts.uncompressed_bytes <= file.size_bytes - len(fetched.footer) - len(MAGIC):
        return None  # it says so of uncompressed data, and there may be room all the same
    footer = Footer(
        rows=counts.rows,
        row_groups=1,
        columns=known.columns,
        compressed_bytes=file.size_bytes,
        uncompressed_bytes=counts.uncompressed_bytes,
        largest_group_bytes=counts.uncompressed_bytes,
    )
    tail = FileTail(
        data=fetched.footer,
        size_bytes=file.size_bytes,
        rows=counts.rows,
        row_groups=1,
        schema=known.schema,
        chunks=(known.footer.patterns, counts.places),
    )
    return footer, tail


def _too_wide(file: SourceFile, found: int, what: str) -> Rejected | None:
    most = MAX_COLUMNS if what == "columns" else _MAX_LEAVES
    if found <= most:
        return None
    return _rejected(file, RejectReason.TOO_LARGE, f"expected at most {most:,} {what}, found {found:,}")


def _contradiction(
    file: SourceFile, metadata: pq.FileMetaData, groups: Sequence[pq.RowGroupMetaData]
) -> Rejected | None:
    """What the footer says of itself and cannot be true.

    Never touch ``group.column(…)`` here: of a damaged column chunk pyarrow makes a C++ exception that nobody catches,
    and the process ends. DuckDB looks at the chunks when the file is registered, and refuses it then.
    """
    if any(group.num_columns != metadata.num_columns for group in groups):
        return _corrupt(file, f"expected {metadata.num_columns} columns in each row group, found another number")
    rows = [group.num_rows for group in groups]
    if min(rows, default=0) < 0 or sum(rows) != metadata.num_rows:
        # The ledger keeps this number, and clean-up stops when the landing table has another.
        return _corrupt(file, f"expected {metadata.num_rows} rows, found {sum(rows)} in {len(rows)} row groups")
    sizes = [group.total_byte_size for group in groups]
    if min(sizes, default=0) < 0 or sum(sizes) > _MAX_SIZE:
        return _corrupt(file, "expected row groups of a possible size, found one of another")
    return None


def _missing_data(file: SourceFile, groups: Sequence[pq.RowGroupMetaData], footer: bytes) -> Rejected | None:
    """Whether the file is too small for its row groups: registered, it would make every scan of landing fail."""
    room = file.size_bytes - len(footer) - len(MAGIC)
    if sum(group.total_byte_size for group in groups) <= room:
        return None  # there is room even for the uncompressed data
    promised = promised_bytes(footer)
    if promised is None or promised <= room:
        return None
    return _rejected(
        file, RejectReason.TRUNCATED, f"expected {promised:,} bytes of data, found room for {max(room, 0):,}"
    )


def _unread_codec(file: SourceFile, footer: bytes) -> Rejected | None:
    """Whether DuckDB cannot undo the compression: registered, the file would make every scan of landing fail."""
    if _MAY_BE_UNREAD.search(footer) is None:
        return None
    found = sorted(UNREAD_CODECS[codec] for codec in codecs_of(footer) & UNREAD_CODECS.keys())
    if not found:
        return None
    detail = f"expected a codec that DuckDB reads ({READ_CODECS}), found {' and '.join(found)}"
    return _rejected(file, RejectReason.UNSUPPORTED_CODEC, detail)


def _corrupt(file: SourceFile, detail: str) -> Rejected:
    return _rejected(file, RejectReason.CORRUPT, detail)


def _rejected(file: SourceFile, reason: RejectReason, detail: str) -> Rejected:
    return Rejected(file=file, reason=reason, detail=detail)
