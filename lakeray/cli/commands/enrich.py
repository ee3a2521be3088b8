"""``enrich``: the enriched models whose inputs or code changed, or the ones that are named."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.terminal import Output
from lakeray.settings.values import Settings
from lakeray.values.enriched import EnrichOrder
from lakeray.values.errors import UsageError
from lakeray.values.events import ModelsEnriched, model_runs


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Build what is behind, or the selected models; nothing when nothing is to do."""
    select, full_refresh = _asked(arguments)
    with wiring.opened(settings) as app:
        order = EnrichOrder(project=app.project(), select=select, full_refresh=full_refresh)
        if not select and not full_refresh and not app.reader.enriched_is_stale(project=order.project):
            out.result({"models": []}, text="The enriched models are up to date.")
            return 0
        with app.committer() as committer:
            built = committer.enrich(order)
        for ran in model_runs(built):
            app.events.emit(ran)
        app.events.emit(ModelsEnriched(models=len(built.models), seconds=built.seconds))
    out.result({"models": list(built.models), "seconds": round(built.seconds, 3)}, text=_told(built.models, select))
    return 0


def _asked(arguments: Sequence[str]) -> tuple[tuple[str, ...], bool]:
    """The models behind ``--select``, and whether ``--full-refresh`` is there."""
    select: list[str] = []
    selecting = is_selected = full_refresh = False
    for word in arguments:
        if word == "--full-refresh":
            full_refresh, selecting = True, False
        elif word == "--select":
            is_selected = selecting = True
        elif selecting:
            select.append(word)
        else:
            raise UsageError(f"enrich {word}", expected="settings as key=value", found="a word", todo="--select NAME…")
    if is_selected and not select:
        raise UsageError("--select", expected="names of enriched models", found="none")
    return tuple(select), full_refresh


def _told(models: Sequence[str], select: Sequence[str]) -> str:
    if models:
        return f"Built {', '.join(models)}."
    if select:
        return f"Built none: {', '.join(select)}: not all inputs are there yet."
    return "Built none: the code of each is as it was, or not all its inputs are there yet."
