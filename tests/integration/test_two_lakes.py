"""Two lakes in one place, and one lake whose places are written in several ways (P13, ADR 0030)."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date
from pathlib import Path

import pytest

from lakeray.adapters.ducklake.writing.committer import DuckLakeCommitter
from lakeray.adapters.storage.object_store import open_store
from lakeray.steps.ownership import Owner, claim_of
from lakeray.streams.generated import landing_ddl
from lakeray.values.errors import UsageError
from lakeray.values.keys import CLAIM
from lakeray.values.model import Removal, StreamName
from lakeray.wiring import check_places, owned
from tests.contract.lakes import CONTRACT, EVER, OnDisk
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM as ORDERS
from tests.support.fakes.records import row
from tests.support.fakes.settings import settings
from tests.support.fakes.store import MemoryStore
from tests.support.real.catalogs import rereading
from tests.support.real.lake import Lake
from tests.support.real.parquet import record, write

STREAM = "klaviyo/metrics"
HERE = f"+stream={STREAM}"
ALL = "retention.delete_existing=true"


def key(day: int) -> str:
    return f"{STREAM}/year=2026/month=01/day={day:02d}/part_0.parquet"


def claim(lake: Lake) -> dict[str, str]:
    return dict(json.loads((lake.raw / STREAM / CLAIM).read_text()))


def lake_id(lake: Lake) -> str:
    return str(lake.document("doctor", HERE)["facts"]["lake"])


# ---- two lakes -----------------------------------------------------------------------------------------------------


def test_two_lakes_on_one_prefix(tmp_path: Path, extension_directory: Path) -> None:
    """One owns it. The other takes nothing in, or reads and deletes nothing, or takes over."""
    first = Lake.new(tmp_path / "first", extensions=extension_directory)
    for day in (1, 12):
        write(first.raw / key(day), record(f"day {day}"))
    first.ok("feed", HERE, ALL)
    assert claim(first)["lake"] == lake_id(first)
    assert claim(first)["catalog"].startswith(f"sqlite:{first.root}/catalog.sqlite on ")

    second = Lake(tmp_path / "second", raw=first.raw)
    (second.root / "extensions").parent.mkdir()
    (second.root / "extensions").symlink_to(extension_directory)
    told = second.run("feed", HERE, ALL)
    error = told.stream(STREAM)["error"]
    assert (told.code, error["kind"]) == (1, "prefix_owned")
    assert lake_id(first) in error["found"] and error["todo"].endswith(f"lake.take_over={lake_id(first)}")
    assert not (second.root / "catalog.sqlite").exists()  # told before anything was made
    found = second.run("doctor", HERE)
    assert [item["kind"] for item in found.document["findings"]] == ["owned_by_another_lake"]

    second.ok("feed", HERE, "retention.raw=keep")
    second.ok("clean", HERE, "retention.raw=keep", "retention.snapshot_days=0")
    assert first.objects() == {key(1), key(12)}
    assert second.ok("doctor", HERE, "retention.raw=keep").document["findings"] == []
    assert second.run("feed", HERE, ALL).code == 1  # it has taken files in, and still may delete none

    second.ok("feed", HERE, ALL, f"lake.take_over={lake_id(first)}")
    assert claim(second)["lake"] == lake_id(second) != lake_id(first)
    first.ok("clean", HERE, ALL, "retention.snapshot_days=0")  # its own tables are its own
    assert first.objects() == {key(1), key(12)}
    assert first.run("feed", HERE, ALL).stream(STREAM)["error"]["kind"] == "prefix_owned"


def test_two_lakes_do_not_share_a_data_path(tmp_path: Path, extension_directory: Path) -> None:
    first, second = (Lake.new(tmp_path / name, extensions=extension_directory) for name in ("first", "second"))
    first.raw.mkdir()
    first.ok("reconcile", HERE)
    shared = f"lake.data_path={first.root}/lake/"
    told = second.run("reconcile", HERE, shared)
    assert (told.code, told.document["error"]["kind"]) == (1, "prefix_owned")
    assert lake_id(first) in told.document["error"]["found"] and "lake.data_path" in told.document["error"]["todo"]
    assert not (second.root / "catalog.sqlite").exists()  # or it would be bound to that place
    # Made anew in the same place: the catalog is lost, the files are there.
    second.ok("reconcile", HERE, shared, f"lake.take_over={lake_id(first)}")
    second.ok("reconcile", HERE, shared)
    assert first.run("reconcile", HERE).code == 1


def test_what_another_lake_took_over_is_not_deleted_any_more(tmp_path: Path, extension_directory: Path) -> None:
    """In the midst of a run: asked again before each clean-up deletes something."""
    lake = OnDisk(tmp_path / "lake", extension_directory)
    asked: list[tuple[str, StreamName, list[str]]] = []

    def owned(lake_id: str, stream: StreamName, keys: Collection[str]) -> Collection[str]:
        asked.append((lake_id, stream, sorted(keys)))
        return ()

    committer = DuckLakeCommitter(
        lake.backend,
        holder="a test",
        clock=lake.clock,
        store=lake.store,
        transformer=lake.transformer,
        landing_ddl=landing_ddl,
        owned=owned,
        rereads=rereading(lake.backend, lake.store),
    )
    lake.committer = committer
    committer.ensure_landing(ORDERS, CONTRACT)
    lake.put(A, row(1))
    lake.take_in(A)
    lake.merge()
    entries = lake.reader.registered(ORDERS, first=date.min, last=date.max)
    committer.remove(ORDERS, entries, reason=Removal.RETENTION)
    assert committer.expire(older_than=EVER) == []
    assert (lake.keys(), asked) == ({A}, [(lake.reader.lake_id(), ORDERS, [A])])
    assert committer.expire(older_than=EVER) == [] and len(asked) == 1  # off the list for good
    committer.close()
    lake.close()


def test_what_a_lake_inside_the_prefix_registered_is_not_deleted(tmp_path: Path, extension_directory: Path) -> None:
    """It began in the same moment, or took over from inside: its claim is below, and the outer one looked earlier."""
    outer = Lake.new(tmp_path / "outer", extensions=extension_directory)
    inner = Lake.new(tmp_path / "inner", extensions=extension_directory, raw=outer.raw / STREAM / "eu")
    inside = f"{STREAM}/eu/{key(2)}"
    for name in (key(1), inside, key(28)):
        write(outer.raw / name, record(name))
    outer.ok("feed", HERE, ALL)
    inner.ok("feed", HERE, ALL, f"lake.take_over={lake_id(outer)}")
    deleted = outer.ok("clean", HERE, ALL, "retention.snapshot_days=0").document["objects_deleted"]
    assert [Path(path).name for path in deleted] == [Path(key(1)).name]
    assert outer.objects() == {inside, key(28)}
    assert inner.ok("doctor", HERE).document["findings"] == []
    assert outer.run("feed", HERE, ALL).stream(STREAM)["error"]["kind"] == "prefix_owned"


def test_each_object_is_judged_by_the_claim_above_it_wherever_the_config_has_the_stream_by_now() -> None:
    one, two, store = Owner(lake="one", catalog=""), Owner(lake="two", catalog=""), MemoryStore()
    for place, owner in ((f"{ORDERS}/", one), ("earlier/", one), ("another/", two), (f"{ORDERS}/eu/", two)):
        store.put(f"{place}{CLAIM}", claim_of(owner))
    mine = {f"{ORDERS}/a/x.parquet", "earlier/a/x.parquet", "earlier/x.parquet"}
    theirs = {f"{ORDERS}/eu/x.parquet", "another/a/x.parquet", "nobodys/x.parquet"}
    assert owned(settings(), store, ORDERS, mine | theirs, owner=one) == mine
    assert owned(settings(), store, ORDERS, {"another/x.parquet"}, owner=one) == frozenset()


A, B = key_for(date(2026, 3, 1)), key_for(date(2026, 3, 20))

# ---- one lake, written in several ways -------------------------------------------------------------------------------


def test_one_lake_is_itself_however_its_raw_folder_is_written(tmp_path: Path, extension_directory: Path) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    write(lake.raw / key(1), record("one"))
    lake.ok("feed", HERE)
    (tmp_path / "link").symlink_to(lake.root)
    written = claim(lake)
    for url in (
        f"file://{lake.root}/raw/",
        f"file://{lake.root}//raw",
        f"file://{lake.root}/./raw/.",
        f"file://{lake.root}/lake/../raw",
        f"file://{lake.root}/r%61w",
        f"file://{tmp_path}/link/raw",
    ):
        lake.address = url
        assert lake.ok("feed", HERE).stream(STREAM)["status"] == "nothing_new", url
        assert lake.ok("doctor", HERE).document["findings"] == [], url
    assert claim(lake) == written


def test_clean_up_knows_an_object_that_was_registered_under_another_spelling(
    tmp_path: Path, extension_directory: Path
) -> None:
    """A key that was written anew is not deleted for the older object's sake, nor is one that stays (P13)."""
    lake = OnDisk(tmp_path / "lake", extension_directory)
    (tmp_path / "link").symlink_to(tmp_path / "lake" / "raw")
    lake.committer.ensure_landing(ORDERS, CONTRACT)
    for number, name in enumerate((A, B)):
        lake.put(name, row(number))
    lake.take_in(A, B)
    lake.merge()
    entries = {entry.key: entry for entry in lake.reader.registered(ORDERS, first=date.min, last=date.max)}
    lake.store = open_store((tmp_path / "link").as_uri())
    lake.committer = lake.reopen()
    lake.committer.remove(ORDERS, [entries[A]], reason=Removal.RETENTION)
    lake.committer.remove(ORDERS, [entries[B]], reason=Removal.KEPT)
    lake.put(A, row(7, "written anew"))
    lake.committer.expire(older_than=EVER)
    assert lake.keys() == {A, B}
    lake.close()


@pytest.mark.parametrize(
    ("raw", "data_path"),
    [
        ("s3://b/raw", "s3://b/raw/lake/"),
        ("s3://b/raw", "s3://b//raw/lake/"),
        ("s3://b/raw", "s3://b/./raw/lake/"),
        ("s3://b/raw", "s3://b/x/../raw"),
        ("s3://b/raw", "s3://b/r%61w/lake"),
        ("s3://b/raw/", "s3://b/"),
        ("file:///data/raw", "/data/raw/lake/"),
        ("file:///data/raw", "/data//raw/./lake"),
        ("file:///data/r%61w", "/data/raw/lake"),
        ("file:///data/raw", "/data/x/../raw/lake"),
        ("file:///data/raw", "file:///data/raw/lake"),
        ("file:///data/lake/raw", "/data/lake/"),
    ],
)
def test_a_raw_prefix_and_a_data_path_that_contain_each_other_are_refused(raw: str, data_path: str) -> None:
    with pytest.raises(UsageError, match=r"lake\.data_path"):
        check_places(settings(storage__url=raw, lake__data_path=data_path))


@pytest.mark.parametrize(
    ("raw", "data_path"),
    [
        ("s3://b/raw", "s3://b/raw2/"),
        ("s3://b/raw", "s3://b2/raw/lake"),
        ("s3://b/raw", "/b/raw/lake"),
        ("file:///data/raw", "/data/raw2/"),
        ("file:///data/raw", "/data/raw/../lake"),
    ],
)
def test_places_beside_each_other_are_right(raw: str, data_path: str) -> None:
    check_places(settings(storage__url=raw, lake__data_path=data_path))


def test_a_link_into_the_raw_folder_is_seen_through(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "raw")
    with pytest.raises(UsageError, match=r"lake\.data_path"):
        check_places(settings(storage__url=(tmp_path / "raw").as_uri(), lake__data_path=f"{tmp_path}/link/lake/"))


@pytest.mark.parametrize("url", ["s3://b/raw//x", "s3://b/./raw", "s3://b/raw/../x"])
def test_a_prefix_that_no_bucket_has_as_it_is_written_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"storage\.url"):
        settings(storage__url=url)
