"""``reconcile``: landing DDL to tables; creates and widens, never narrows what has rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakeray import wiring
from lakeray.cli.commands.generate import drifted
from lakeray.cli.terminal import Output
from lakeray.ports.committer import Committer
from lakeray.settings.values import Settings, StreamSettings
from lakeray.values.errors import LakerayError, UsageError
from lakeray.values.model import StreamName


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Make every stream's landing table hold its contract's columns. Idempotent; a stream that fails stops no other."""
    stale = _stale(settings)
    if stale and len(stale) == len(settings.streams):
        raise next(iter(stale.values()))
    with wiring.opened(settings) as app, app.committer() as committer:
        outcomes = [
            _failed(stream.name, stale[stream.name]) if stream.name in stale else _reconciled(stream, committer)
            for stream in app.streams()
        ]
    outcomes += [_failed(item.name, item.error) for item in settings.refused]
    changes = [change for outcome in outcomes for change in outcome["changes"]]
    failed = [outcome for outcome in outcomes if outcome["error"] is not None]
    text = "\n".join(changes + [_line(outcome) for outcome in failed]) or "All landing tables are as configured."
    document = {"changes": changes, "streams": outcomes, "error": failed[0]["error"] if failed else None}
    out.result(document, text=text)
    return 1 if failed else 0


def _stale(settings: Settings) -> dict[StreamName, UsageError]:
    """The streams whose landing DDL is not what their config says: each fails by itself."""
    wrong = set(drifted(settings))
    found = {}
    for stream in settings.streams.values():
        path = f"dbt/landing/{stream.source}/{stream.name.landing_table}.sql"
        if path in wrong:
            found[stream.name] = UsageError(
                path,
                expected="the DDL that follows from the stream's config",
                found="another text, or none",
                todo="`lakeray generate` writes it; commit it",
            )
    return found


def _reconciled(stream: StreamSettings, committer: Committer) -> dict[str, Any]:
    try:
        changes = list(committer.ensure_landing(stream.name, stream.landing_contract()))
    except LakerayError as error:
        if error.exit_code != 1:
            raise
        return _failed(stream.name, error)
    return {"source": stream.source, "stream": stream.stream, "changes": changes, "error": None}


def _failed(stream: StreamName, error: LakerayError) -> dict[str, Any]:
    return {"source": stream.source, "stream": stream.stream, "changes": [], "error": error.as_dict()}


def _line(outcome: dict[str, Any]) -> str:
    error = outcome["error"]
    found = f"; expected {error['expected']}; found {error['found']}" if error["expected"] else f"; {error['found']}"
    return f"{error['about']}{found}. {error['todo']}"
