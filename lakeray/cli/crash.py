"""What nobody expected, as a short message and a file for whoever mends it, without secrets."""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from lakeray import __version__
from lakeray.values.errors import UnexpectedError
from lakeray.values.redaction import redacted


def caught(error: BaseException, *, words: Sequence[str]) -> UnexpectedError:
    """The error to show in place of a traceback, which goes into a file of its own.

    Args:
        words: the command line.
    """
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return UnexpectedError(
        f"lakeray met what it did not expect: {name}",
        found=(str(error).splitlines() or [""])[0][:200],
        todo=f"Nothing that was committed is lost, and the command may be run again. {_written(error, words)}",
    )


def _written(error: BaseException, words: Sequence[str]) -> str:
    text = "\n".join(
        [
            f"lakeray {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {' '.join(words)}",
            "",
            *traceback.format_exception(error),
        ]
    )
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="lakeray-crash-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(redacted(text))
    except OSError:
        print(redacted(text), file=sys.stderr)  # no disk takes it: better here than nowhere
        return "Please report the lines above"
    return f"Please report it with {Path(file.name)}; look through it first: it may name your tables and files"
