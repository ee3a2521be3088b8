"""``plan``: the same as ``feed`` up to the plan; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.cli.words import Foreseen, human_seconds, plan_json, plan_tables
from lakeray.planning import leaving_of, plan_stream, replaced_keys, replacing_of
from lakeray.ports.catalog import PlanningSnapshot
from lakeray.run import Lakeray, refusal_of
from lakeray.settings.values import Settings, StreamSettings
from lakeray.steps.plan import estimated_seconds
from lakeray.values.errors import LakerayError
from lakeray.values.model import Plan, StreamName


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Plan every stream, the files that are too late included."""
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open.

    Exits 1 when a feed would refuse to begin, or a stream cannot be planned; that stops no other.
    """
    foreseen: list[Foreseen] = []
    snapshot = app.planning_snapshot()
    failed: dict[StreamName, LakerayError] = {item.name: item.error for item in app.settings.refused}
    for stream in app.streams():
        try:
            foreseen.append(_foreseen(app, stream, snapshot))
        except LakerayError as error:
            if error.exit_code != 1:
                raise
            failed[stream.name] = error
    refused = [why for item in foreseen if (why := _refusal(app, item.plan, snapshot)) is not None]
    seconds = estimated_seconds([item.plan for item in foreseen])
    lines = [*map(str, refused), *(f"{name}: {error}" for name, error in failed.items())]
    if seconds or not failed:
        lines.insert(0, f"Estimated time: {human_seconds(seconds)}" if seconds else "Nothing new.")
    document = plan_json(foreseen, seconds=seconds, refused=refused, failed=failed)
    out.result(document, plan_tables(foreseen), text="\n".join(lines))
    return 1 if refused or failed else 0


def _refusal(app: Lakeray, planned: Plan, snapshot: PlanningSnapshot) -> LakerayError | None:
    return refusal_of(app, app.rules(app.settings.streams[planned.stream.slug]), planned, snapshot=snapshot)


def _foreseen(app: Lakeray, stream: StreamSettings, snapshot: PlanningSnapshot) -> Foreseen:
    rules, ports = app.rules(stream), replace(app.planning_ports(), reader=snapshot)
    planned = plan_stream(rules, ports, everything=True)
    replacing = replacing_of(rules, snapshot, planned)
    return Foreseen(
        plan=planned,
        leaving=leaving_of(rules, planned, reader=app.reader, now=app.clock.now()),
        replaced=replaced_keys(rules, ports, planned),
        replaces_below=None if replacing is None else replacing.replacement.generation,
        held_back=0 if replacing is None else len(replacing.outside),
    )
