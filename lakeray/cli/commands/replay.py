"""``replay``: take a range of days in again on purpose, without doubling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from lakeray import wiring
from lakeray.cli.commands.feed import INTERRUPTED, problems
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.terminal import Output
from lakeray.cli.words import feed_json, feed_table
from lakeray.feed import replay_stream
from lakeray.run import finished_by
from lakeray.settings.values import Settings
from lakeray.values.errors import LakerayError, UsageError
from lakeray.values.model import FeedReport


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Replay the streams, one after the other, then build what depends on them."""
    first, last = _range(settings)
    stop = StopFlag()
    with stop.listening(), wiring.opened(settings) as app:
        executor = app.open_executor()
        reports = []
        with app.committer() as committer:
            for stream in app.streams():
                if not stop():
                    ports = app.ports(committer, executor, stop=stop)
                    reports.append(replay_stream(app.rules(stream), ports, first=first, last=last))
            built = finished_by(committer, app, stop=stop)
    failure = built.as_dict() if isinstance(built, LakerayError) else None
    report = FeedReport(streams=tuple(reports), enriched_error=failure)
    out.result(feed_json(report), [feed_table(report)], text=problems(report))
    return INTERRUPTED if stop() else 1 if report.failed else 0


def _range(settings: Settings) -> tuple[date, date]:
    first, last = settings.replay.from_, settings.replay.to
    for name, value in (("replay.from", first), ("replay.to", last)):
        if value is None:
            raise UsageError(name, expected="a day, YYYY-MM-DD", found="nothing", todo=f"{name}=2026-01-31, inclusive")
    assert first is not None and last is not None
    if first > last:
        raise UsageError("replay.to", expected=f"{first} or later", found=str(last))
    return first, last
