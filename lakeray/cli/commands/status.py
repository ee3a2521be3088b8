"""``status``: where every stream stands. Works while a feed runs; needs no lease."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lakeray import wiring
from lakeray.cli.overview_words import place_line, row_warning_lines, status_json, status_tables
from lakeray.cli.terminal import Output
from lakeray.run import Lakeray, overview
from lakeray.settings.values import Settings


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Print the state of every stream and the sizes of the enriched tables.

    Exits 1 when a storage did not answer, does not list what was taken in from it, or is another lake's to delete from.
    """
    with wiring.opened(settings) as app:
        return show(app, out)


def show(app: Lakeray, out: Output) -> int:
    """The same, of an application that is open."""
    found = overview(app, enriched=enriched_models(app.settings))
    told = [line for stream in found.streams for line in row_warning_lines(stream)]
    lines = [*told, *found.errors, place_line(found)]
    out.result(status_json(found), status_tables(found), text="\n".join(lines))
    return 1 if found.errors else 0


def enriched_models(settings: Settings) -> list[str]:
    """The names of the project's enriched models, without asking dbt."""
    folder = wiring.absolute(settings.dbt.project_dir) / "models" / "enriched"
    return sorted(path.stem for path in Path(folder).rglob("*.sql") if re.match(r"^[a-z]\w*$", path.stem))
