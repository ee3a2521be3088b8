"""What the acceptance tests compare with: a sample of one stream, fed to its end by a process that nobody disturbs."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.real.lake import Lake, Ran
from tests.support.real.processes import Running, lakeray

STREAM = "klaviyo/events"
FILES = 200
"""Twenty a day: ten days, so that the clean-up at the end has something to do."""


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A lake that a feed took in while others looked at it."""

    lake: Lake
    command: tuple[str, ...]
    """The feed's command, for another lake on the same raw files."""
    pid: int
    feed: Ran
    beside: Ran
    """Another feed, begun while the first one worked."""
    statuses: list[Ran]
    """Begun before, while and after the feed worked."""


def feed_while_others_look(lake: Lake) -> Fed:
    """Write the sample, and feed it in batches of 40 files beside a second feed and many a ``status``."""
    lake.ok("sample", f"+stream={STREAM}", "sample.days=10", "sample.files_per_day=20", "sample.rows_per_file=8")
    command = ("feed", f"+stream={STREAM}", "batch.max_files=40")
    status = ("status", f"+stream={STREAM}", *lake.settings)
    statuses = [lakeray(*status)]
    with Running(lake, *command) as feed:
        assert feed.until_event("stream_planned"), "".join(feed.lines)
        beside = lakeray(*command, *lake.settings, "lake.lease_wait_s=0")
        while feed.alive:
            statuses.append(lakeray(*status))
        ended = feed.end()
    statuses.append(lakeray(*status))
    return Fed(lake=lake, command=command, pid=feed.pid, feed=ended, beside=beside, statuses=statuses)
