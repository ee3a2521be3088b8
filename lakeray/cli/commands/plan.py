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
from lakeray.values.errors import LakerayError
from lakeray.values.model import StreamName


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Plan every stream, the files that are too late included; one that cannot be planned stops no other."""
    foreseen: list[Foreseen] = []
    errors: dict[StreamName, LakerayError] = {}
    with wiring.opened(settings) as app:
        for stream in app.streams():
            try:
                foreseen.append(_foreseen(app, stream))
            except LakerayError as error:
                if error.exit_code != 1:
                    raise
                errors[stream.name] = error
    seconds = estimated_seconds([item.plan for item in foreseen])
    lines = [f"{name}: {error}" for name, error in errors.items()]
    if seconds or not errors:
        lines.append(f"Estimated time: {human_seconds(seconds)}" if seconds else "Nothing new.")
    document = plan_json(foreseen, seconds=seconds, errors=errors)
    out.result(document, plan_tables(foreseen), text="\n".join(lines))
    return 1 if errors else 0


def _foreseen(app: Lakeray, stream: StreamSettings) -> Foreseen:
    rules = app.rules(stream)
    planned = plan_stream(rules, app.planning_ports(), everything=True)
    return Foreseen(plan=planned, leaving=leaving_of(rules, planned, reader=app.reader, now=app.clock.now()))
