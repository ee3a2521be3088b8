"""``enrich``: the enriched models whose inputs changed."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.settings.values import Settings
from lakeray.values.events import ModelsEnriched, model_runs


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Build what is stale; nothing when nothing is."""
    with wiring.opened(settings) as app:
        if not app.reader.enriched_is_stale():
            out.result({"models": []}, text="The enriched models are up to date.")
            return 0
        with app.committer() as committer:
            built = committer.enrich()
        for ran in model_runs(built):
            app.events.emit(ran)
        app.events.emit(ModelsEnriched(models=len(built.models), seconds=built.seconds))
    names = ", ".join(built.models) or "none: no enriched model has all its inputs yet"
    out.result({"models": list(built.models), "seconds": round(built.seconds, 3)}, text=f"Built {names}.")
    return 0
