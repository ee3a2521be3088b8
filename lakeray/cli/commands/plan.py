"""``plan``: the same as ``feed`` up to the plan; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import human_seconds, plan_json, plan_tables
from lakeray.feed import plan_stream
from lakeray.settings.values import Settings
from lakeray.steps.plan import estimated_seconds


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Plan every stream, the files that are too late included."""
    with wiring.opened(settings) as app:
        plans = [plan_stream(app.rules(stream), app.planning_ports(), everything=True) for stream in app.streams()]
    seconds = estimated_seconds(plans)
    text = f"Estimated time: {human_seconds(seconds)}" if seconds else "Nothing new."
    out.result(plan_json(plans, seconds=seconds), plan_tables(plans), text=text)
    return 0
