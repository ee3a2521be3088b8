"""What each suite of tests took, beside its share of the time (tests/budget.toml)."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def shares() -> dict[str, dict[str, float]]:
    """The seconds of each suite, by the run (``quick``, ``all``, ``long``)."""
    found: dict[str, dict[str, float]] = tomllib.loads((TESTS / "budget.toml").read_text(encoding="utf-8"))
    return found


def suite_of(node_id: str) -> str:
    """The folder under tests/ that a test is in."""
    return node_id.split("/")[1] if node_id.startswith("tests/") else node_id.split("/", 1)[0]


def lines(took_s: Mapping[str, float], share_s: Mapping[str, float]) -> Iterable[tuple[str, bool]]:
    """A line for each suite that ran, and whether it is over its share; the longest first."""
    for suite in sorted(took_s, key=lambda name: -took_s[name]):
        share = share_s.get(suite)
        said = "no share" if share is None else f"of {share:6,.0f} s"
        over = share is None or took_s[suite] > share
        yield f"{suite:<14}{took_s[suite]:8,.1f} s  {said}{'  OVER' if over else ''}", over


class Budget:
    """The plugin: adds up the tests of all workers, and prints the sums at the end. Over a share, it warns."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.took_s: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """With xdist this is called where the workers' reports come together."""
        self.took_s[suite_of(report.nodeid)] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Seconds of tests, whichever worker they ran on: on two workers the clock shows about half of them."""
        terminalreporter.section(f"seconds of tests by suite (share of `{self.run}`, tests/budget.toml)")
        for line, over in lines(self.took_s, shares()[self.run]):
            terminalreporter.write_line(line, yellow=over)
