"""The page of results: parts that run on different days add up, and nothing is invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.realstack import results
from tests.realstack.results import WRITE, Results


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(WRITE, "1")
    return tmp_path / "reliability.md"


def ran(page: Path, commit: str, monkeypatch: pytest.MonkeyPatch, **trials: bool) -> None:
    monkeypatch.setattr(results, "_commit", lambda: commit)
    part = Results()
    for where, survives in trials.items():
        try:
            with part.trial("a fault", where, times=2) as row:
                row.lost = 0 if survives else 3
                assert survives
        except AssertionError:
            assert not survives
    part.write(page)


def table(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith("| ")][1:]


def test_parts_add_up_and_a_part_that_runs_again_replaces_its_own_lines(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(page, "aaa", monkeypatch, first=False, second=True)
    assert table(page)[-1] == "| **all** | | 4 | 2 | 3 | 0 | |"
    ran(page, "bbb", monkeypatch, first=True, third=True)
    assert table(page) == [
        "| a fault | first | 2 | 2 | 0 | 0 | `bbb` |",
        "| a fault | second | 2 | 2 | 0 | 0 | `aaa` |",
        "| a fault | third | 2 | 2 | 0 | 0 | `bbb` |",
        "| **all** | | 6 | 6 | 0 | 0 | |",
    ]


def test_a_run_is_named_with_its_versions_as_long_as_a_line_is_its(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran(page, "aaa", monkeypatch, first=True)
    ran(page, "bbb", monkeypatch, second=True)
    assert "- `aaa`: " in page.read_text() and "duckdb " in page.read_text()
    ran(page, "bbb", monkeypatch, first=True)
    assert "`aaa`" not in page.read_text()


def test_nothing_is_written_unless_the_run_was_told_to(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WRITE)
    ran(page, "aaa", monkeypatch, first=True)
    assert not page.exists()
