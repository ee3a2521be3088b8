"""``replay``: take a range of days in again on purpose, without doubling."""

from __future__ import annotations

from collections.abc import Sequence

from lakeray import wiring
from lakeray.cli.commands.feed import INTERRUPTED, problems
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.terminal import Output
from lakeray.cli.words import feed_json, feed_table
from lakeray.planning import Days
from lakeray.run import replay_all
from lakeray.settings.values import Settings
from lakeray.values.errors import UsageError


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Replay the streams, then build what depends on them."""
    days = _days(settings)
    stop = StopFlag()
    with stop.listening(), wiring.opened(settings) as app:
        report = replay_all(app, days=days, stop=stop)
    out.result(feed_json(report), [feed_table(report)], text=problems(report))
    return INTERRUPTED if stop() else 1 if report.failed else 0


def _days(settings: Settings) -> Days:
    first, last = settings.replay.from_, settings.replay.to
    for name, value in (("replay.from", first), ("replay.to", last)):
        if value is None:
            raise UsageError(name, expected="a day, YYYY-MM-DD", found="nothing", todo=f"{name}=2026-01-31, inclusive")
    assert first is not None and last is not None
    if first > last:
        raise UsageError("replay.to", expected=f"{first} or later", found=str(last))
    return Days(first=first, last=last)
