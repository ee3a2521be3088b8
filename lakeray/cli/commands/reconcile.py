"""``reconcile``: landing DDL to tables; creates and widens, never narrows what has rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakeray import wiring
from lakeray.cli.commands.generate import drifted
from lakeray.cli.terminal import Output
from lakeray.ports.committer import Committer
from lakeray.settings.values import RefusedStream, Settings, StreamSettings
from lakeray.values.errors import LakerayError, UsageError


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Make every stream's landing table hold its contract's columns. Idempotent; a stream that fails stops no other."""
    wrong = [path for path in drifted(settings) if path.startswith("dbt/landing/")]
    if wrong:
        raise UsageError(
            wrong[0],
            expected="the DDL that follows from the stream's config",
            found="another text, or none",
            todo="`lakeray generate` writes it; commit it",
        )
    with wiring.opened(settings) as app, app.committer() as committer:
        outcomes = [_reconciled(stream, committer) for stream in app.streams()]
    outcomes += [_refused(item) for item in settings.refused]
    changes = [change for outcome in outcomes for change in outcome["changes"]]
    failed = [outcome for outcome in outcomes if outcome["error"] is not None]
    text = "\n".join(changes + [_line(outcome) for outcome in failed]) or "All landing tables are as configured."
    document = {"changes": changes, "streams": outcomes, "error": failed[0]["error"] if failed else None}
    out.result(document, text=text)
    return 1 if failed else 0


def _reconciled(stream: StreamSettings, committer: Committer) -> dict[str, Any]:
    named = {"source": stream.source, "stream": stream.stream}
    try:
        changes = list(committer.ensure_landing(stream.name, stream.landing_contract()))
    except LakerayError as error:
        if error.exit_code != 1:
            raise
        return {**named, "changes": [], "error": error.as_dict()}
    return {**named, "changes": changes, "error": None}


def _refused(stream: RefusedStream) -> dict[str, Any]:
    named = {"source": stream.name.source, "stream": stream.name.stream}
    return {**named, "changes": [], "error": stream.error.as_dict()}


def _line(outcome: dict[str, Any]) -> str:
    error = outcome["error"]
    found = f"; expected {error['expected']}; found {error['found']}" if error["expected"] else f"; {error['found']}"
    return f"{error['about']}{found}. {error['todo']}"
