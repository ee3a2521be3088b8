"""``feed``: take the streams in, once, to the end; or keep polling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lakeray import wiring
from lakeray.cli.interrupt import StopFlag
from lakeray.cli.terminal import Output
from lakeray.cli.words import feed_json, feed_notes, feed_table
from lakeray.run import feed_all
from lakeray.settings.values import Settings
from lakeray.values.model import FeedReport

INTERRUPTED = 130


def run(settings: Settings, arguments: Sequence[str], out: Output) -> int:
    """Feed, print the report, and say by the exit code how it went."""
    stop = StopFlag()
    with stop.listening():
        while True:
            with wiring.opened(settings) as app:
                report = feed_all(app, stop=stop)
            out.result(feed_json(report), [feed_table(report)], text=problems(report))
            if stop():
                return INTERRUPTED
            if not settings.feed.watch or stop.wait(settings.feed.poll_s):
                return 1 if report.failed else 0


def problems(report: FeedReport) -> str:
    """What failed, and what waits for the operator, a line each."""
    lines = [f"{item.stream} failed: {_line(item.error)}" for item in report.streams if item.error]
    if report.enriched_error is not None:
        lines.append(f"enriched models failed: {_line(report.enriched_error)}")
    return "\n".join(lines + feed_notes(report))


def _line(error: Mapping[str, str]) -> str:
    return "; ".join(error[part] for part in ("about", "found", "todo") if error[part])
