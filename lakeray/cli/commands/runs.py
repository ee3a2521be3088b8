"""``runs``: the last runs that did something, or failed. Needs no lease."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.overview_words import runs_json, runs_table
from lakeray.cli.terminal import Output
from lakeray.run import Lakeray
from lakeray.settings.values import Settings

_EACH, _SHOWN = 100, 30
"""Runs of a stream that are read, and lines that people get."""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print the runs of the command's streams, the newest first."""
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open."""
    names = {stream.name for stream in app.streams()}
    records = [record for record in app.reader.runs(each=_EACH) if record.stream in names]
    shown = records[:_SHOWN]
    text = (
        "" if shown else "No run is on record: none did anything yet, or this lake was last fed by an earlier version."
    )
    out.result(runs_json(records), [runs_table(shown)] if shown else [], text=text)
    return 0
