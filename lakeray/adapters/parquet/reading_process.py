"""The process in which whole files are read: ``python -m lakeray.adapters.parquet.reading_process``.

A line of JSON in, a line of JSON out, until the input ends. A question has the ``source``, a local Parquet file, the
``temp`` folder, perhaps ``memory_bytes`` for DuckDB, and one of these:

- ``losses``, SQL of truth values over all rows: nothing more is done when one of them is true; and ``columns``, SQL:
  with ``into`` and ``rows`` the file is written anew, with these columns and so many rows in a row group;
- ``landing``, the types of the landing columns by name, with ``into`` and ``rows``: the columns that the file has are
  read, then written, as dbt would.

An answer is ``{"done": true}``, ``{"lost": number}``, ``{"memory": text}``, ``{"disk": text}``, ``{"unknown": text}``
or ``{"reason": …, "detail": …}``.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import duckdb

from lakeray.adapters.parquet.reader_errors import reason_of, says_disk
from lakeray.values.column_types import quoted
from lakeray.values.model import RejectReason
from lakeray.values.names import folded
from lakeray.values.type_growth import NAIVE_TIMESTAMPS

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "1",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_MEMORY_BYTES = 512 * 1024 * 1024
_BESIDE_BYTES = 4 * 1024 * 1024 * 1024
"""Addresses that the process may reserve beside DuckDB's memory: what a page claims must not take the machine's."""
_BASE_BYTES = 128 * 1024 * 1024
_READ_FACTOR = 4
"""DuckDB needs less than so many bytes for each that a footer tells of, and ``_BASE_BYTES``, to read a file."""
_OURS = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)
"""What tells of the question, and not of the file."""
_SHORT = "Could not read enough bytes"
"""The one thing DuckDB says of a local file by an IOException that tells of the file, not of the disk."""
_SOURCE = "parquet_scan($source, hive_partitioning = false)"
_CLAIMS = "expected pages as large as the footer tells, found some that take more memory"
_LARGEST_GROUP = (
    "SELECT max(needed) FROM (SELECT sum(greatest(total_uncompressed_size, 16 * num_values)) AS needed "
    "FROM parquet_metadata($source) GROUP BY row_group_id)"
)


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Read, or write anew, one file."""
    memory_bytes = question.get("memory_bytes", _MEMORY_BYTES)
    _confine(memory_bytes + _BESIDE_BYTES)
    # A database for each: one that met an internal error serves nothing more.
    with duckdb.connect(config=_CONFIG | {"memory_limit": f"{memory_bytes}B"}) as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET temp_directory = ?", [question["temp"]])
            return _reread(connection, question) if "landing" in question else _answer(connection, question)
        except (duckdb.Error, MemoryError) as error:
            if "landing" in question and isinstance(error, duckdb.IOException) and _SHORT not in str(error):
                return {"unknown": str(error).split("\n", 1)[0]}
            return _told(error)


def _told(error: Exception) -> dict[str, Any]:
    if says_disk(error):
        return {"disk": str(error).split("\n", 1)[0]}
    if isinstance(error, _OURS):
        return {"unknown": str(error).split("\n", 1)[0]}
    try:
        reason, detail = reason_of(error)
    except MemoryError as memory:
        return {"memory": str(memory).split("\n", 1)[0]}
    return {"reason": str(reason), "detail": detail}


def _confine(address_bytes: int) -> None:
    if sys.platform == "linux":
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (address_bytes if most < 0 else min(address_bytes, most), most))


def _answer(connection: duckdb.DuckDBPyConnection, question: dict[str, Any]) -> dict[str, Any]:
    if question["losses"]:
        losses = ", ".join(question["losses"])
        lost = connection.execute(f"SELECT {losses} FROM {_SOURCE}", _source(question)).fetchall()[0]
        if any(lost):
            return {"lost": lost.index(True)}
    if "into" in question:
        _write(connection, question, question["columns"])
    return {"done": True}


def _reread(connection: duckdb.DuckDBPyConnection, question: dict[str, Any]) -> dict[str, Any]:
    wanted = {folded(name): kind for name, kind in question["landing"].items()}
    described = connection.execute(f"DESCRIBE SELECT * FROM {_SOURCE}", _source(question)).fetchall()
    shared = [(name, kind, wanted[folded(name)]) for name, kind, *_ in described if folded(name) in wanted]
    if not shared:
        return {"done": True}
    read = ", ".join(quoted(name) for name, _, _ in shared)
    try:
        connection.execute(f"SELECT bit_xor(hash({read})) FROM {_SOURCE}", _source(question)).fetchall()
    except (duckdb.OutOfMemoryException, MemoryError):
        # Nothing is kept of what is read: what fits by its footer and does not fit, has pages that claim too much.
        needed = connection.execute(_LARGEST_GROUP, _source(question)).fetchall()[0][0] or 0
        if _BASE_BYTES + _READ_FACTOR * needed <= question.get("memory_bytes", _MEMORY_BYTES):
            return {"reason": str(RejectReason.BREAKS_READER), "detail": _CLAIMS}
        raise
    # Some values that can be read cannot be written: their bounds are written as text.
    _write(connection, question, [_as_landing(*column) for column in shared])
    return {"done": True}


def _as_landing(name: str, found: str, wanted: str) -> str:
    # Nanoseconds that cannot be written as such can be in the landing column's microseconds.
    if found != wanted and found in NAIVE_TIMESTAMPS and wanted in NAIVE_TIMESTAMPS:
        return f"CAST({quoted(name)} AS {wanted}) AS {quoted(name)}"
    return quoted(name)


def _write(connection: duckdb.DuckDBPyConnection, question: dict[str, Any], columns: list[str]) -> None:
    connection.execute(
        f"COPY (SELECT {', '.join(columns)} FROM {_SOURCE}) TO $into"
        f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {int(question['rows'])}, RETURN_STATS)",
        _source(question) | {"into": question["into"]},
    ).fetchall()


def _source(question: dict[str, Any]) -> dict[str, str]:
    return {"source": question["source"]}


def main(questions: TextIO, answers: TextIO) -> None:
    """Answer until the questions end."""
    for line in questions:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
