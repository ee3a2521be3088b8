"""``plan``: the same as ``feed`` up to the plan; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import human_seconds, plan_json, plan_tables
from lakeray.feed import missing_of, plan_stream
from lakeray.run import Lakeray
from lakeray.settings.values import Settings
from lakeray.steps.plan import estimated_seconds


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Plan every stream, the files that are too late included."""
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open; exits 1 when what was taken in is not where it was."""
    plans, refused = [], []
    for rules in map(app.rules, app.streams()):
        plans.append(plan_stream(rules, app.planning_ports(), everything=True))
        missing = missing_of(rules, app.planning_ports(), plans[-1])
        if missing is not None and not rules.accept_empty:
            refused.append(missing)
    seconds = estimated_seconds(plans)
    text = f"Estimated time: {human_seconds(seconds)}" if seconds else "Nothing new."
    errors = [error.as_dict() for error in refused]
    document = plan_json(plans, seconds=seconds, errors=errors)
    out.result(document, plan_tables(plans), text="\n".join([text, *map(str, refused)]))
    return 1 if refused else 0
