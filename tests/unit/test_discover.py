"""What storage has that the ledger lacks: nothing lost, nothing twice, whatever the names are (P3, P4, P6, P14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakeray.ports.catalog import Known
from lakeray.steps import discover
from lakeray.steps.discover import horizon, list_since, sort_out, view_from
from lakeray.values.errors import StorageError
from lakeray.values.keys import file_day
from lakeray.values.layouts import Layout
from lakeray.values.model import Cursor, QuarantineEntry, SourceFile, StreamName
from tests.support.fakes.store import MemoryStore

STREAM = StreamName("shop", "orders")
LAYOUT = Layout.of(STREAM)
EDGES = [
    date(2025, 1, 1),
    date(2025, 9, 30),
    date(2025, 12, 31),
    date(2026, 1, 1),
    date(2026, 2, 28),
    date(2026, 9, 9),
    date(2026, 10, 10),
    date(2026, 12, 1),
]
days = st.builds(lambda edge, off: edge + timedelta(days=off), st.sampled_from(EDGES), st.integers(-12, 12))
NAMES = ["part_0.parquet", "part_2.parquet", "part_10.parquet", "part_0.parquet-1", "01.parquet", "é '%[1].parquet"]
SPELLINGS = [
    "year={0.year}/month={0.month:02d}/day={0.day:02d}/",
    "year={0.year}/month={0.month}/day={0.day}/",
    "year={0.year}/month={0.month:02d}/day={0.day}/",
    "year={0.year}/month={0.month}/day={0.day:02d}/",
    "year={0.year}/month={0.month}/day={0.day}/more/",
    "{0.year}_{0.month:02d}_{0.day:02d}_1767916800000_",
]
spelt = st.tuples(days, st.sampled_from(SPELLINGS), st.sampled_from(NAMES))


def key_of(day: date, spelling: str, name: str) -> str:
    return f"{STREAM}/{spelling.format(day)}{name}"


def file(key: str, etag: str = "e", size: int = 1) -> SourceFile:
    return SourceFile(key=key, etag=etag, size_bytes=size, last_modified=datetime(2026, 1, 1, tzinfo=UTC))


def held(key: str, status: str = "rejected", etag: str = "e") -> QuarantineEntry:
    return QuarantineEntry(
        key=key,
        etag=etag,
        size_bytes=1,
        reason="empty",
        detail="",
        status=status,
        seen_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def on(number: int, name: str = "part_0.parquet") -> str:
    return key_of(date(2026, 1, number), SPELLINGS[0], name)


# ---- listing -------------------------------------------------------------------------------------------------------


@given(st.lists(spelt, max_size=25), days)
@example([(date(2026, 10, 9), SPELLINGS[1], NAMES[0])], date(2026, 9, 30))
@example([(date(2026, 1, 9), SPELLINGS[1], NAMES[0])], date(2026, 1, 9))
@example([(date(2026, 12, 31), SPELLINGS[1], NAMES[0])], date(2026, 12, 4))
def test_every_file_of_a_day_at_or_after_since_is_listed_once_however_it_is_spelt(
    files: list[tuple[date, str, str]], since: date
) -> None:
    store = MemoryStore()
    for parts in files:
        store.put(key_of(*parts), b"x")
    listed = [item.key for item in list_since(store, LAYOUT, since=since)]
    wanted = {key_of(*parts) for parts in files if parts[0] >= since}
    assert wanted <= set(listed)
    assert len(listed) == len(set(listed))


@given(st.lists(spelt, max_size=25))
def test_without_a_day_everything_is_listed(files: list[tuple[date, str, str]]) -> None:
    store = MemoryStore()
    wanted = {store.put(key_of(*parts), b"x").key for parts in files}
    assert {item.key for item in list_since(store, LAYOUT, since=None)} == wanted


@given(st.lists(spelt, max_size=25), st.one_of(st.none(), days))
@example([(date(2026, 10, 9), SPELLINGS[1], NAMES[0])], date(2026, 9, 30))
@example([(date(2026, 1, 9), SPELLINGS[1], NAMES[0])], date(2026, 1, 9))
def test_listed_by_day_nothing_is_missed_and_nothing_listed_twice(
    files: list[tuple[date, str, str]], since: date | None
) -> None:
    store = MemoryStore()
    for parts in files:
        store.put(key_of(*parts), b"x")
    with patch.object(discover, "_IN_A_ROW", 1):
        listed = [item.key for item in list_since(store, LAYOUT, since=since)]
    assert {key_of(*parts) for parts in files if since is None or parts[0] >= since} <= set(listed)
    assert len(listed) == len(set(listed))


def with_many(number: int) -> MemoryStore:
    """So many files on each of the first twenty days."""
    store = MemoryStore()
    for day in range(1, 21):
        for part in range(number):
            store.put(on(day, f"part_{part}.parquet"), b"x")
    return store


def test_a_year_is_listed_in_a_row_until_it_shows_very_many_objects() -> None:
    few, many = with_many(50), with_many(210)
    assert len(list(list_since(few, LAYOUT, since=date(2026, 1, 1)))) == 1_000
    assert len(few.requests) == 2
    assert len(list(list_since(many, LAYOUT, since=date(2026, 1, 1)))) == 4_200
    assert len(many.requests) == 2 + 2 + 20
    many.requests.clear()
    assert len(list(list_since(many, LAYOUT, since=date(2026, 1, 20)))) == 210
    assert len(many.requests) == 2


def test_more_days_than_are_listed_at_once_come_in_their_order() -> None:
    store = MemoryStore()
    wanted = [on(day, f"part_{part}.parquet") for day in range(1, 29) for part in range(2)]
    wanted += [key.replace("month=01", "month=02") for key in wanted]
    for key in wanted:
        store.put(key, b"x")
    with patch.object(discover, "_IN_A_ROW", 1):
        assert [item.key for item in list_since(store, LAYOUT, since=date(2026, 1, 1))] == wanted


def test_a_day_that_cannot_be_listed_fails_the_whole_listing() -> None:
    store = with_many(210)
    whole = store.list_files

    def fails_on_a_day(prefix: str, *, start_after: str | None = None) -> Iterator[SourceFile]:
        if prefix.endswith("day=17/"):
            raise StorageError("listing failed", found="a listing that was cut off")
        return whole(prefix, start_after=start_after)

    with patch.object(store, "list_files", fails_on_a_day), pytest.raises(StorageError):
        list(list_since(store, LAYOUT, since=None))


def test_only_data_of_the_stream_is_listed() -> None:
    store = MemoryStore()
    for key in (
        on(1),
        f"{STREAM}/_SUCCESS",
        on(1, "notes.txt"),
        f"{STREAM}/__airbyte_tmp/x.parquet",
        "shop/orders_old/x.parquet",
    ):
        store.put(key, b"x")
    assert [item.key for item in list_since(store, LAYOUT, since=None)] == [on(1)]


def test_folders_that_name_no_year_are_listed_whole() -> None:
    store = MemoryStore()
    keys = [f"{STREAM}/2026/01/02/x.parquet", f"{STREAM}/batch-7/x.parquet", f"{STREAM}/x.parquet"]
    for key in keys:
        store.put(key, b"x")
    assert {item.key for item in list_since(store, LAYOUT, since=date(2026, 1, 1))} == set(keys)


def test_older_years_cost_no_request() -> None:
    store = MemoryStore()
    for year in range(2015, 2027):
        store.put(f"{STREAM}/year={year}/month=01/day=01/x.parquet", b"x")
    assert len(list(list_since(store, LAYOUT, since=date(2026, 1, 1)))) == 1
    assert len(store.requests) == 2


@pytest.mark.parametrize("shown", [0, 1, 2])
def test_a_partial_listing_is_an_error_and_never_an_end(shown: int) -> None:
    store = MemoryStore()
    for number in (1, 2):
        store.put(on(number), b"x")
    store.fail_after = shown
    with pytest.raises(StorageError):
        list(list_since(store, LAYOUT, since=None))


# ---- horizon -------------------------------------------------------------------------------------------------------


def test_the_horizon_is_behind_the_cursor_by_the_longer_of_lookback_and_retention() -> None:
    cursor = Cursor(stream=STREAM, path=on(20))
    assert horizon(cursor, lookback_days=3, retention_days=7) == date(2026, 1, 13)
    assert horizon(cursor, lookback_days=9, retention_days=7) == date(2026, 1, 11)


def test_there_is_no_horizon_before_the_first_batch() -> None:
    assert horizon(Cursor(stream=STREAM), lookback_days=3, retention_days=7) is None


def test_a_cursor_that_names_no_day_tells_no_horizon() -> None:
    cursor = Cursor(stream=STREAM, path=f"{STREAM}/loose.parquet")
    assert horizon(cursor, lookback_days=3, retention_days=7) is None


# ---- sifting -------------------------------------------------------------------------------------------------------

situations = st.sampled_from(["new", "same", "changed", "cleaned", "rewritten", "held", "mended", "retry", "ignored"])


def situated(cases: Sequence[tuple[tuple[date, str, str], str]]):
    """What is listed, what the ledger knows, and what is in quarantine."""
    listed, known, records = [], {}, []
    for parts, situation in cases:
        key = key_of(*parts)
        listed.append(file(key))
        if situation in ("same", "changed", "cleaned", "rewritten"):
            etag = "e" if situation in ("same", "cleaned") else "before"
            known[key] = Known(etag=etag, size_bytes=1, live=situation in ("same", "changed"))
        elif situation != "new":
            status = situation if situation in ("retry", "ignored") else "rejected"
            records.append(held(key, status, "before" if situation == "mended" else "e"))
    return listed, known, records


def sifted(cases: Sequence[tuple[tuple[date, str, str], str]], *, order: Sequence[int], since: date | None):
    listed, known, records = situated(cases)
    return sort_out([listed[at] for at in order], known=known, quarantine=records, since=since, looked_since=None)


def by_key(case: tuple[tuple[date, str, str], str]) -> str:
    return key_of(*case[0])


def with_an_order(cases: list) -> st.SearchStrategy:
    return st.tuples(st.just(cases), st.permutations(range(len(cases))))


cases_and_order = st.lists(st.tuples(spelt, situations), max_size=20, unique_by=by_key).flatmap(with_an_order)


@given(cases_and_order, st.one_of(st.none(), days))
def test_every_listed_file_is_in_exactly_one_place(case, since: date | None) -> None:
    cases, order = case
    found = sifted(cases, order=order, since=since)
    placed = [item.key for item in (*found.new, *found.too_late, *found.skipped)]
    placed += [item.file.key for item in found.changed]
    taken_in = [key_of(*parts) for parts, situation in cases if situation in ("same", "cleaned")]
    assert sorted(placed + taken_in) == sorted(key_of(*parts) for parts, _ in cases)
    for item in found.new:
        situation = next(s for parts, s in cases if key_of(*parts) == item.key)
        assert situation in ("new", "rewritten", "mended", "retry")
        assert situation == "retry" or since is None or file_day(item) >= since
    assert all(since is not None and file_day(item) < since for item in found.too_late)


@given(cases_and_order, st.one_of(st.none(), days))
def test_the_order_of_the_listing_never_matters(case, since: date | None) -> None:
    cases, order = case
    one, other = sifted(cases, order=range(len(cases)), since=since), sifted(cases, order=order, since=since)
    assert one.new == other.new
    for name in ("too_late", "skipped"):
        assert {item.key for item in getattr(one, name)} == {item.key for item in getattr(other, name)}
    assert {item.file.key for item in one.changed} == {item.file.key for item in other.changed}


def test_names_that_differ_only_in_zeros_have_one_order() -> None:
    pair = [file(on(1, "part_01.parquet")), file(on(1, "part_1.parquet"))]
    found = [
        sort_out(listed, known={}, quarantine=[], since=None, looked_since=None).new for listed in (pair, pair[::-1])
    ]
    assert found[0] == found[1]


def test_a_file_that_a_listing_shows_twice_is_one_file() -> None:
    found = sort_out([file(on(1)), file(on(1))], known={}, quarantine=[], since=None, looked_since=None)
    assert found.new == (file(on(1)),)
    assert found.listed_files == 1


def test_ten_after_two_was_taken_in_is_new() -> None:
    known = {on(1, "part_2.parquet"): Known(etag="e", size_bytes=1, live=True)}
    listed = [file(on(1, "part_10.parquet")), file(on(1, "part_2.parquet"))]
    found = sort_out(listed, known=known, quarantine=[], since=date(2026, 1, 1), looked_since=date(2026, 1, 1))
    assert [item.key for item in found.new] == [on(1, "part_10.parquet")]


def test_a_size_alone_tells_a_changed_file() -> None:
    known = {on(1): Known(etag="e", size_bytes=2, live=True)}
    found = sort_out([file(on(1))], known=known, quarantine=[], since=None, looked_since=None)
    assert [(item.registered_etag, item.registered_size_bytes) for item in found.changed] == [("e", 2)]
    assert not found.new


def test_a_missing_live_file_is_vanished_only_where_the_listing_looked() -> None:
    known = {
        on(1): Known(etag="e", size_bytes=1, live=True),
        on(5): Known(etag="e", size_bytes=1, live=True),
        on(6): Known(etag="e", size_bytes=1, live=False),
    }
    found = sort_out([], known=known, quarantine=[], since=date(2026, 1, 3), looked_since=date(2026, 1, 3))
    assert found.vanished == (on(5),)
    assert set(sort_out([], known=known, quarantine=[], since=None, looked_since=None).vanished) == {on(1), on(5)}


@given(cases_and_order, days)
def test_asked_about_listed_keys_alone_the_ledger_says_the_same_as_read_whole(case, since: date) -> None:
    cases, order = case
    listed, known, records = situated(cases)
    whole = sort_out([listed[at] for at in order], known=known, quarantine=records, since=since, looked_since=None)
    asked: list[str] = []

    def known_among(keys: Sequence[str]) -> dict[str, Known]:
        assert len(keys) <= 3
        asked.extend(keys)
        return {key: known[key] for key in keys if key in known}

    recent = {key: entry for key, entry in known.items() if file_day(file(key)) >= since}
    with patch.object(discover, "_ASKED", 3):
        found = sort_out(
            [listed[at] for at in order],
            known=recent,
            quarantine=records,
            since=since,
            looked_since=since,
            known_among=known_among,
        )
    assert sorted(asked) == sorted(item.key for item in listed if file_day(item) < since)
    assert (found.new, found.listed_files) == (whole.new, whole.listed_files)
    for name in ("too_late", "skipped", "changed"):
        assert set(getattr(found, name)) == set(getattr(whole, name))


def test_a_file_to_retry_is_looked_up_where_the_listing_did_not_reach() -> None:
    store = MemoryStore()
    old = store.put(on(1), b"x")
    found = sort_out(
        [],
        known={},
        quarantine=[held(on(1), "retry"), held(on(2), "retry"), held(on(3))],
        since=date(2026, 1, 10),
        looked_since=date(2026, 1, 10),
        head=store.head,
    )
    assert found.new == (old,)


# ---- what a feed looks at besides ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("horizon_at", "today", "wanted"),
    [
        (None, date(2026, 1, 20), None),
        (date(2026, 1, 10), date(2026, 1, 20), date(2026, 1, 10)),
        (date(2026, 1, 10), date(2026, 1, 13), date(2026, 1, 10)),
        (date(2026, 1, 10), date(2026, 1, 7), date(2026, 1, 4)),
    ],
)
def test_a_feed_never_looks_from_later_than_today_less_the_lookback(
    horizon_at: date | None, today: date, wanted: date | None
) -> None:
    assert view_from(horizon_at, today=today, lookback_days=3) == wanted


@given(st.lists(spelt, max_size=25), days, st.integers(0, 30))
def test_with_room_for_older_files_nothing_of_the_look_is_missed(
    files: list[tuple[date, str, str]], since: date, older: int
) -> None:
    store = MemoryStore()
    for parts in files:
        store.put(key_of(*parts), b"x")
    listed = {item.key for item in list_since(store, LAYOUT, since=since, older=older)}
    assert {key_of(*parts) for parts in files if parts[0] >= since} <= listed
    if older > len(files):
        assert listed == set(store.keys())


def test_room_for_older_files_is_spent_on_the_nearest_year_and_costs_no_request_where_there_are_few() -> None:
    store = with_many(3)
    for year in (2023, 2024, 2025):
        for part in range(30):
            store.put(f"{STREAM}/year={year}/month=12/day=31/part_{part}.parquet", b"x")
    assert len(list(list_since(store, LAYOUT, since=date(2026, 1, 15), older=0))) == 18
    assert len(store.requests) == 2
    store.requests.clear()
    listed = list(list_since(store, LAYOUT, since=date(2026, 1, 15), older=100))
    assert [sum(file_day(item).year == year for item in listed) for year in (2023, 2024, 2025, 2026)] == [0, 28, 30, 60]
    assert len(store.requests) == 4


def test_a_year_with_more_older_files_than_there_is_room_for_is_listed_from_the_day_on() -> None:
    store = with_many(30)
    listed = list(list_since(store, LAYOUT, since=date(2026, 1, 19), older=100))
    assert len({item.key for item in listed}) == 100 + 60
    assert len(store.requests) == 3


def test_of_more_older_files_than_may_be_asked_about_the_newest_by_their_change_count() -> None:
    listed = [
        replace(file(on(1, f"part_{part}.parquet")), last_modified=datetime(2026, 1, 1 + part, tzinfo=UTC))
        for part in range(9)
    ]
    asked: list[str] = []

    def known_among(keys: Sequence[str]) -> dict[str, Known]:
        asked.extend(keys)
        return {on(1, "part_8.parquet"): Known(etag="e", size_bytes=1, live=False)}

    since = date(2026, 1, 20)
    found = sort_out(
        listed,
        known={},
        quarantine=[],
        since=since,
        looked_since=since,
        known_among=known_among,
        asked_at_most=3,
    )
    assert sorted(asked) == [on(1, f"part_{part}.parquet") for part in (6, 7, 8)]
    assert sorted(item.key for item in found.too_late) == [on(1, f"part_{part}.parquet") for part in (6, 7)]
    assert found.listed_files == 9


def test_what_waits_is_held_whatever_its_etag_and_is_told_apart_from_what_was_rejected() -> None:
    records = [held(on(1), "waits"), held(on(2), "waits", "before"), held(on(3))]
    found = sort_out(
        [file(on(number)) for number in (1, 2, 3)], known={}, quarantine=records, since=None, looked_since=None
    )
    assert ([item.key for item in found.waiting], found.skipped, found.new) == ([on(1), on(2)], (file(on(3)),), ())


def test_a_look_counts_what_it_expects_to_see() -> None:
    known = {on(day): Known(etag="e", size_bytes=1, live=day != 6) for day in (1, 5, 6, 7)}
    found = sort_out([file(on(7))], known=known, quarantine=[], since=date(2026, 1, 3), looked_since=date(2026, 1, 3))
    assert (found.live_files, found.vanished, found.newest_day) == (2, (on(5),), date(2026, 1, 7))


def test_a_file_below_the_look_is_not_too_late_while_the_ledger_was_not_asked_about_it() -> None:
    since = date(2026, 1, 20)
    listed = [file(on(1)), file(on(20))]
    found = sort_out(listed, known={}, quarantine=[], since=since, looked_since=since)
    assert (found.too_late, [item.key for item in found.new]) == ((), [on(20)])
