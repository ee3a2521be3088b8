"""Tables at a terminal: whatever its width, no word is broken, and nothing that is not 0 is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakeray.cli.terminal import Output, blocks, has_prose, lines_of, records, without_quiet
from lakeray.cli.words import Table

cells = st.text("ab01漢", min_size=1, max_size=12)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    count = draw(st.integers(1, 9))
    columns = draw(st.lists(cells, min_size=count, max_size=count))
    rows = draw(st.lists(st.lists(st.one_of(st.just("0"), cells), min_size=count, max_size=count), max_size=4))
    return Table(title="Feed", columns=tuple(columns), rows=tuple(map(tuple, rows)))


def width_of(line: str) -> int:
    return sum(2 if sign == "漢" else 1 for sign in line)


@given(tables(), st.integers(1, 120))
def test_each_column_is_in_one_block_with_the_first_and_what_can_fit_fits(table: Table, width: int) -> None:
    found = list(blocks(table, width=width))
    assert [name for block in found for name in block.columns[1:]] == list(table.columns[1:])
    for block in found:
        assert block.columns[0] == table.columns[0]
        assert [row[0] for row in block.rows] == [row[0] for row in table.rows]
        assert len(block.columns) <= 2 or max(map(width_of, lines_of(block)[1:])) <= width


@given(tables())
def test_only_columns_of_zeros_are_left_out_and_they_are_named(table: Table) -> None:
    shown, quiet = without_quiet(table)
    assert sorted((*shown.columns, *quiet)) == sorted(table.columns)
    assert shown.columns[0] == table.columns[0]
    kept = [cell for row in table.rows for cell in row[1:] if cell != "0"]
    assert [cell for row in shown.rows for cell in row[1:] if cell != "0"] == kept


def test_lines_are_aligned_by_the_cells_that_they_take() -> None:
    table = Table(title="T", columns=("key", "n"), rows=(("漢字", "1"), ("a", "2")))
    assert lines_of(table) == ["T", "key   n", "漢字  1", "a     2"]


def test_rows_with_sentences_are_told_one_by_one() -> None:
    long = "expected the object that was taken in, found another one"
    table = Table(title="Findings", columns=("kind", "stream", "path", "detail"), rows=(("changed", "a/b", "", long),))
    assert has_prose(table, width=60) and not has_prose(table, width=200)
    assert list(records(table)) == ["Findings", "changed", "  stream: a/b", f"  detail: {long}"]


def test_a_terminal_gets_blocks_and_a_pipe_the_whole_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Table(
        title="Feed",
        columns=("stream", "status", "files", "changed"),
        rows=(("shopify/orders", "nothing_new", "12", "0"),),
    )
    Output(as_json=False).result({}, [table])
    assert capsys.readouterr().out == (
        "Feed\nstream          status       files  changed\nshopify/orders  nothing_new  12     0\n"
    )
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "32")
    monkeypatch.setenv("NO_COLOR", "1")
    Output(as_json=False).result({}, [table])
    assert capsys.readouterr().out.splitlines() == [
        "Feed",
        "stream          status",
        "shopify/orders  nothing_new",
        "Feed",
        "stream          files",
        "shopify/orders  12",
        "All 0: changed",
    ]
