"""``connect``: the words that read this lake from DuckDB, Python, Java or DBeaver. Prints no secret, opens nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.snippets import KINDS
from lakeray.cli.terminal import Output
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError, nearest


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print the snippet."""
    kind = " ".join(arguments)
    if kind not in KINDS:
        raise UsageError("connect", expected=", ".join(KINDS), found=repr(kind), todo=nearest(kind, KINDS))
    text = KINDS[kind](wiring.lake_address(settings))
    out.result({"kind": kind, "snippet": text}, text=text)
    return 0
