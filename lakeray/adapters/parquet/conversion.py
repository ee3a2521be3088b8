"""A converted copy for a file whose columns DuckLake cannot register as they are, value by value and without loss.

The copy lies under the lake's DATA_PATH, its name made from the file's identity: a second try writes the same copy
over the first. The ledger keeps the raw object's key; the copy is what is registered.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lakeray.adapters.parquet.arrow_types import arrow_type
from lakeray.adapters.parquet.meanwhile import moved_meanwhile, vanished
from lakeray.ports.storage import ObjectStore
from lakeray.values.errors import StorageError, TryAgainError
from lakeray.values.model import Accepted, Cast, Rejected, RejectReason, SourceFile, StreamName, Verdict

_ROWS = 8192
_PIECE_BYTES = 16 * 1024 * 1024
"""Of uncompressed rows, about, that are converted at a time, so that wide rows take no more memory than narrow ones."""
_READ_AHEAD_BYTES = 1024 * 1024
"""What is read of a column chunk at a time, instead of the whole of it."""
_A_SECOND = (1, 10**3, 10**6, 10**9)
_PLAUSIBLE = (946_684_800, 4_102_444_800)
"""The seconds from 1970 to 2000 (inclusive) and to 2100 (exclusive): in no two units do these ranges meet."""
_OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)
"""Errors of this machine: they say nothing about the file, which must not be rejected for them (P6)."""


class _Implausible(Exception):
    """The numbers are no times."""


def convert(accepted: Accepted, *, stream: StreamName, raw: ObjectStore, lake: ObjectStore, temp: Path) -> Verdict:
    """Write the copy and say where it is, or reject the file whose values do not fit.

    Without casts the copy is the same, byte for byte.

    Raises:
        StorageError: the storage failed.
        TryAgainError: the temporary folder takes no copy.
    """
    key = copy_key(stream, accepted.file)
    try:
        temp.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=temp) as folder:
            path = Path(folder) / "copy.parquet"
            write = _write if accepted.casts else _write_as_it_is
            rejected = _written_or_rejected(accepted, raw=raw, path=path, write=write)
            if rejected is not None:
                return rejected
            lake.put_file(key, path)
    except OSError as error:
        raise TryAgainError(
            f"{accepted.file.key}: its copy cannot be written in {temp}",
            found=os.strerror(error.errno) if error.errno else type(error).__name__,
            todo="Make room or mend the permissions, then run the feed again",
        ) from error
    return replace(accepted, registered_path=lake.url(key))


def _written_or_rejected(
    accepted: Accepted, *, raw: ObjectStore, path: Path, write: Callable[..., None]
) -> Rejected | None:
    try:
        write(accepted, raw=raw, path=path)
    except FileNotFoundError:
        return vanished(accepted.file)
    except StorageError:  # a read past the end of an object that shrank is one, too
        moved = moved_meanwhile(raw, accepted.file)
        if moved is None:
            raise
        return moved
    except _Implausible as error:
        found = Rejected(file=accepted.file, reason=RejectReason.IMPLAUSIBLE_TIME, detail=str(error))
        return moved_meanwhile(raw, accepted.file) or found
    except MemoryError:  # Arrow's is an ArrowException too; it says nothing about the file
        raise
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        detail = f"expected values that convert without loss, found: {str(error).splitlines()[0][:200]}"
        does_not_fit = Rejected(file=accepted.file, reason=RejectReason.TYPE_CHANGED, detail=detail)
        return moved_meanwhile(raw, accepted.file) or does_not_fit
    return moved_meanwhile(raw, accepted.file)  # else the copy may hold rows of two objects


def _write_as_it_is(accepted: Accepted, *, raw: ObjectStore, path: Path) -> None:
    file = accepted.file
    with path.open("wb") as copy:
        for start in range(0, file.size_bytes, _PIECE_BYTES):
            copy.write(raw.read_range(file.key, start=start, length=min(_PIECE_BYTES, file.size_bytes - start)))


def copy_key(stream: StreamName, file: SourceFile) -> str:
    """Where the copy of a file is, below DATA_PATH."""
    digest = hashlib.sha256("\0".join((file.key, file.etag)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"converted/{stream.landing_table}/{digest}.parquet"


def _write(accepted: Accepted, *, raw: ObjectStore, path: Path) -> None:
    file = pa.PythonFile(cast(IO[bytes], _Ranges(raw, accepted.file)), mode="r")
    # Whole column chunks are fewer requests; a row group that is large is read in pieces all the same.
    ahead = _READ_AHEAD_BYTES if accepted.footer.largest_group_bytes > 2 * _PIECE_BYTES else 0
    source = pq.ParquetFile(file, buffer_size=ahead)
    casts = {cast_.column: cast_ for cast_ in accepted.casts}
    units: dict[str, int] = {}
    fields = [
        pa.field(item.name, _target(casts[item.name])) if item.name in casts else item.with_metadata(None)
        for item in source.schema_arrow
    ]
    schema = pa.schema(fields)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in source.iter_batches(batch_size=_rows_at_once(accepted)):
            writer.write_batch(_converted(batch, casts, schema, units))


def _rows_at_once(accepted: Accepted) -> int:
    row_bytes = accepted.footer.uncompressed_bytes // max(1, accepted.footer.rows)
    return max(1, min(_ROWS, _PIECE_BYTES // max(1, row_bytes)))


def _converted(
    batch: pa.RecordBatch, casts: dict[str, Cast], schema: pa.Schema, units: dict[str, int]
) -> pa.RecordBatch:
    columns = [
        _cast(batch.column(index), casts[name], units) if name in casts else batch.column(index)
        for index, name in enumerate(batch.schema.names)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _target(wanted: Cast) -> pa.DataType:
    return arrow_type(wanted.wanted)


def _cast(column: pa.Array, wanted: Cast, units: dict[str, int]) -> pa.Array:
    target = _target(wanted)
    if pa.types.is_integer(column.type) and pa.types.is_timestamp(target):
        return _since_1970(column, units, name=wanted.column).cast(target)
    if pa.types.is_timestamp(target) and pa.types.is_timestamp(column.type):
        return pc.assume_timezone(column, "UTC").cast(target)
    return column.cast(target)


def _since_1970(column: pa.Array, units: dict[str, int], *, name: str) -> pa.Array:
    """Whole numbers as times: in the one unit, of all of the file's values, in which they are plausible.

    Raises:
        _Implausible: there is none.
    """
    ends = pc.min_max(column).as_py()
    if ends["min"] is not None:
        fitting = [n for n in _A_SECOND if _PLAUSIBLE[0] * n <= ends["min"] and ends["max"] < _PLAUSIBLE[1] * n]
        if not fitting or units.setdefault(name, fitting[0]) != fitting[0]:
            raise _Implausible(
                f"column {name}: expected whole numbers of seconds, milli-, micro- or nanoseconds since 1970, all of "
                "them in one of these units between the years 2000 and 2100, found others"
            )
    a_second = units.get(name, 1)
    micros = column.cast(pa.int64())
    micros = pc.multiply(micros, 10**6 // a_second) if a_second <= 10**6 else pc.divide(micros, a_second // 10**6)
    return micros.cast(pa.timestamp("us", tz="UTC"))


class _Ranges:
    """A read-only file over ranged reads, for pyarrow: only what is asked for is fetched."""

    closed = False

    def __init__(self, store: ObjectStore, file: SourceFile) -> None:
        self._store = store
        self._file = file
        self._at = 0

    def read(self, length: int | None = None) -> bytes:
        """The next ``length`` bytes, or all that is left."""
        left = self._file.size_bytes - self._at
        take = left if length is None or length < 0 else min(length, left)
        data = self._store.read_range(self._file.key, start=self._at, length=take) if take > 0 else b""
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a byte."""
        self._at = offset + (0, self._at, self._file.size_bytes)[whence]
        return self._at

    def tell(self) -> int:
        """The byte that is read next."""
        return self._at

    def close(self) -> None:
        """Nothing is open."""
        self.closed = True

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """No."""
        return False

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError
