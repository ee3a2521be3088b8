"""A converted copy for a file whose columns DuckLake cannot register as they are, value by value and without loss.

The copy lies under the lake's DATA_PATH, its name made from the file's identity and its casts: a second try writes the
same copy over the first, and a file that is registered anew with other casts never writes over the copy that is
registered still. The ledger keeps the raw object's key; the copy is what is registered.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lakeray.adapters.parquet.apart import APART
from lakeray.adapters.parquet.casts import cast_sql, is_epoch, kept_sql, loss_sql, outside_sql, some
from lakeray.adapters.parquet.footers import NO_TIMES
from lakeray.adapters.parquet.meanwhile import moved_meanwhile, vanished
from lakeray.ports.storage import ObjectStore
from lakeray.values.causes import disk_cause
from lakeray.values.column_types import quoted
from lakeray.values.errors import StorageError, TryAgainError
from lakeray.values.globs import glob_escaped
from lakeray.values.model import Accepted, Cast, Rejected, RejectReason, SourceFile, StreamName, Verdict

_ROWS = 122_880
"""Rows of a row group at most: DuckDB's own number."""
_FEWEST_ROWS = 2_048
"""At least: DuckDB works with so many at a time."""
_PIECE_BYTES = 16 * 1024 * 1024
"""What is fetched at a time; and of uncompressed rows, about, what a row group of a copy has."""


def convert(accepted: Accepted, *, stream: StreamName, raw: ObjectStore, lake: ObjectStore, temp: Path) -> Verdict:
    """Write the copy and say where it is, or reject the file whose values do not fit.

    Without casts the copy is the same, byte for byte; but one of a file with excluded fields lacks them.

    Raises:
        StorageError: the storage failed.
        TryAgainError: the temporary folder takes no copy.
    """
    key = copy_key(stream, accepted)
    with _room(accepted.file, temp) as folder:
        path = folder / "copy.parquet"

        def write() -> Rejected | None:
            if accepted.casts or accepted.whole is not None:
                return _read(accepted, raw=raw, folder=folder, into=path)
            fetch(accepted.file, raw=raw, path=path)
            return None

        rejected = _tried(accepted, write, raw=raw)
        if rejected is not None:
            return rejected
        lake.put_file(key, path)
    return replace(accepted, registered_path=lake.url(key))


def without_times_that_are_none(accepted: Accepted, *, raw: ObjectStore, temp: Path) -> Verdict:
    """The verdict, or a rejection for a time of day that is none: for a file whose statistics do not tell.

    Raises: as ``convert``.
    """
    with _room(accepted.file, temp) as folder:
        return _tried(accepted, lambda: _read(accepted, raw=raw, folder=folder), raw=raw) or accepted


@contextmanager
def _room(file: SourceFile, temp: Path) -> Iterator[Path]:
    """A folder of its own, gone with the block; what this machine does not let happen in it is an error, no verdict."""
    try:
        temp.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=temp) as folder:
            yield Path(folder)
    except OSError as error:
        raise disk_cause(error, otherwise=TryAgainError)(
            f"{file.key}: its copy cannot be written in {temp}",
            found=os.strerror(error.errno) if error.errno else type(error).__name__,
            todo="Make room or mend the permissions, then run the feed again",
        ) from error


def _tried(accepted: Accepted, work: Callable[[], Rejected | None], *, raw: ObjectStore) -> Rejected | None:
    try:
        refused = work()
    except FileNotFoundError:
        return vanished(accepted.file)
    except StorageError:  # a read past the end of an object that shrank is one, too
        moved = moved_meanwhile(raw, accepted.file)
        if moved is None:
            raise
        return moved
    return moved_meanwhile(raw, accepted.file) or refused  # else the copy may hold rows of two objects


def _read(accepted: Accepted, *, raw: ObjectStore, folder: Path, into: Path | None = None) -> Rejected | None:
    """Let DuckDB read the object, and write the copy: what it reads is what it would have read of the object."""
    source = folder / "object.parquet"
    fetch(accepted.file, raw=raw, path=source)
    losses = [(loss_sql(cast), _lost(cast)) for cast in accepted.casts]
    none = [outside for column in accepted.footer.columns if (outside := outside_sql(column))]
    losses += [(some(outside), (RejectReason.CORRUPT, NO_TIMES)) for outside in none]
    question: dict[str, object] = {
        "source": glob_escaped(str(source)),
        "temp": str(folder / "spill"),
        "losses": [sql for sql, _ in losses],
        "columns": [],
    }
    if into is not None:
        question |= {"into": str(into), "rows": _rows_at_once(accepted), "columns": _columns(accepted)}
    answer = APART.ask(question, size_bytes=accepted.file.size_bytes)
    if "memory" in answer:  # not the file's
        raise MemoryError(answer["memory"])
    if "disk" in answer:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "lost" in answer:
        reason, detail = losses[answer["lost"]][1]
        return Rejected(file=accepted.file, reason=reason, detail=detail)
    if "reason" in answer:
        return Rejected(file=accepted.file, reason=RejectReason(answer["reason"]), detail=answer["detail"])
    return None


def _lost(cast: Cast) -> tuple[RejectReason, str]:
    if is_epoch(cast):
        detail = (
            f"column {cast.column}: expected whole numbers of seconds, milli-, micro- or nanoseconds since 1970, all "
            "of them in one of these units between the years 2000 and 2100, found others"
        )
        return RejectReason.IMPLAUSIBLE_TIME, detail
    detail = f"column {cast.column}: expected values that {cast.wanted} holds without loss, found others"
    return RejectReason.TYPE_CHANGED, detail


def _columns(accepted: Accepted) -> list[str]:
    casts = {cast.column: cast for cast in accepted.casts}
    found = {column.name: column for column in accepted.whole or accepted.footer.columns}
    columns = []
    for column in accepted.footer.columns:
        value = kept_sql(found[column.name], column.type)
        cast = casts.get(column.name)
        columns.append(f"{value if cast is None else cast_sql(cast, value=value)} AS {quoted(column.name)}")
    return columns


def fetch(file: SourceFile, *, raw: ObjectStore, path: Path) -> None:
    """Copy an object to this machine.

    Raises:
        FileNotFoundError: it is gone.
        StorageError: the storage failed, or the object shrank.
    """
    with path.open("wb") as copy:
        for start in range(0, file.size_bytes, _PIECE_BYTES):
            copy.write(raw.read_range(file.key, start=start, length=min(_PIECE_BYTES, file.size_bytes - start)))


def copy_key(stream: StreamName, accepted: Accepted) -> str:
    """Where the copy of a file is, below DATA_PATH."""
    casts = [part for each in accepted.casts for part in (each.column, str(each.wanted))]
    if accepted.whole is not None:
        casts += [part for column in accepted.footer.columns for part in ("kept", column.name, str(column.type))]
    named = "\0".join((accepted.file.key, accepted.file.etag, *casts))
    digest = hashlib.sha256(named.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"converted/{stream.landing_table}/{digest}.parquet"


def _rows_at_once(accepted: Accepted) -> int:
    row_bytes = accepted.footer.uncompressed_bytes // max(1, accepted.footer.rows)
    return max(_FEWEST_ROWS, min(_ROWS, _PIECE_BYTES // max(1, row_bytes)))
