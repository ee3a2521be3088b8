"""``demo``: the main job in one go, on the embedded default: sample, feed, enrich, status."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.answers import cell
from lakeray.cli.commands import sample
from lakeray.cli.commands.feed import INTERRUPTED, problems
from lakeray.cli.commands.status import enriched_models
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.overview_words import status_json, status_tables
from lakeray.cli.terminal import Output
from lakeray.cli.words import Table
from lakeray.run import feed_all, overview
from lakeray.settings.values import Settings
from lakeray.values.events import Noted

_NEWEST = """SELECT order_name, ordered_at, currency, quantity, gross, discounts, net, taxes, total
FROM fct_sales ORDER BY ordered_at DESC, order_id LIMIT 5"""


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Make files, take them in, show the tables. Run it again, or kill it half-way first: the tables are the same."""
    with wiring.opened(settings) as app:
        for stream in app.streams():
            sample.write_stream(app, stream)
    stop = StopFlag()
    with stop.listening(), wiring.opened(settings) as app:
        app.events.emit(Noted(message=f"raw files are in {settings.storage.url}, the lake is in {settings.paths.root}"))
        report = feed_all(app, stop=stop)
        found = overview(app, enriched=enriched_models(settings))
    names, rows = _newest(settings) if found.enriched.get("fct_sales") else ((), ())
    document = status_json(found) | {"fct_sales": [dict(zip(names, row, strict=True)) for row in rows]}
    tables = status_tables(found)
    if rows:
        tables.append(Table(title="fct_sales, the newest orders", columns=names, rows=rows))
    out.result(document, tables, text=problems(report))
    return INTERRUPTED if stop() else 1 if report.failed else 0


def _newest(settings: Settings) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The names and the rows of the newest orders, as text."""
    with wiring.queries(settings) as session:
        answer = session.ask(_NEWEST)
        rows = tuple(tuple(map(cell, row)) for page in answer.pages() for row in page)
        return tuple(answer.columns), rows
