"""Answers of the lake on stdout: as a table, JSON, CSV or Parquet, a page at a time."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from itertools import count
from typing import Any

from lakeray.cli.terminal import blocks, lines_of
from lakeray.cli.words import Table
from lakeray.ports.queries import Answer
from lakeray.values.errors import UsageError

_EXPLAINED = ("explain_key", "explain_value")
"""What EXPLAIN answers: a drawing."""
_LONGEST = 80
"""Characters of a cell of a table."""


def as_table(answer: Answer) -> None:
    """Aligned lines, the names above each page; on a terminal a wide page is shown in blocks. Long values are cut."""
    names, rows = tuple(answer.columns), 0
    for page in answer.pages():
        rows += len(page)
        if names == _EXPLAINED:
            print("\n".join(str(row[1]) for row in page))
            continue
        table = Table(title="", columns=names, rows=tuple(tuple(_short(cell(value)) for value in row) for row in page))
        for block in blocks(table, width=shutil.get_terminal_size().columns) if sys.stdout.isatty() else [table]:
            print("\n".join(lines_of(block)[1:]))
    if not rows:
        print("  ".join(names))
    if names != _EXPLAINED:
        print(f"({rows:,} row{'' if rows == 1 else 's'})")


def as_json(answer: Answer) -> None:
    """One JSON array, an object a row."""
    names = [json.dumps(name, ensure_ascii=False) for name in unique(answer.columns)]
    sys.stdout.write("[")
    between = "\n"
    for page in answer.pages():
        for row in page:
            fields = ", ".join(f"{name}: {json_text(value)}" for name, value in zip(names, row, strict=True))
            sys.stdout.write(f"{between}{{{fields}}}")
            between = ",\n"
    sys.stdout.write("\n]\n")


def as_csv(answer: Answer) -> None:
    """A line of names, then a line a row; no value is an empty field."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    for page in answer.pages():
        writer.writerows([None if value is None else cell(value) for value in row] for row in page)


def as_parquet(answer: Answer) -> None:
    """One Parquet file.

    Raises:
        UsageError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError("sql --format parquet", expected="a file: > FILE", found="a terminal")
    answer.write_parquet(sys.stdout.buffer)


FORMATS: Mapping[str, Callable[[Answer], None]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "parquet": as_parquet,
}
"""By the name that ``--format`` has for them."""


def cell(value: Any) -> str:
    """A value on one line of text; a list or a struct is JSON."""
    if value is None:
        return "NULL"
    if isinstance(value, bool | list | dict | tuple):
        return json_text(value)
    text = value if isinstance(value, str) else _plain(value)
    return text.replace("\r", "\\r").replace("\n", "\\n")


def json_text(value: Any) -> str:
    """A value as JSON: numbers with all their digits, times as ISO 8601, what JSON has no number for as a text."""
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float | Decimal):
        return _plain(value) if math.isfinite(value) else json.dumps(_plain(value))
    if isinstance(value, dict):
        fields = (f"{json.dumps(cell(key), ensure_ascii=False)}: {json_text(item)}" for key, item in value.items())
        return f"{{{', '.join(fields)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(json_text, value))}]"
    return json.dumps(_plain(value), ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def unique(names: Sequence[str]) -> Iterator[str]:
    """The names, those that were there before with a number behind: ``a``, ``a_1``."""
    seen: set[str] = set()
    for name in names:
        free = name if name not in seen else next(t for number in count(1) if (t := f"{name}_{number}") not in seen)
        seen.add(free)
        yield free
