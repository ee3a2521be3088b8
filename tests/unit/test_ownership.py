"""Claims: one lake at most deletes below a prefix, and the others are told who does (P13, ADR 0030)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest

from lakeray.run import feed_all
from lakeray.steps.clean import RawRules
from lakeray.steps.discover import list_since
from lakeray.steps.ownership import (
    UNREADABLE,
    Owner,
    claim_data_path,
    claim_of,
    claim_stream,
    data_path_owner,
    deletable,
    hold,
    is_held,
    owner_in,
    refuse_data_path,
)
from lakeray.values.errors import NotThereError, PrefixOwnedError, StorageError
from lakeray.values.events import Noted
from lakeray.values.keys import CLAIM, is_claim, is_registered_as_it_lies, is_source_file
from lakeray.values.layouts import Layout
from lakeray.values.model import RawPolicy, SourceFile, StreamName, StreamReport, StreamStatus
from tests.support.fakes.application import MemoryApplication
from tests.support.fakes.feeds import FeedWorld, key_for
from tests.support.fakes.lake import Crash, MemoryCatalog
from tests.support.fakes.records import STREAM, row
from tests.support.fakes.store import MemoryStore

ONE, TWO = Owner(lake="one", catalog="sqlite:/one"), Owner(lake="two", catalog="postgres:two")
OWN = f"{STREAM}/{CLAIM}"
A, B = key_for(date(2026, 3, 1)), key_for(date(2026, 3, 2))
KEEP = RawRules(raw=RawPolicy.KEEP)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def claims(store: MemoryStore, stream: StreamName = STREAM) -> list[SourceFile]:
    return [file for file in list_since(store, Layout.of(stream), since=None) if is_claim(file.key)]


def claimed(store: MemoryStore, owner: Owner, stream: StreamName = STREAM, *, take_over: str | None = None) -> bool:
    return claim_stream(store, f"{stream}/", claims(store, stream), owner=owner, take_over=take_over)


# ---- the claim ------------------------------------------------------------------------------------------------------


def test_a_claim_says_whose_it_is_and_is_no_source_file() -> None:
    assert owner_in(claim_of(ONE)) == ONE
    assert is_claim(OWN) and not is_claim(f"{STREAM}/x{CLAIM}") and not is_source_file(OWN)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"7", b"{}", b'{"lake": ', b"null"])
def test_a_claim_that_cannot_be_read_is_somebodys_all_the_same(data: bytes) -> None:
    assert owner_in(data).lake == UNREADABLE


def test_the_first_lake_claims_and_finds_its_claim_again_without_reading_it(store: MemoryStore) -> None:
    assert claimed(store, ONE) and owner_in(store.read(OWN)) == ONE
    reads = len(store.reads)
    assert not claimed(store, ONE)
    assert len(store.reads) == reads


def test_another_lake_is_told_who_it_is_and_what_to_do(store: MemoryStore) -> None:
    claimed(store, ONE)
    with pytest.raises(PrefixOwnedError) as told:
        claimed(store, TWO)
    assert (told.value.kind, told.value.exit_code) == ("prefix_owned", 1)
    assert store.url(f"{STREAM}/") in told.value.about and "lake one (catalog sqlite:/one)" in told.value.found
    assert "retention.raw=keep" in told.value.todo and told.value.todo.endswith("lake.take_over=one")
    assert owner_in(store.read(OWN)) == ONE


def test_other_streams_of_the_same_raw_prefix_may_be_another_lakes(store: MemoryStore) -> None:
    claimed(store, ONE)
    assert claimed(store, TWO, StreamName("shop", "customers"))


def test_a_lake_that_moved_is_the_same_lake(store: MemoryStore) -> None:
    claimed(store, ONE)
    assert not claimed(store, replace(ONE, catalog="sqlite:/elsewhere"))


def test_taking_over_names_the_lake_and_touches_no_third_ones_claim(store: MemoryStore) -> None:
    claimed(store, ONE)
    with pytest.raises(PrefixOwnedError):
        claimed(store, TWO, take_over="three")
    assert claimed(store, TWO, take_over="one") and owner_in(store.read(OWN)) == TWO
    assert not claimed(store, TWO, take_over="one")
    with pytest.raises(PrefixOwnedError, match="lake two"):
        claimed(store, ONE)


def test_a_claim_that_cannot_be_read_can_be_taken_over_by_that_name(store: MemoryStore) -> None:
    store.put(OWN, b"what is this?")
    with pytest.raises(PrefixOwnedError, match=f"lake.take_over={UNREADABLE}"):
        claimed(store, ONE)
    assert claimed(store, ONE, take_over=UNREADABLE)


@pytest.mark.parametrize("take_over", [None, "old"])
def test_of_lakes_that_race_exactly_one_wins(store: MemoryStore, take_over: str | None) -> None:
    if take_over is not None:
        claimed(store, Owner(lake=take_over, catalog=""))

    def races(number: int) -> bool:
        owner = Owner(lake=f"lake {number}", catalog="")
        try:
            return hold(store, OWN, owner=owner, take_over=take_over)
        except PrefixOwnedError:
            return False

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(races, range(40)))
    assert won.count(True) == 1
    assert owner_in(store.read(OWN)).lake == f"lake {won.index(True)}"


def test_a_claim_whose_answer_was_lost_is_found_as_ones_own(store: MemoryStore) -> None:
    """The request was tried again by itself, and the second one is told that there is an object."""

    class Lost(MemoryStore):
        def create(self, key: str, data: bytes) -> bool:
            super().create(key, data)
            return False

    lost = Lost()
    assert not hold(lost, OWN, owner=ONE)
    assert owner_in(lost.read(OWN)) == ONE


class Unconditional(MemoryStore):
    """An S3 that leaves conditions out: the last one who writes wins."""

    def create(self, key: str, data: bytes) -> bool:
        self.put(key, data)
        return True

    def exchange(self, key: str, data: bytes, *, instead_of: bytes) -> bool:
        self.put(key, data)
        return True


def test_without_conditions_what_another_lake_wrote_meanwhile_is_seen_before_it_is_relied_on() -> None:
    class Meanwhile(Unconditional):
        def create(self, key: str, data: bytes) -> bool:
            super().create(key, data)
            return super().create(key, claim_of(TWO))

    with pytest.raises(PrefixOwnedError, match="lake two"):
        hold(Meanwhile(), OWN, owner=ONE)


def test_without_conditions_both_may_begin_and_only_the_last_ones_objects_may_be_deleted() -> None:
    store = Unconditional()
    assert hold(store, OWN, owner=ONE)
    store.create(OWN, claim_of(TWO))  # begun in the same moment, by a lake that saw no claim either
    assert not is_held(store, f"{STREAM}/", owner=ONE) and is_held(store, f"{STREAM}/", owner=TWO)
    with pytest.raises(PrefixOwnedError, match="lake two"):
        claimed(store, ONE)


def test_a_bucket_that_takes_no_claim_is_for_reading(store: MemoryStore) -> None:
    class ReadOnly(MemoryStore):
        def create(self, key: str, data: bytes) -> bool:
            raise StorageError(f"writing {key} failed", found="AccessDenied")

    with pytest.raises(StorageError, match=r"AccessDenied.*retention\.raw=keep"):
        claimed(ReadOnly(), ONE)


def test_a_claim_that_comes_and_goes_is_no_answer(store: MemoryStore) -> None:
    class Restless(MemoryStore):
        def create(self, key: str, data: bytes) -> bool:  # somebody was first
            return False

    with pytest.raises(StorageError, match="comes and goes"):
        claimed(Restless(), ONE)


def test_a_stream_inside_another_ones_prefix_is_found_from_both_sides(store: MemoryStore) -> None:
    inner, outer = StreamName("shop", "orders/eu"), StreamName("shop", "orders")
    claimed(store, ONE, outer)
    with pytest.raises(PrefixOwnedError, match="shop/orders/; "):
        claimed(store, TWO, inner)
    other = MemoryStore()
    claimed(other, ONE, inner)
    with pytest.raises(PrefixOwnedError, match="shop/orders/eu/"):
        claimed(other, TWO, outer)
    assert claimed(other, TWO, outer, take_over="one")
    assert {owner_in(other.read(claim.key)).lake for claim in claims(other, outer)} == {"two"}
    assert not claimed(store, ONE, inner) or not claimed(store, ONE, inner)  # one lake may have both


def test_what_may_be_deleted_now_is_asked_of_the_claim_itself(store: MemoryStore) -> None:
    assert is_held(store, f"{STREAM}/", owner=ONE)  # nobody's: it is claimed
    assert is_held(store, f"{STREAM}/", owner=ONE)
    assert not is_held(store, f"{STREAM}/", owner=TWO)


def test_what_lies_below_another_lakes_claim_is_not_deleted(store: MemoryStore) -> None:
    claimed(store, ONE)
    inside = f"{STREAM}/eu/{A}"
    assert deletable(store, f"{STREAM}/", [A, inside], owner=ONE) == {A, inside}
    store.put(f"{STREAM}/eu/{STREAM}/{CLAIM}", claim_of(TWO))
    assert deletable(store, f"{STREAM}/", [A, inside, f"{STREAM}/eu/x"], owner=ONE) == {A, f"{STREAM}/eu/x"}
    store.put(f"{STREAM}/eu/{CLAIM}", claim_of(ONE))
    assert deletable(store, f"{STREAM}/", [A, f"{STREAM}/eu/x"], owner=ONE) == {A, f"{STREAM}/eu/x"}
    assert deletable(store, f"{STREAM}/", [A], owner=TWO) == frozenset()


@pytest.mark.parametrize("first", ["outer", "inner"])
def test_of_nested_lakes_that_begin_in_the_same_moment_none_deletes_what_the_other_registered(first: str) -> None:
    """Each has listed, and looked above, before the other's claim was there."""
    inner, outer = StreamName("shop", "orders/eu"), StreamName("shop", "orders")

    class Racing(MemoryStore):
        other: Callable[[], object] | None = None

        def create(self, key: str, data: bytes) -> bool:
            other, self.other = self.other, None
            if other is not None:
                other()
            return super().create(key, data)

    store, refused = Racing(), []
    key = f"{inner}/year=2026/part_0.parquet"

    def begins(owner: Owner, stream: StreamName) -> None:
        try:
            claim_stream(store, f"{stream}/", [], owner=owner, take_over=None)
        except PrefixOwnedError:
            refused.append(stream)

    lakes = {"outer": (ONE, outer), "inner": (TWO, inner)}
    second = lakes["inner" if first == "outer" else "outer"]
    store.other = lambda: begins(*second)
    begins(*lakes[first])
    taken_in = [stream for stream in (inner, outer) if stream not in refused]
    assert taken_in
    if inner in taken_in:
        assert deletable(store, f"{outer}/", [key], owner=ONE) == frozenset()
    if outer in taken_in and inner in refused:
        assert deletable(store, f"{outer}/", [f"{outer}/x"], owner=ONE)


def test_a_data_path_is_one_lakes_too(store: MemoryStore) -> None:
    assert claim_data_path(store, owner=ONE, take_over=None)
    with pytest.raises(PrefixOwnedError, match=r"must not share a lake\.data_path"):
        claim_data_path(store, owner=TWO, take_over=None)
    assert claim_data_path(store, owner=TWO, take_over="one")


def test_a_data_path_is_refused_before_a_lake_is_made_there(store: MemoryStore) -> None:
    assert data_path_owner(store) is None
    claim_data_path(store, owner=ONE, take_over=None)
    found = data_path_owner(store)
    assert found == ONE
    refuse_data_path(store, found, owner=ONE, take_over=None)
    refuse_data_path(store, found, owner=Owner(lake="", catalog=""), take_over="one")
    with pytest.raises(PrefixOwnedError, match=r"must not share a lake\.data_path"):
        refuse_data_path(store, found, owner=Owner(lake="", catalog=""), take_over=None)


def test_a_place_that_is_not_there_is_said_as_such(store: MemoryStore) -> None:
    class Missing(MemoryStore):
        def create(self, key: str, data: bytes) -> bool:
            raise NotThereError("memory://raw/ is not there", todo="Is storage.url right?")

    with pytest.raises(NotThereError):
        hold(Missing(), OWN, owner=ONE)


def test_a_registered_path_is_the_raw_object_however_the_prefix_was_written() -> None:
    for prefix in ("/raw", "/link/to/raw", "s3://bucket/raw", "/raw/."):
        assert is_registered_as_it_lies(f"{prefix}/{A}", key=A)
    assert not is_registered_as_it_lies(f"/lake/converted/stg_shop__orders/{'0' * 32}.parquet", key=A)
    assert not is_registered_as_it_lies(f"/raw/not{A}", key=A)


# ---- feeds ---------------------------------------------------------------------------------------------------------


def another(world: FeedWorld, name: str = "two") -> FeedWorld:
    """A world of another lake on the same store."""
    made = FeedWorld(world.rules)
    made.store, made.clock = world.store, world.clock
    made.catalog = MemoryCatalog(at=world.clock.now(), name=name)
    made.reopen()
    return made


def kind_of(report: StreamReport) -> str | None:
    return None if report.error is None else report.error["kind"]


def test_two_lakes_on_one_prefix_the_second_takes_nothing_in_and_says_why() -> None:
    world = FeedWorld()
    world.put(A, row(1))
    assert world.feed().status is StreamStatus.OK
    second = another(world)
    report = second.feed()
    assert (report.status, kind_of(report)) == (StreamStatus.FAILED, "prefix_owned")
    assert second.lake.known(STREAM, since=None) == {} and second.lake.landing_rows(STREAM) == []


def test_a_lake_that_keeps_raw_objects_reads_beside_another_and_says_who_deletes() -> None:
    world = FeedWorld()
    world.put(A, row(1))
    world.feed()
    second = another(world)
    assert second.feed(raw=KEEP).status is StreamStatus.OK
    assert [item["pk"] for item in second.lake.landing_rows(STREAM)] == [1]
    (note,) = second.sink.of("noted")
    assert isinstance(note, Noted) and "lake one" in note.message
    assert owner_in(world.store.read(OWN)).lake == "one"


def test_a_lake_that_only_keeps_leaves_no_claim() -> None:
    world = FeedWorld()
    world.put(A, row(1))
    assert world.feed(raw=KEEP).status is StreamStatus.OK
    assert not world.store.exists(OWN)
    assert another(world).feed().status is StreamStatus.OK


def test_a_lake_made_anew_takes_over_and_the_old_one_is_told() -> None:
    world = FeedWorld()
    world.put(A, row(1))
    world.feed()
    anew = another(world)
    assert anew.feed(take_over="one").status is StreamStatus.OK
    assert anew.feed().status is StreamStatus.NOTHING_NEW
    world.put(B, row(2))
    assert kind_of(world.feed()) == "prefix_owned"
    assert anew.feed().files == 1


def test_a_lake_whose_claim_is_missing_makes_it_with_the_next_feed_though_nothing_is_new() -> None:
    """As a lake does that an earlier version made."""
    lake = MemoryApplication()
    lake.world.put(A, row(1))
    feed_all(lake.open(), stop=lambda: False)
    lake.world.store.delete(OWN)
    (report,) = feed_all(lake.open(), stop=lambda: False).streams
    assert (report.status, report.files) == (StreamStatus.OK, 0)
    assert owner_in(lake.world.store.read(OWN)).lake == "one"
    opened = lake.opened_committers
    (report,) = feed_all(lake.open(), stop=lambda: False).streams
    assert (report.status, lake.opened_committers) == (StreamStatus.NOTHING_NEW, opened)


def test_a_run_tells_of_another_lake_without_taking_the_lease_and_goes_on_with_other_streams() -> None:
    lake = MemoryApplication()
    lake.world.put(A, row(1))
    feed_all(lake.open(), stop=lambda: False)
    lake.world.store.put(OWN, claim_of(TWO))
    lake.world.put(B, row(2))
    opened = lake.opened_committers
    (report,) = feed_all(lake.open(), stop=lambda: False).streams
    assert (report.status, kind_of(report), lake.opened_committers) == (StreamStatus.FAILED, "prefix_owned", opened)


def test_a_prefix_without_a_file_gets_no_claim() -> None:
    """It may be misspelt."""
    world = FeedWorld()
    assert world.feed().status is StreamStatus.WAITING
    assert not world.store.exists(OWN)


def test_a_feed_that_dies_after_its_claim_goes_on_from_there() -> None:
    world = FeedWorld()
    world.put(A, row(1))
    world.catalog.crash_at = "after_claimed"
    with pytest.raises(Crash):
        world.feed()
    assert world.store.exists(OWN) and world.lake.known(STREAM, since=None) == {}
    world.reopen()
    assert world.feed().files == 1
