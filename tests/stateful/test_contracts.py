"""Random days of a stream whose contract changes: fields left out and brought back, types and rebuilds, cut off.

No record is lost, none is there twice, and what was left out comes in while its object is there (P3, P6, P12–P15).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lakeray.feed import remove
from lakeray.planning import Rules, plan_clean, plan_stream
from lakeray.rebuild import plan_rebuild, rebuild_stream
from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, LedgerEntry, OnNewColumn, StreamReport, StreamStatus
from tests.support.fakes.feeds import BUDGET, RULES, FeedWorld, key_for
from tests.support.fakes.lake import CRASH_POINTS, Crash
from tests.support.fakes.records import COLUMNS, CONTRACT, STREAM, Row, content, newest, row

SMALL = replace(RULES, budget=replace(BUDGET, max_files=2), lookback_days=2, retention_days=3)
POINTS = (*CRASH_POINTS, "during_forget")
KINDS = ("BIGINT", "VARCHAR")

records = st.builds(row, st.integers(0, 4), cursor=st.integers(0, 5), extracted_at=st.integers(0, 5))


def rules_of(kind: str, policy: OnNewColumn) -> Rules:
    """Of a stream with a column `more` of a type; `extra` is never in its config."""
    more = Column(name="more", type=parse_type(kind))
    return replace(SMALL, contract=replace(CONTRACT, columns=(*CONTRACT.columns, more), on_new_column=policy))


class Contracts(RuleBasedStateMachine):
    """One stream of the in-memory lake, and its config."""

    def __init__(self) -> None:
        super().__init__()
        self.kind, self.policy = "BIGINT", OnNewColumn.IGNORE
        self.world = FeedWorld(rules_of(self.kind, self.policy), snapshot_days=0.5)
        self.rows: dict[str, list[Row]] = {}
        """Key to the rows of every file that was ever put."""
        self.ids = 0
        self.merged: dict[object, Row] = {}

    # ---- what comes ------------------------------------------------------------------------------------------------

    @rule(rows=st.lists(records, min_size=1, max_size=3), extra=st.booleans(), kind=st.sampled_from(KINDS))
    def a_file_arrives(self, rows: list[Row], extra: bool, kind: str) -> None:
        """Its `more` may be of another type than the config's; it may bring a column."""
        sent: list[Row] = []
        for item in rows:
            self.ids += 1
            own = {"raw_id": f"{self.ids:05d}", "more": self.ids}
            sent.append({**item, **own} | ({"extra": f"extra {self.ids}"} if extra else {}))
        key = key_for(self.world.clock.now().date(), f"part_{self.ids}.parquet")
        columns = COLUMNS | {"more": kind} | ({"extra": "VARCHAR"} if extra else {})
        self.world.put_bytes(key, content(sent, columns=columns))
        self.rows[key] = sent

    @rule(days=st.integers(1, 3))
    def time_passes(self, days: int) -> None:
        """Some days."""
        self.world.clock.move(days=days)

    @rule(kind=st.sampled_from(KINDS), policy=st.sampled_from([OnNewColumn.IGNORE, OnNewColumn.ADD]))
    def the_config_changes(self, kind: str, policy: OnNewColumn) -> None:
        """Until the stream is rebuilt, a feed may be refused."""
        self.kind, self.policy = kind, policy
        self.world.rules = rules_of(kind, policy)

    # ---- what runs -------------------------------------------------------------------------------------------------

    def run(self, command: Callable[[], StreamReport], point: str | None) -> StreamReport | None:
        """Run to the end, or to the crash that is asked for; then a new process begins."""
        self.world.catalog.crash_at = point
        try:
            return command()
        except Crash:
            self.world.reopen()
            return None
        finally:
            self.world.catalog.crash_at = None

    def rebuild(self) -> StreamReport:
        """As the command does it; values that do not fit are let go."""
        return rebuild_stream(self.world.rules, self.world.ports(), self.world.lake, allow_loss=True)

    @rule(point=st.one_of(st.none(), st.sampled_from(POINTS)))
    def feed(self, point: str | None) -> None:
        """It ends well, or says that the stream is to be rebuilt, and has changed no row then."""
        report = self.run(self.world.feed, point)
        if report is not None and report.error is not None:
            assert report.error["kind"] == "contract" and "lakeray rebuild" in report.error["todo"]
            assert plan_rebuild(self.world.rules, self.world.lake).change.is_needed

    @rule(point=st.sampled_from(POINTS))
    def rebuild_and_crash(self, point: str) -> None:
        """The next command may be any, under any config."""
        self.run(self.rebuild, point)

    @rule(point=st.sampled_from(["after_rebuild", "during_forget", "after_forget"]), back=st.booleans())
    def another_type_is_begun(self, point: str, back: bool) -> None:
        """And cut off; perhaps the config is set back then."""
        before = self.kind
        self.the_config_changes(KINDS[1 - KINDS.index(before)], self.policy)
        self.run(self.rebuild, point)
        if back:
            self.the_config_changes(before, self.policy)

    @rule()
    def rebuild_and_settle(self) -> None:
        """Whatever was cut off: it ends well, and then all is as configured (P15)."""
        report = self.run(self.rebuild, None)
        assert report is not None and report.error is None, report
        assert not plan_rebuild(self.world.rules, self.world.lake).change.is_needed
        self.settled()

    @rule()
    def an_operator_cleans(self) -> None:
        """Earlier than the feed would."""
        planned = plan_clean(
            replace(self.world.rules, retention_days=1), reader=self.world.lake, store=self.world.store
        )
        remove(planned, self.world.lake)
        self.world.expire()

    # ---- what must hold --------------------------------------------------------------------------------------------

    def ledger(self) -> list[LedgerEntry]:
        return [entry for _, entry in self.world.catalog.head.ledger]

    def settled(self) -> None:
        """Nothing waits: each record of what was taken in is where it belongs, with all that the contract takes."""
        planned = plan_stream(self.world.rules, self.world.ports().planning_ports())
        assert (planned.batches, planned.reregister, planned.unfinished) == ((), (), ())
        held = {entry.key for entry in self.world.lake.quarantined(STREAM)}
        taken = {entry.key for entry in self.ledger()}
        assert self.rows.keys() & {file.key for file in self.world.store.list_files("")} <= taken | held
        processed = self.world.lake.processed_rows(STREAM)
        every = newest(item for key in taken for item in self.rows[key])
        assert {pk: item["raw_id"] for pk, item in processed.items()} == {
            pk: item["raw_id"] for pk, item in every.items()
        }
        live = [item for entry in self.ledger() if entry.removed_at is None for item in self.rows[entry.key]]
        landing = self.world.lake.landing_rows(STREAM)
        assert sorted(item["raw_id"] for item in landing) == sorted(item["raw_id"] for item in live)
        if self.policy is OnNewColumn.ADD:
            extra = {item["raw_id"]: item.get("extra") for item in live}
            assert {item["raw_id"]: item.get("extra") for item in landing} == extra
            for item in processed.values():
                assert item["raw_id"] not in extra or item.get("extra") == extra[item["raw_id"]]
        before = self.world.catalog.head
        assert self.world.feed().status in (StreamStatus.NOTHING_NEW, StreamStatus.WAITING)
        assert self.world.catalog.head == before

    @invariant()
    def no_row_is_in_landing_twice_and_no_live_file_is_twice_in_the_ledger(self) -> None:
        """P3."""
        ids = [item["raw_id"] for item in self.world.lake.landing_rows(STREAM)]
        assert len(ids) == len(set(ids))
        live = [entry.key for entry in self.ledger() if entry.removed_at is None]
        assert len(live) == len(set(live))

    @invariant()
    def the_processed_table_never_goes_back(self) -> None:
        """P12: a row that was there is there, or a newer one of its key."""
        processed = self.world.lake.processed_rows(STREAM)
        both = newest([*processed.values(), *self.merged.values()])
        assert {pk: item["raw_id"] for pk, item in both.items()} == {
            pk: item["raw_id"] for pk, item in processed.items()
        }
        self.merged = dict(processed)

    @invariant()
    def every_registered_object_is_there(self) -> None:
        """P13: clean-up deletes nothing that a row needs, nor what is about to come in again."""
        there = {file.key for file in self.world.store.list_files("")}
        needed = {file.key for state in self.world.catalog.snapshots.values() for file in state.files}
        waiting = {entry.key for entry in self.world.lake.quarantined(STREAM) if entry.status == "retry"}
        assert needed | waiting <= there

    def teardown(self) -> None:
        """Whatever happened: one more process, and all is as it should be (P15)."""
        self.world.reopen()
        self.rebuild_and_settle()


class TestContracts(Contracts.TestCase):  # type: ignore[name-defined,misc]
    """The machine above."""

    settings = settings(
        max_examples=80,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
