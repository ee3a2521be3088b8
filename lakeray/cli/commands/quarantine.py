"""``quarantine``: the record of rejected files; ``retry`` looks again, ``ignore`` looks away."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from lakeray import wiring
from lakeray.cli.commands.why import relative_key
from lakeray.cli.terminal import Output
from lakeray.cli.words import quarantine_json, quarantine_table
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError, nearest

_STATUS = {"retry": "retry", "ignore": "ignored"}


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """List the record, or mark files of it."""
    if arguments:
        return _mark(settings, arguments[0], arguments[1:], out)
    names = {stream.name for stream in settings.streams.values()} | {item.name for item in settings.refused}
    with wiring.opened(settings) as app:
        entries = [entry for name in sorted(names) for entry in app.reader.quarantined(name)]
    out.result(
        quarantine_json(entries),
        [quarantine_table(entries)] if entries else [],
        text="" if entries else "No rejected files.",
    )
    return 0


def _mark(settings: Settings, action: str, paths: Sequence[str], out: Output) -> int:
    if action not in _STATUS:
        raise UsageError("quarantine", expected="retry or ignore", found=repr(action), todo=nearest(action, _STATUS))
    if not paths:
        raise UsageError(f"quarantine {action}", expected="one or more paths", found="none")
    keys = [relative_key(settings, path) for path in paths]
    with wiring.opened(settings) as app:
        known = {entry.key for entry in app.reader.quarantined(None)}
        keys = [key if key in known else unquote(key) for key in keys]  # control characters are shown percent-encoded
        unknown = [key for key in keys if key not in known]
        if unknown:
            raise UsageError(
                f"quarantine {action}",
                expected="files of the record",
                found=unknown[0],
                todo=nearest(unknown[0], known) or "`lakeray quarantine` lists them",
            )
        with app.committer() as committer:
            marked = list(committer.set_quarantine(keys, status=_STATUS[action]))
    out.result({"marked": marked, "status": _STATUS[action]}, text="\n".join(f"{_STATUS[action]}: {k}" for k in marked))
    return 0
