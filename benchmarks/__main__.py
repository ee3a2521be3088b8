"""Run every suite, one after the other: ``make bench``."""

from __future__ import annotations

import importlib
import sys

SUITES = ("noop", "executor", "registration")


def main() -> int:
    """Run the named suites, or all."""
    for name in sys.argv[1:] or SUITES:
        importlib.import_module(f"benchmarks.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
