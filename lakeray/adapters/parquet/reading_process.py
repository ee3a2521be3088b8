"""The process in which whole files are read: ``python -m lakeray.adapters.parquet.reading_process``.

A line of JSON in, a line of JSON out, until the input ends. A question has the ``source``, a local Parquet file, and

- ``losses``, SQL of truth values over all rows: nothing more is done when one of them is true;
- ``columns``, SQL, with ``into`` and ``rows``: the file is written anew, with these columns and so many rows in a row
  group; without: they are read, also as text, and nothing is done with them.

An answer is ``{"done": true}``, ``{"lost": number}``, ``{"memory": text}``, ``{"disk": text}`` or
``{"reason": …, "detail": …}``.
"""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import duckdb

from lakeray.adapters.parquet.reader_errors import reason_of, says_disk

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": "1",
    "memory_limit": "512MB",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_SOURCE = "parquet_scan($source, hive_partitioning = false)"


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Read, or write anew, one file."""
    # A database for each: one that met an internal error serves nothing more.
    with duckdb.connect(config=_CONFIG) as connection:
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET temp_directory = ?", [question["temp"]])
            return _answer(connection, question)
        except duckdb.Error as error:
            if says_disk(error):
                return {"disk": str(error).split("\n", 1)[0]}
            try:
                reason, detail = reason_of(error)
            except MemoryError as memory:
                return {"memory": str(memory).split("\n", 1)[0]}
            return {"reason": str(reason), "detail": detail}


def _answer(connection: duckdb.DuckDBPyConnection, question: dict[str, Any]) -> dict[str, Any]:
    source = {"source": question["source"]}
    if question["losses"]:
        losses = ", ".join(question["losses"])
        lost = connection.execute(f"SELECT {losses} FROM {_SOURCE}", source).fetchall()[0]
        if any(lost):
            return {"lost": lost.index(True)}
    columns = question["columns"]
    if "into" in question:
        connection.execute(
            f"COPY (SELECT {', '.join(columns)} FROM {_SOURCE}) TO $into"
            f" (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {int(question['rows'])})",
            source | {"into": question["into"]},
        )
    elif columns:
        # As text, too: some values that can be read cannot be written, and dbt writes them.
        hashes = ", ".join(f"{column}, CAST({column} AS VARCHAR)" for column in columns)
        connection.execute(f"SELECT bit_xor(hash({hashes})) FROM {_SOURCE}", source).fetchall()
    return {"done": True}


def main(questions: TextIO, answers: TextIO) -> None:
    """Answer until the questions end."""
    for line in questions:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
