"""A stream's raw objects lie where its config says, and a feed finds them from the horizon on (P3, P4)."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lakeray.airbyte.paths import AIRBYTES_OWN, BY_DAY, layout_of
from lakeray.ports.catalog import Known
from lakeray.run import feed_all
from lakeray.steps.discover import list_since, sort_out
from lakeray.steps.ownership import Owner, claim_of, is_held_above
from lakeray.values.errors import UsageError
from lakeray.values.keys import CLAIM
from lakeray.values.layouts import Layout, overlapping
from lakeray.values.model import StreamName
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.records import STREAM, row
from tests.support.fakes.settings import settings
from tests.support.fakes.store import MemoryStore

FLAT = layout_of(AIRBYTES_OWN, namespace="shop", stream="orders")
days = st.dates(date(2025, 11, 1), date(2027, 2, 1))
parts = st.tuples(days, st.integers(0, 12))


def key_of(day: date, part: int = 0, *, root: str = "shop/orders/") -> str:
    return f"{root}{day:%Y_%m_%d}_1767916800000_{part}.parquet"


@pytest.mark.parametrize(
    ("path", "root", "is_flat"),
    [
        (AIRBYTES_OWN, "shop/orders/", True),
        (BY_DAY, "shop/orders/", False),
        ("${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_", "orders/", True),
        ("SHOP/Orders/${YEAR}_${MONTH}_${DAY}_${HOUR}_", "SHOP/Orders/", True),
        ("lake/${NAMESPACE}/${STREAM_NAME}/year=${YEAR}/month=${MONTH}/day=${DAY}", "lake/shop/orders/", False),
        ("a/b", "a/b/", False),
        ("a/b/", "a/b/", False),
        ("${NAMESPACE}/${STREAM_NAME}/${UUID}/", "shop/orders/", False),
    ],
)
def test_airbytes_patterns_are_read(path: str, root: str, *, is_flat: bool) -> None:
    assert layout_of(path, namespace="shop", stream="orders") == Layout(root=root, is_flat=is_flat)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("${NAMESPACE}/${STREAM}/", "not STREAM"),
        ("${YEAR}_${MONTH}_${DAY}_${EPOCH}_", "a folder of the stream's own"),
        ("", "a folder of the stream's own"),
        ("/a/b/", "a folder of the stream's own"),
        ("a/../b/", "a folder of the stream's own"),
        ("a/${YEAR}/${MONTH}/${DAY}/", "behind the stream's folder"),
        ("a/orders_${YEAR}_${MONTH}_${DAY}_${EPOCH}_", "behind the stream's folder"),
    ],
)
def test_what_would_not_be_listed_rightly_is_refused(path: str, expected: str) -> None:
    with pytest.raises(UsageError, match=r"streams\.shop__orders\.path") as refused:
        settings(streams={"shop__orders": {**ORDERS, "path": path}})
    assert expected in str(refused.value)


@pytest.mark.parametrize("other", ["shop/orders", "shop/orders/deep/", "shop/"])
def test_two_streams_never_read_the_same_folder(other: str) -> None:
    more = {**ORDERS, "stream": "others", "path": other}
    with pytest.raises(UsageError, match="which is read by"):
        settings(streams={STREAM.slug: dict(ORDERS), "shop__others": more})
    assert overlapping({"a": "shop/orders/", "b": "shop/orders_old/", "c": "shop/item/"}) is None


@given(st.lists(parts, max_size=25), days, st.integers(0, 30))
@example([(date(2026, 1, 2), 0), (date(2026, 1, 9), 0)], date(2026, 1, 9), 1)
def test_flat_names_are_listed_from_a_day_on(files: list[tuple[date, int]], since: date, older: int) -> None:
    store = MemoryStore()
    for day, part in files:
        store.put(key_of(day, part), b"x")
    store.put(f"shop/orders/{CLAIM}", b"{}")
    listed = [item.key for item in list_since(store, FLAT, since=since, older=older)]
    wanted = {key_of(*item) for item in files if item[0] >= since} | {f"shop/orders/{CLAIM}"}
    assert wanted <= set(listed) and all(int(key[12:16]) >= since.year for key in set(listed) - wanted)
    assert {item.key for item in list_since(store, FLAT, since=None)} == {
        f"shop/orders/{CLAIM}",
        *(key_of(*item) for item in files),
    }


def test_of_many_flat_names_the_old_ones_are_not_listed() -> None:
    store = MemoryStore()
    for number in range(300):
        store.put(key_of(date(2026, 1, 1) + timedelta(days=number)), b"x")
    assert len(list(list_since(store, FLAT, since=date(2026, 10, 20)))) == 8
    assert len(store.requests) == 1
    with_older = {item.key for item in list_since(store, FLAT, since=date(2026, 10, 20), older=100)}
    assert len(with_older) == 108
    assert len({item.key for item in list_since(store, FLAT, since=date(2026, 1, 20), older=4_000)}) == 300


def test_what_names_no_day_is_not_a_flat_streams_and_is_not_missed() -> None:
    store, odd = MemoryStore(), "shop/orders/1_notes.parquet"
    store.put(odd, b"x")
    store.put(key_of(date(2026, 3, 1)), b"x")
    listed = list(list_since(store, FLAT, since=None))
    assert [item.key for item in listed] == [key_of(date(2026, 3, 1))]
    live = Known(etag="e", size_bytes=1, live=True)
    known = {odd: live, key_of(date(2026, 3, 2)): live, "elsewhere/x.parquet": live}
    found = sort_out(listed, known=known, quarantine=[], since=None, looked_since=date(2026, 1, 1), layout=FLAT)
    assert set(found.vanished) == {key_of(date(2026, 3, 2)), "elsewhere/x.parquet"}
    assert Layout.of(STREAM).holds(odd)


def test_airbytes_own_layout_is_fed_late_files_and_too_late_ones_too() -> None:
    path = "RAW/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_"
    lake, root = MemoryApplication(streams={STREAM.slug: {**ORDERS, "path": path}}), f"RAW/{STREAM.stream}/"

    def fed() -> tuple[int, int]:
        (report,) = feed_all(lake.open(), stop=lambda: False).streams
        assert report.error is None, report
        return report.files, report.too_late

    lake.world.put(key_of(date(2026, 3, 30), root=root), row(1))
    lake.world.put(f"{STREAM}/year=2026/month=03/day=30/part_0.parquet", row(2))  # of no configured stream
    assert fed() == (1, 0)
    assert lake.world.store.read_whole(f"{root}{CLAIM}") is not None
    lake.world.put(key_of(date(2026, 3, 24), root=root), row(3))  # late, within the horizon
    lake.world.put(key_of(date(2026, 3, 1), root=root), row(4))
    assert fed() == (1, 1)


def test_without_a_config_the_nearest_claim_says_whose_the_objects_are() -> None:
    store, one, two = MemoryStore(), Owner(lake="one", catalog="c"), Owner(lake="two", catalog="c")
    assert not is_held_above(store, "RAW/orders/x.parquet", owner=one)
    store.put(f"RAW/orders/{CLAIM}", claim_of(one))
    assert is_held_above(store, "RAW/orders/x.parquet", owner=one)
    assert not is_held_above(store, "RAW/orders/x.parquet", owner=two)


def test_a_stream_has_its_own_folder_when_its_config_says_nothing() -> None:
    found = settings(streams={STREAM.slug: dict(ORDERS)}).streams[STREAM.slug]
    assert found.layout == Layout(root=f"{STREAM}/") == Layout.of(StreamName(STREAM.source, STREAM.stream))
