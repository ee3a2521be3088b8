"""``demo``: the main job in one go, on the embedded default: sample, feed, enrich, status."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.commands import sample
from lakeray.cli.commands.feed import INTERRUPTED, problems
from lakeray.cli.commands.status import enriched_models, state_of
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.terminal import Output
from lakeray.cli.words import status_json, status_tables
from lakeray.run import feed_all
from lakeray.settings.values import Settings
from lakeray.values.events import Noted


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Make files, take them in, show the tables. Run it again, or kill it half-way first: the tables are the same."""
    with wiring.opened(settings) as app:
        for stream in app.streams():
            sample.write_stream(app, stream)
    stop = StopFlag()
    with stop.listening(), wiring.opened(settings) as app:
        app.events.emit(Noted(message=f"raw files are in {settings.storage.url}, the lake is in {settings.paths.root}"))
        report = feed_all(app, stop=stop)
        states = [state_of(app, stream) for stream in app.streams()]
        enriched = {name: app.reader.table_rows("main", name) for name in enriched_models(settings)}
    out.result(status_json(states, enriched=enriched), status_tables(states, enriched=enriched), text=problems(report))
    return INTERRUPTED if stop() else 1 if report.failed else 0
