"""Run every suite, one after the other: ``make bench``."""

from __future__ import annotations

import importlib
import sys

from benchmarks import document

SUITES = ("noop", "executor", "registration", "embedded", "scale", "transform", "end_to_end", "pipeline", "memory")


def main() -> int:
    """Run the named suites, or all, and write docs/performance.md."""
    for name in sys.argv[1:] or SUITES:
        importlib.import_module(f"benchmarks.{name}").main()
    document.main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
