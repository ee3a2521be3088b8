"""The same stream on a real DuckLake: fewer rules, the same promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from lakeray.planning import plan_stream
from lakeray.steps.clean import RawRules
from lakeray.values.model import StreamStatus
from lakeray.values.origins import origin_of
from tests.contract.lakes import OnDisk
from tests.stateful.test_protocol import BAD, NAMES, SMALL, contents
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, Row, newest, stamped


class _Killed(BaseException):
    """The process ended here."""


class EmbeddedStream(RuleBasedStateMachine):
    """The same stream on a real DuckLake: fewer rules, the same promises."""

    extension_directory: Path

    @initialize(delete_existing=st.booleans())
    def open(self, delete_existing: bool) -> None:
        """An empty lake."""
        self.folder = TemporaryDirectory()
        self.lake = OnDisk(Path(self.folder.name) / "lake", self.extension_directory)
        self.lake.rules = replace(SMALL, raw=RawRules(delete_existing=delete_existing))
        self.rows: dict[str, list[Row]] = {}
        self.bad: set[str] = set()

    @rule(rows=contents, name=st.sampled_from(NAMES), back=st.integers(0, 4), padded=st.booleans())
    def files_arrive(self, rows: list[Row], name: str, back: int, padded: bool) -> None:
        """A good one and a bad one."""
        key = key_for(self.lake.clock.now().date() - timedelta(days=back), name, padded=padded)
        if key in self.rows:
            return
        sent = [{**item, "raw_id": f"{len(self.rows):03d}-{at}"} for at, item in enumerate(rows)]
        self.rows[key] = stamped(sent, origin_of(self.lake.put(key, *sent)))
        self.bad.add(f"{key.rsplit('/', 1)[0]}/bad.parquet")
        self.lake.put_bytes(f"{key.rsplit('/', 1)[0]}/bad.parquet", BAD)

    @rule(days=st.integers(1, 4))
    def time_passes(self, days: int) -> None:
        """Some days."""
        self.lake.clock.move(days=days)

    @rule(step=st.sampled_from(["commit", "transform", "advance", "remove", "expire"]), after=st.booleans())
    def feed_and_die(self, step: str, after: bool) -> None:
        """The process ends right before or right after a call that writes; the next one goes on."""
        committer, real = self.lake.committer, getattr(self.lake.committer, step)

        def dying(*arguments: object, **named: object) -> None:
            if after:
                real(*arguments, **named)
            raise _Killed

        setattr(committer, step, dying)
        try:
            self.lake.feed()
        except _Killed:
            pass
        finally:
            delattr(committer, step)
            self.lake.committer = self.lake.reopen()

    @rule()
    def feed(self) -> None:
        """A feed ends well, all is in, and running it again changes nothing."""
        report = self.lake.feed()
        assert report.error is None, report.error
        before = self.lake.state()
        assert self.lake.feed().status is (StreamStatus.NOTHING_NEW if self.rows else StreamStatus.WAITING)
        assert self.lake.state() == before
        known = self.lake.reader.known(STREAM, since=None)
        late = {file.key for file in plan_stream(SMALL, self.lake.ports().planning_ports(), everything=True).too_late}
        assert set(known) | late >= set(self.rows) and not set(known) & late
        taken = newest(item for key in known for item in self.rows[key])
        assert self.lake.processed() == {pk: (item["cursor"], item["value"]) for pk, item in taken.items()}
        live = sorted((r["pk"], r["value"]) for key, entry in known.items() if entry.live for r in self.rows[key])
        assert self.lake.landing() == live
        assert {entry.key for entry in self.lake.reader.quarantined(STREAM)} <= self.bad
        noted = self.lake.reader.existing_among(STREAM, [*self.rows, *self.bad])
        if not self.lake.rules.raw.delete_existing:
            assert noted.keys() <= self.lake.keys()

    def teardown(self) -> None:
        """Once more, to the end."""
        if hasattr(self, "lake"):
            self.feed()
            self.lake.close()
            self.folder.cleanup()


def test_the_protocol_holds_on_a_real_lake_too(extension_directory: Path) -> None:
    machine = type("Embedded", (EmbeddedStream,), {"extension_directory": extension_directory})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=2,
            stateful_step_count=5,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
