"""``plan``: the same as ``feed`` up to the plan; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import Foreseen, human_seconds, plan_json, plan_tables
from lakeray.feed import leaving_of, plan_stream
from lakeray.run import Lakeray
from lakeray.settings.values import Settings, StreamSettings
from lakeray.steps.plan import estimated_seconds


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Plan every stream, the files that are too late included."""
    with wiring.opened(settings) as app:
        foreseen = [_foreseen(app, stream) for stream in app.streams()]
    seconds = estimated_seconds([item.plan for item in foreseen])
    text = f"Estimated time: {human_seconds(seconds)}" if seconds else "Nothing new."
    out.result(plan_json(foreseen, seconds=seconds), plan_tables(foreseen), text=text)
    return 0


def _foreseen(app: Lakeray, stream: StreamSettings) -> Foreseen:
    rules = app.rules(stream)
    planned = plan_stream(rules, app.planning_ports(), everything=True)
    return Foreseen(plan=planned, leaving=leaving_of(rules, planned, reader=app.reader, now=app.clock.now()))
