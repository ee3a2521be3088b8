"""Answers of the lake as text: nothing of a value is lost, nothing is kept that was printed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, BinaryIO
from uuid import UUID

import pytest

from lakeray.cli.answers import FORMATS, cell, json_text, unique
from lakeray.cli.parse import parse
from lakeray.values.errors import UsageError


@dataclass
class Rows:
    """The ``Answer`` port, of rows that are there."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    page: int = 2

    def pages(self) -> Iterator[Sequence[Sequence[Any]]]:
        """Two at a time."""
        for at in range(0, len(self.rows), self.page):
            yield self.rows[at : at + self.page]

    def write_parquet(self, target: BinaryIO) -> None:
        """The bytes that a file of Parquet begins with."""
        target.write(b"PAR1")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (2**70, "1180591620717411303424"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (1.5, "1.5"),
        (float("nan"), '"nan"'),
        (float("-inf"), '"-inf"'),
        ('a "b"\n', '"a \\"b\\"\\n"'),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), '"2026-01-02T03:00:00+00:00"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (timedelta(days=1), '"1 day, 0:00:00"'),
        (b"\x00\xff", '"00ff"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ([1, None, {"a": Decimal("1.0")}], '[1, null, {"a": 1.0}]'),
        ({1: (True, "x")}, '{"1": [true, "x"]}'),
        ({None: 1}, '{"NULL": 1}'),
    ],
)
def test_each_value_has_its_json(value: object, text: str) -> None:
    assert json_text(value) == text
    json.loads(text)


def test_a_cell_is_one_line() -> None:
    assert [cell(value) for value in (None, "a\nb\r", [1], 1.5, False)] == ["NULL", "a\\nb\\r", "[1]", "1.5", "false"]


def test_a_name_that_was_there_gets_a_number() -> None:
    assert list(unique(["a", "a", "a_1", "b", "a"])) == ["a", "a_1", "a_1_1", "b", "a_2"]


def test_json_is_one_array_whatever_the_number_of_pages(capsys: pytest.CaptureFixture[str]) -> None:
    for rows in ([], [(1, "x")], [(1, "x"), (2, "y"), (3, None)]):
        FORMATS["json"](Rows(["n", "n"], rows))
        assert json.loads(capsys.readouterr().out) == [{"n": n, "n_1": text} for n, text in rows]


def test_csv_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["csv"](Rows(["n", "a,b"], [(1, 'x,"y"'), (2, None), (3, "ü")]))
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["n", "a,b"], ["1", 'x,"y"'], ["2", ""], ["3", "ü"],
    ]  # fmt: skip


def test_a_table_has_its_names_above_each_page_and_counts_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["table"](Rows(["id", "text"], [(1, "x"), (20, "y" * 100), (3, None)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["id  text", "1   x"]
    assert lines[2] == f"20  {'y' * 79}…"
    assert lines[3:] == ["id  text", "3   NULL", "(3 rows)"]
    FORMATS["table"](Rows(["id", "text"], []))
    assert capsys.readouterr().out.splitlines() == ["id  text", "(0 rows)"]


def test_an_explanation_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    FORMATS["table"](Rows(["explain_key", "explain_value"], [("physical_plan", "┌─┐\n└─┘")]))
    assert capsys.readouterr().out == "┌─┐\n└─┘\n"


def test_parquet_is_for_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    FORMATS["parquet"](Rows([], []))
    assert capsysbinary.readouterr().out == b"PAR1"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with pytest.raises(UsageError, match="> FILE"):
        FORMATS["parquet"](Rows([], []))


def test_a_question_may_have_anything_in_it_and_settings_are_settings() -> None:
    call = parse(["sql", "SELECT a=1 FROM x", "paths.root=/x", "--format", "csv", "+lake=postgres", "--format=json"])
    assert call.arguments == ("SELECT a=1 FROM x", "--format=csv", "--format=json")
    assert call.overrides == ("paths.root=/x", "+lake=postgres")
    assert parse(["connect", "python"]).arguments == ("python",)
    with pytest.raises(UsageError):
        parse(["status", "--format", "csv"])
