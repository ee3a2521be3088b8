"""``reconcile``: landing DDL to tables; creates and widens, never narrows."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.commands.generate import drifted
from lakeray.cli.terminal import Output
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Make every stream's landing table hold its contract's columns. Idempotent."""
    wrong = [path for path in drifted(settings) if path.startswith("dbt/landing/")]
    if wrong:
        raise UsageError(
            wrong[0],
            expected="the DDL that follows from the stream's config",
            found="another text, or none",
            todo="`lakeray generate` writes it; commit it",
        )
    changes: list[str] = []
    with wiring.opened(settings) as app, app.committer() as committer:
        for stream in app.streams():
            changes.extend(committer.ensure_landing(stream.name, stream.landing_contract()))
    out.result({"changes": changes}, text="\n".join(changes) or "All landing tables are as configured.")
    return 0
