"""Random syncs that overwrite or refresh, that succeed, fail or delete as they go; feeds that run and die (P16).

No key leaves that a newer generation has, or that none has replaced; a feed that nobody disturbs leaves nothing older.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lakeray.values.model import QuarantineStatus, StreamReport, StreamStatus
from lakeray.values.origins import origin_of
from tests.support.fakes.feeds import BUDGET, RULES, FeedWorld, key_for
from tests.support.fakes.lake import CRASH_POINTS, SET_ASIDE_POINTS, Crash
from tests.support.fakes.records import STREAM, Row, generation_of, newest_of, of_generation, row, stamped

# Nothing falls behind the retention here: what clean-up takes away says nothing, and the other machine knows clean-up.
LONG = replace(RULES, budget=replace(BUDGET, max_files=2), lookback_days=2, retention_days=900)
records = st.builds(row, st.integers(0, 5), st.text("ab", max_size=1), cursor=st.integers(0, 4))


class Refreshes(RuleBasedStateMachine):
    """One stream whose syncs begin generations."""

    def __init__(self) -> None:
        super().__init__()
        self.world = FeedWorld(LONG)
        self.rows: dict[str, list[Row]] = {}
        """By key, of every good file."""
        self.generation, self.succeeded, self.ids = 1, 0, 0
        self.bad = ""
        """The key of a file that is no Parquet."""
        self.doomed: list[str] = []
        """What Airbyte has still to delete."""
        self.merged: set[str] = set()
        """Keys whose rows are, surely, merged."""

    @initialize(overwrites=st.booleans())
    def choose(self, overwrites: bool) -> None:
        """Whether every sync is a generation, or a refresh alone."""
        self.world.rules = replace(LONG, overwrites=overwrites)

    # ---- what comes and goes ---------------------------------------------------------------------------------------

    def name(self) -> str:
        self.ids += 1
        return key_for(self.world.clock.now().date(), f"part_{self.ids}.parquet")

    @rule(sent=st.lists(records, max_size=3))
    def a_sync_writes(self, sent: list[Row]) -> None:
        """An object of the generation that is being written; perhaps without a row."""
        key = self.name()
        named = [{**item, "raw_id": f"{self.ids:04d}-{number}"} for number, item in enumerate(sent)]
        told = of_generation(self.generation, *named)
        self.rows[key] = stamped(told, origin_of(self.world.put(key, *told)))

    @rule(
        old=st.lists(records, min_size=1, max_size=4), new=st.lists(records, min_size=1, max_size=3), fed=st.booleans()
    )
    def a_whole_sync_after_another(self, old: list[Row], new: list[Row], fed: bool) -> None:
        """Perhaps with a feed in the middle of the second."""
        self.a_sync_writes(old)
        self.feed()
        self.generation += 1
        self.a_sync_writes(new)
        if fed:
            self.feed()
        self.the_sync_succeeds()

    @precondition(lambda self: not self.bad or not self.world.store.exists(self.bad))
    @rule()
    def a_bad_file_arrives(self) -> None:
        """It holds no Parquet."""
        self.bad = self.name()
        self.world.put_bytes(self.bad, b"this is no Parquet at all")

    @precondition(lambda self: self.bad and self.world.store.exists(self.bad))
    @rule()
    def a_bad_file_goes(self) -> None:
        """Somebody deletes it."""
        self.world.store.delete(self.bad)

    @rule(at_once=st.one_of(st.just(99), st.integers(0, 4)))
    def the_sync_succeeds(self, at_once: int = 99) -> None:
        """What is older is deleted, perhaps not at once."""
        older = [
            key for key in self.there() if generation_of(self.rows[key][0] if self.rows[key] else {}) < self.generation
        ]
        self.doomed = sorted(older, key=lambda key: key[::-1])  # not in the order in which they came
        self.succeeded = self.generation
        self.generation += 1
        self.deletions_go_on(at_once)

    @precondition(lambda self: self.doomed)
    @rule(count=st.integers(1, 9))
    def deletions_go_on(self, count: int) -> None:
        """Some more of it."""
        for key in self.doomed[:count]:
            self.world.store.delete(key)
        del self.doomed[:count]

    @rule()
    def the_sync_fails(self) -> None:
        """Its objects stay, and the next one is another generation."""
        self.generation += 1

    @rule(days=st.integers(1, 3))
    def time_passes(self, days: int) -> None:
        """Some days."""
        self.world.clock.move(days=days)

    @rule()
    def an_operator_ignores_what_is_rejected(self) -> None:
        """All of it."""
        self.world.lake.set_quarantine([entry.key for entry in self.world.lake.quarantined(STREAM)], status="ignored")

    # ---- what runs -------------------------------------------------------------------------------------------------

    def finished(self, run: Callable[[], StreamReport]) -> StreamReport | None:
        """No key leaves in a run that ends with a listed object outside: that may be of the newest generation."""
        before, report = set(self.processed()), None
        try:
            report = run()
        except Crash:
            self.world.reopen()
        outside = self.outside()
        assert not outside or before <= set(self.processed()), (outside, before - set(self.processed()))
        assert report is None or report.error is None or report.error["kind"] == "not_there", report.error
        return report

    @rule()
    def feed(self) -> None:
        """What is older and gone leaves no row, unless a file is held; run again, it changes nothing."""
        self.world.catalog.crash_at = None
        expected = self.replaced_by_now()
        report = self.finished(self.world.feed)
        if report is None or report.error is not None:
            return
        held = [e for e in self.world.lake.quarantined(STREAM) if e.status != QuarantineStatus.IGNORED]
        if expected is not None and not [e for e in held if self.world.store.exists(e.key)]:
            assert all(generation_of(item) >= expected for item in self.processed().values())
            assert all(file.newest >= expected for file in self.world.lake.generations(STREAM).values() if file.rows)
        before = self.world.catalog.head
        again = self.world.feed()
        assert again.status in (StreamStatus.NOTHING_NEW, StreamStatus.WAITING), again
        assert self.world.catalog.head == before

    @rule(point=st.sampled_from((*CRASH_POINTS, *SET_ASIDE_POINTS)))
    def feed_and_crash(self, point: str) -> None:
        """The process may end at this point."""
        self.world.catalog.crash_at = point
        self.finished(self.world.feed)
        self.world.catalog.crash_at = None

    @rule(back=st.integers(0, 9), point=st.one_of(st.none(), st.sampled_from(CRASH_POINTS)))
    def replay(self, back: int, point: str | None) -> None:
        """Some days again, perhaps with a crash."""
        today = self.world.clock.now().date()
        self.world.catalog.crash_at = point
        self.finished(lambda: self.world.replay(today - timedelta(days=back), today))
        self.world.catalog.crash_at = None

    # ---- what must hold --------------------------------------------------------------------------------------------

    def there(self) -> list[str]:
        return [key for key in self.rows if self.world.store.exists(key)]

    def outside(self) -> list[str]:
        """Listed objects that are not taken in, and that no operator ignores."""
        taken_in = {entry.key for _, entry in self.world.catalog.head.ledger if entry.removed_at is None}
        held = self.world.lake.quarantined(STREAM)
        ignored = {entry.key for entry in held if entry.status == QuarantineStatus.IGNORED}
        listed = self.world.store.keys()
        return [key for key in listed if key not in taken_in | ignored]

    def processed(self) -> dict[int, Row]:
        return self.world.lake.merged_rows(STREAM)

    def replaced_by_now(self) -> int | None:
        """The oldest generation in storage, when something older is live and gone and nothing newer is."""
        left = [generation_of(item) for key in self.there() for item in self.rows[key]]
        live = self.world.lake.generations(STREAM)
        gone = [file.newest for key, file in live.items() if file.rows and not self.world.store.exists(key)]
        if not left or not gone or max(gone) >= min(left):
            return None
        return min(left)

    @invariant()
    def each_key_has_the_newest_of_what_was_not_replaced(self) -> None:
        """Or has left, when no generation from the last that succeeded on has it."""
        ledger = [entry for _, entry in self.world.catalog.head.ledger]
        mark = self.world.lake.cursor(STREAM).transformed_snapshot
        self.merged |= {entry.key for entry in ledger if entry.snapshot <= mark and entry.removed_at is None}
        taken = [item for entry in ledger for item in self.rows[entry.key]]
        sure = [item for key in self.merged for item in self.rows[key]]
        processed = self.processed()
        for item in processed.values():
            assert item in taken
        for pk, best in newest_of(sure).items():
            if pk in processed:
                least = min(self.succeeded, generation_of(processed[pk]))
                kept = newest_of(row for row in sure if row["pk"] == pk and generation_of(row) >= self.succeeded)
                candidates = [best, *kept.values()]
                assert processed[pk] in candidates or self.is_newer_than_any(processed[pk], sure, least), (
                    pk,
                    candidates,
                )
            else:
                assert all(generation_of(row) < self.succeeded for row in sure if row["pk"] == pk), pk

    def is_newer_than_any(self, found: Row, sure: list[Row], least: int) -> bool:
        """Of a generation between the last replacement and the last success, or merged above the mark."""
        same = [row for row in sure if row["pk"] == found["pk"] and generation_of(row) >= least]
        return newest_of([*same, found])[found["pk"]] == found

    def teardown(self) -> None:
        """Whatever happened: one more process, one more feed."""
        self.world.reopen()
        self.feed()


class TestRefreshes(Refreshes.TestCase):  # type: ignore[name-defined,misc]
    """The machine above."""

    settings = settings(
        max_examples=150,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
