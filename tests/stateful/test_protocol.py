"""Random days of a stream: files come, feeds run and die, operators act. P1–P15 hold after every step.

The model is a list of what was put into storage; everything else is looked up through the ports and compared with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from lakeray.feed import remove
from lakeray.planning import plan_clean, plan_stream
from lakeray.steps.clean import RawRules
from lakeray.steps.discover import horizon
from lakeray.values.keys import day_of, is_claim
from lakeray.values.model import (
    LedgerEntry,
    ObjectPolicy,
    RawPolicy,
    Removal,
    SourceFile,
    StreamReport,
    StreamStatus,
)
from lakeray.values.origins import origin_of
from tests.support.fakes.feeds import BUDGET, RULES, FeedWorld, key_for
from tests.support.fakes.lake import CRASH_POINTS, SET_ASIDE_POINTS, Crash
from tests.support.fakes.records import STREAM, Row, newest_of, row, stamped
from tests.support.fakes.store import MemoryStore

SMALL = replace(RULES, budget=replace(BUDGET, max_files=2), lookback_days=2, retention_days=3)
BAD = b"this is no Parquet at all"
NAMES = ["part_0.parquet", "part_2.parquet", "part_10.parquet", "part_0.parquet-1", "it's é [1].parquet"]

records = st.builds(
    row,
    st.integers(0, 5),
    st.text("abc", max_size=2),
    cursor=st.one_of(st.none(), st.integers(0, 5)),
    extracted_at=st.integers(0, 5),
)
contents = st.lists(records, min_size=1, max_size=3)


def _id(record: Row) -> str:
    return str(record["raw_id"])


class Stream(RuleBasedStateMachine):
    """One stream of the in-memory lake."""

    def __init__(self) -> None:
        super().__init__()
        self.world = FeedWorld(SMALL, snapshot_days=0.5)
        self.rows: dict[tuple[str, str], list[Row]] = {}
        """(key, ETag) to the rows of every good file that was ever put."""
        self.origins: dict[tuple[str, str], str] = {}
        self.ids = 0
        self.marks = (date.min, 0)
        self.replayed = False
        self.clock_was_behind = False
        """Whether a feed ever ran by a clock that was behind."""
        self.moved: set[tuple[str, str]] = set()
        """(key, ETag) of objects that somebody else overwrote or deleted."""
        self.in_place_of_others: set[tuple[str, str]] = set()
        """(key, ETag) of the objects that overwrote registered ones."""
        self.retried: set[str] = set()
        self.merged_through = 0
        """The highest mark that was ever seen."""
        self.perhaps_merged: dict[tuple[str, int], bool] = {}
        """Of what was forgotten, by key and snapshot: whether it was, surely, merged before."""
        self.listed: dict[str, str] = {}
        """What storage held when the run began that is going on, or went on last, before anything was taken in."""

    @initialize(raw=st.sampled_from(RawPolicy), delete_existing=st.booleans())
    def choose(self, raw: RawPolicy, delete_existing: bool) -> None:
        """Whose raw objects clean-up may delete."""
        self.world.rules = replace(SMALL, raw=RawRules(raw=raw, delete_existing=delete_existing))

    # ---- what comes ------------------------------------------------------------------------------------------------

    @property
    def today(self) -> date:
        """The day in which a sync that starts now lands."""
        return self.world.clock.now().date()

    def put(self, key: str, rows: list[Row]) -> None:
        """A file lands whose every record was sent on its own: no two have one id."""
        sent = []
        for item in rows:
            self.ids += 1
            sent.append({**item, "raw_id": f"{self.ids:05d}"})
        file = self.world.put(key, *sent)
        self.rows[(key, file.etag)] = sent
        self.origins.setdefault((key, file.etag), origin_of(file))

    @rule(rows=contents, name=st.sampled_from(NAMES), back=st.integers(0, 12), padded=st.booleans())
    def a_file_arrives(self, rows: list[Row], name: str, back: int, padded: bool) -> None:
        """Today, yesterday, late or too late; an existing name is left alone, as Airbyte does."""
        key = key_for(self.today - timedelta(days=back), name, padded=padded)
        if not self.world.store.exists(key) and key not in self.ever_taken():
            self.put(key, rows)

    @rule(name=st.sampled_from(NAMES))
    def a_bad_file_arrives(self, name: str) -> None:
        """It holds no Parquet."""
        key = key_for(self.today, f"bad_{name}")
        if not self.world.store.exists(key):
            self.world.put_bytes(key, BAD)

    @rule(data=st.data())
    def a_sync_is_sent_again(self, data: st.DataObject) -> None:
        """The same records once more, under another name and other ids."""
        if self.rows:
            rows = data.draw(st.sampled_from(sorted(self.rows.values(), key=str)))
            self.ids += 1
            self.put(key_for(self.today, f"again_{self.ids}.parquet"), rows)

    @rule(days=st.integers(1, 3))
    def time_passes(self, days: int) -> None:
        """Some days."""
        self.world.clock.move(days=days)

    @precondition(lambda self: self.live_as_taken_in())
    @rule(data=st.data(), rows=contents)
    def an_object_is_overwritten(self, data: st.DataObject, rows: list[Row]) -> None:
        """A registered one (P14)."""
        self.overwrite(data, rows)

    def overwrite(self, data: st.DataObject, rows: list[Row]) -> None:
        key, etag = data.draw(st.sampled_from(self.live_as_taken_in()))
        self.moved.add((key, etag))
        self.put(key, rows)
        self.in_place_of_others.add((key, self.world.store.head(key).etag))  # type: ignore[union-attr]

    @precondition(lambda self: self.live_as_taken_in())
    @rule(data=st.data(), count=st.integers(1, 4))
    def objects_are_deleted(self, data: st.DataObject, count: int) -> None:
        """By somebody else: perhaps most of them (P3)."""
        for key, etag in data.draw(st.permutations(self.live_as_taken_in()))[:count]:
            self.moved.add((key, etag))
            self.world.store.delete(key)

    def objects(self) -> list[SourceFile]:
        """Every object of the prefix but the lake's claim."""
        return [file for file in self.world.store.list_files("") if not is_claim(file.key)]

    # ---- what runs -------------------------------------------------------------------------------------------------

    def finished(self, run: Callable[[], StreamReport]) -> StreamReport | None:
        """Run to the end, or to the crash that was asked for; then a new process begins."""
        try:
            report = run()
        except Crash:
            self.world.reopen()
            return None
        return report

    def accepted(self, run: Callable[..., StreamReport]) -> StreamReport:
        """Run it; where most of what was taken in is gone, it must change nothing, and that is then accepted."""
        before = self.world.catalog.head
        report = run()
        if report.error is not None and report.error["kind"] == "not_there":
            assert self.world.catalog.head == before
            report = self.world.feed(accept_empty=True)
        return report

    @rule()
    def feed(self) -> None:
        """A feed ends well; run again, it changes nothing (P15)."""
        self.world.catalog.crash_at = None
        live = {entry.commit_id + entry.key for entry in self.ledger() if entry.removed_at is None}
        report = self.accepted(self.world.feed)
        assert report.error is None, report.error
        self.everything_in_view_is_in()
        path = self.world.lake.cursor(STREAM).path
        oldest_day = (
            date.min if path is None else day_of(path, otherwise=date.min) - timedelta(days=SMALL.retention_days)
        )
        for entry in self.ledger():
            if entry.removed_because == "retention" and entry.commit_id + entry.key in live:
                assert entry.day < oldest_day  # P13
            if entry.removed_at is None:
                assert entry.day >= oldest_day
        before = self.world.catalog.head
        again = self.world.feed()
        if (again.error or {}).get("kind") != "not_there":  # the files that came changed what "most of them" is (P3)
            assert again.status in (StreamStatus.NOTHING_NEW, StreamStatus.WAITING), again
        assert self.world.catalog.head == before

    @rule(days=st.sampled_from([-30, -1, 1, 10]))
    def feed_by_a_wrong_clock(self, days: int) -> None:
        """It goes back to the right time after that; what comes then is still in view (P4, P11)."""
        self.world.catalog.crash_at = None
        self.clock_was_behind = self.clock_was_behind or days < 0
        self.world.clock.move(days=days)
        report = self.accepted(self.world.feed)
        assert report.error is None, report.error
        self.world.clock.move(days=-days)

    @rule(policy=st.sampled_from(ObjectPolicy))
    def the_prefix_is_wrong(self, policy: ObjectPolicy) -> None:
        """Nothing is listed there: no table loses a row, under any policy (P3)."""
        self.world.catalog.crash_at = None
        right, self.world.store = self.world.store, MemoryStore()
        self.world.reopen()
        expected = plan_stream(self.world.rules, self.world.ports().planning_ports()).live_files
        before = self.world.catalog.head
        left = [entry for entry in self.ledger() if entry.removed_because == Removal.VANISHED]
        report = self.world.feed(on_vanished=policy)
        assert [entry for entry in self.ledger() if entry.removed_because == Removal.VANISHED] == left
        if expected:
            assert report.error is not None and report.error["kind"] == "not_there"
            assert self.world.catalog.head == before
        self.world.store = right
        self.world.reopen()

    @rule(point=st.sampled_from((*CRASH_POINTS, *SET_ASIDE_POINTS)))
    def feed_and_crash(self, point: str) -> None:
        """The process may end at this point."""
        self.world.catalog.crash_at = point
        self.finished(self.world.feed)
        self.world.catalog.crash_at = None

    @precondition(lambda self: self.live_as_taken_in())
    @rule(data=st.data(), rows=contents, point=st.sampled_from(SET_ASIDE_POINTS))
    def a_changed_object_is_fed_and_the_feed_crashes(self, data: st.DataObject, rows: list[Row], point: str) -> None:
        """While its registration is forgotten (P14, P15)."""
        self.overwrite(data, rows)
        self.world.catalog.crash_at = point
        self.finished(self.world.feed)
        self.world.catalog.crash_at = None

    @rule(landed=st.sampled_from(["landed", "not_landed"]))
    def feed_and_lose_an_answer(self, landed: str) -> None:
        """An answer to a commit is lost (P9)."""
        self.world.catalog.lose_answer = landed
        report = self.world.feed()
        assert report.error is None or report.error["kind"] in ("catalog", "not_there")
        self.world.catalog.lose_answer = None

    @rule()
    def feed_while_dbt_fails(self) -> None:
        """What was registered stays, the mark too (P12)."""
        self.world.catalog.fail_transform = True
        report = self.world.feed()
        assert report.error is None or report.error["kind"] in ("transform", "not_there")
        self.world.catalog.fail_transform = False

    @rule(shown=st.integers(0, 3))
    def feed_while_the_listing_fails(self, shown: int) -> None:
        """A partial listing takes nothing in (P3)."""
        taken = self.ever_taken()
        self.world.store.fail_after = shown
        report = self.world.feed()
        self.world.store.fail_after = None
        if report.error is not None:
            assert report.error["kind"] in ("storage", "not_there")
            assert self.ever_taken() == taken

    @rule(asked=st.integers(0, 3))
    def feed_and_stop(self, asked: int) -> None:
        """The operator stops it between steps."""
        answers = iter([False] * asked)
        self.world.stop = lambda: next(answers, True)
        report = self.world.feed()
        assert report.error is None or report.error["kind"] == "not_there"
        self.world.stop = lambda: False

    @rule(first=st.integers(0, 14), days=st.integers(0, 5), point=st.one_of(st.none(), st.sampled_from(CRASH_POINTS)))
    def replay(self, first: int, days: int, point: str | None) -> None:
        """A range of days again, perhaps with a crash; what was too late comes in (P4, P11)."""
        start = self.today - timedelta(days=first)
        last = start + timedelta(days=days)
        self.world.catalog.crash_at = point
        self.replayed = True
        report = self.finished(lambda: self.world.replay(start, last))
        self.world.catalog.crash_at = None
        if report is not None and (report.error or {}).get("kind") != "not_there":
            assert report.error is None, report.error
            listed = {key for key, _ in self.good_in_storage() if start <= day_of(key, otherwise=date.min) <= last}
            assert listed - self.waiting() <= self.ever_taken()

    @rule(point=st.one_of(st.none(), st.sampled_from(CRASH_POINTS)))
    def clean(self, point: str | None) -> None:
        """The operator cleans earlier than the feed would."""
        rules = replace(self.world.rules, retention_days=1)
        planned = plan_clean(rules, reader=self.world.lake, store=self.world.store)
        self.world.catalog.crash_at = point
        try:
            remove(planned, self.world.lake)
            self.world.expire()
        except Crash:
            self.world.reopen()
        self.world.catalog.crash_at = None

    @rule()
    def another_committer_takes_over(self) -> None:
        """The older one can write nothing (P10)."""
        old = self.world.ports()
        self.world.reopen()
        before = self.world.catalog.head
        pending = self.world.lake.pending_transform(STREAM)
        if pending is not None:
            with pytest.raises(Exception, match="lease"):
                old.committer.transform(pending)
        with pytest.raises(Exception, match="lease"):
            old.committer.rewind(STREAM, to_snapshot=0)
        assert self.world.catalog.head == before

    @precondition(lambda self: self.world.lake.quarantined(STREAM))
    @rule(data=st.data(), rows=contents, mend=st.booleans(), status=st.sampled_from(["retry", "ignored"]))
    def an_operator_looks_at_the_quarantine(
        self, data: st.DataObject, rows: list[Row], mend: bool, status: str
    ) -> None:
        """A rejected file is mended, retried or ignored (P6)."""
        entry = data.draw(st.sampled_from(list(self.world.lake.quarantined(STREAM))))
        if mend:
            self.moved.add((entry.key, entry.etag))
            self.put(entry.key, rows)
        self.world.lake.set_quarantine([entry.key], status=status)
        self.retried.add(entry.key)

    # ---- what must hold --------------------------------------------------------------------------------------------

    def ledger(self) -> list[LedgerEntry]:
        return [entry for _, entry in self.world.catalog.head.ledger]

    def delivered(self, entry: LedgerEntry) -> list[Row]:
        """The rows of a file as a merge takes them."""
        at = (entry.key, entry.etag)
        return stamped(self.rows[at], self.origins[at])

    def ever_taken(self) -> set[str]:
        return {entry.key for entry in self.ledger()}

    def waiting(self) -> set[str]:
        """Keys whose new objects wait for an operator."""
        return {entry.key for entry in self.world.lake.quarantined(STREAM) if entry.status == "waits"}

    def live_as_taken_in(self) -> list[tuple[str, str]]:
        """(key, ETag) of live entries whose objects are as they were."""
        found = ((entry, self.world.store.head(entry.key)) for entry in self.ledger() if entry.removed_at is None)
        return sorted((entry.key, entry.etag) for entry, now in found if now is not None and now.etag == entry.etag)

    def good_in_storage(self) -> set[tuple[str, str]]:
        listed = {(file.key, file.etag) for file in self.objects()}
        return listed & set(self.rows)

    def everything_in_view_is_in(self) -> None:
        """Nothing lost: every good file within the horizon is in, or held on purpose (P3, P6)."""
        cursor = self.world.lake.cursor(STREAM)
        since = horizon(cursor, lookback_days=SMALL.lookback_days, retention_days=SMALL.retention_days)
        held = {(entry.key, entry.etag) for entry in self.world.lake.quarantined(STREAM)}
        taken = {(entry.key, entry.etag) for entry in self.ledger()}
        outside = {key for key, _ in self.good_in_storage() - held - taken} - self.waiting()
        for key in outside:
            assert since is not None and day_of(key, otherwise=date.max) < since, key
        planned = plan_stream(self.world.rules, self.world.ports().planning_ports(), everything=True)
        assert planned.batches == ()
        assert {file.key for file in planned.too_late} >= outside
        assert self.world.lake.pending_transform(STREAM) is None

    @invariant()
    def the_ledger_is_what_is_registered(self) -> None:
        """P2, P7: in every snapshot that still can be read; what was forgotten or is kept has left them all (P13)."""
        kept = {(entry.key, entry.etag) for entry in self.ledger() if entry.removed_because == Removal.KEPT}
        for state in self.world.catalog.snapshots.values():
            live = {(e.key, e.etag, e.snapshot) for _, e in state.ledger if e.removed_at is None}
            files = [(file.key, file.etag, file.snapshot) for file in state.files]
            assert len(files) == len(set(files)) and set(files) <= live
            assert {identity[:2] for identity in live - set(files)} <= self.moved | kept
            for stream, batch in state.batches:
                assert stream == STREAM
                assert batch.files == sum(entry.commit_id == batch.commit_id for _, entry in state.ledger)

    @invariant()
    def no_file_is_in_twice(self) -> None:
        """P3: by identity ever, by key among the live ones."""
        identities = [(entry.key, entry.etag) for entry in self.ledger()]
        assert len(identities) == len(set(identities))
        live = [entry.key for entry in self.ledger() if entry.removed_at is None]
        assert len(live) == len(set(live))

    @invariant()
    def what_overwrote_a_registered_object_is_never_taken_in_without_a_word(self) -> None:
        """P14: under `report` an operator decides, unless the older one had left landing by then."""
        left = {entry.key for entry in self.ledger() if entry.removed_because in (Removal.RETENTION, Removal.KEPT)}
        free = left | self.retried
        for entry in self.ledger():
            assert (entry.key, entry.etag) not in self.in_place_of_others or entry.key in free

    @invariant()
    def the_processed_table_is_the_newest_of_all_that_was_taken_in(self) -> None:
        """P12, row for row; rows above the mark may be merged already, when the mark's move was lost.

        What was forgotten before its merge may be in or not; what was forgotten after it is in (P14). A process that
        ends while it forgets leaves an entry whose file no snapshot shows any more: merges pass it by from then on.
        """
        mark = self.world.lake.cursor(STREAM).transformed_snapshot
        shown = {(file.key, file.snapshot) for file in self.world.catalog.head.files}
        for e in self.ledger():
            is_cut_off = e.removed_at is None and (e.key, e.snapshot) not in shown
            if is_cut_off or e.removed_because in ("changed", "vanished"):
                self.perhaps_merged.setdefault((e.key, e.snapshot), e.snapshot <= self.merged_through)
        self.merged_through = max(self.merged_through, mark)
        sure = [e for e in self.ledger() if self.perhaps_merged.get((e.key, e.snapshot), True)]
        is_pending = self.world.lake.pending_transform(STREAM) is not None
        merged = [r for e in sure if e.snapshot <= mark or not is_pending for r in self.delivered(e)]
        every = [r for e in self.ledger() for r in self.delivered(e)]
        processed = self.world.lake.merged_rows(STREAM)
        assert newest_of([*processed.values(), *merged]) == processed
        assert all(item in every for item in processed.values())
        if not is_pending and len(sure) == len(self.ledger()):
            assert processed == newest_of(every)

    @invariant()
    def landing_can_be_read_and_is_the_live_ledger(self) -> None:
        """P13: no object that a row needs is gone, in any snapshot that can be read, but by somebody else's hand."""
        for state in self.world.catalog.snapshots.values():
            for file in state.files:
                found = self.world.store.head(file.key)
                assert (found is not None and found.etag == file.etag) or (file.key, file.etag) in self.moved
        if any((e.key, e.etag) in self.moved for e in self.ledger() if e.removed_at is None):
            return
        rows = self.world.lake.landing_rows(STREAM)
        live = [r for e in self.ledger() if e.removed_at is None for r in self.rows[(e.key, e.etag)]]
        assert sorted(rows, key=_id) == sorted(live, key=_id)

    @invariant()
    def only_expired_objects_are_gone(self) -> None:
        """P13: storage loses what was removed and nothing else."""
        there = {file.key for file in self.objects()}
        removed = {entry.key for entry in self.ledger() if entry.removed_at is not None}
        assert {key for key, _ in self.rows} - there <= removed | {key for key, _ in self.moved}

    @invariant()
    def what_the_first_plan_listed_is_known_and_never_deleted(self) -> None:
        """P13: by key and ETag, whatever was cut off; unless the policy says that it may go."""
        noted = self.world.catalog.head.existing.get(STREAM)
        if noted is None:
            assert not self.ledger()
            self.listed = {file.key: file.etag for file in self.objects()}
            return
        assert noted == self.listed
        raw = self.world.rules.raw
        there = {file.key for file in self.objects()} | {key for key, _ in self.moved}
        if raw.raw is RawPolicy.KEEP:
            assert {key for key, _ in self.rows} <= there and not self.world.catalog.scheduled
        elif not raw.delete_existing:
            assert noted.keys() <= there
            assert not {self.world.store.key_of(path) for path in self.world.catalog.scheduled} & {
                entry.key for entry in self.ledger() if noted.get(entry.key) == entry.etag and entry.removed_at
            } - {entry.key for entry in self.ledger() if noted.get(entry.key) != entry.etag}
        stays = {entry.key for entry in self.ledger() if entry.removed_because == Removal.KEPT}
        assert stays <= there

    @invariant()
    def marks_go_forward_and_never_lead(self) -> None:
        """P2, P11."""
        cursor = self.world.lake.cursor(STREAM)
        day = date.min if cursor.path is None else day_of(cursor.path, otherwise=date.min)
        mark = cursor.transformed_snapshot
        assert day >= self.marks[0]
        assert mark >= self.marks[1] or self.replayed
        self.marks, self.replayed = (day, mark), False
        assert cursor.path is None or cursor.path in self.ever_taken()
        assert mark <= max((entry.snapshot for entry in self.ledger()), default=0)
        newest = max((entry.day for entry in self.ledger()), default=date.min)
        assert day == newest or (self.clock_was_behind and day < newest)  # a day after tomorrow moves no cursor

    @invariant()
    def what_is_rejected_is_not_in(self) -> None:
        """P6; what vanished was in."""
        quarantined = self.world.lake.quarantined(STREAM)
        held = {(entry.key, entry.etag) for entry in quarantined if entry.reason != "vanished"}
        assert not held & {(entry.key, entry.etag) for entry in self.ledger()}

    def teardown(self) -> None:
        """Whatever happened: one more process, one more feed, and all is as it should be (P15)."""
        self.world.catalog.crash_at = None
        self.world.reopen()
        self.feed()


class TestProtocol(Stream.TestCase):  # type: ignore[name-defined,misc]
    """The machine above."""

    settings = settings(
        max_examples=300,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
