"""On Postgres and S3: other people's maintenance, and two lakes on one prefix (P13)."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from lakeray import wiring
from lakeray.adapters.ducklake.reading.reader import DuckLakeReader
from lakeray.cli.compose import settings_of
from lakeray.cli.parse import parse
from lakeray.steps.ownership import Owner, hold, is_own
from lakeray.values.errors import PrefixOwnedError
from lakeray.values.keys import CLAIM
from lakeray.values.model import StreamName
from tests.realstack.stack import FEED, RealLake, Stack
from tests.support.real.maintenance import OPERATIONS

LISTS = StreamName("klaviyo", "lists")
ONE_MORE = ("sample.days=13", "sample.files_per_day=1", "sample.syncs_per_day=1", "sample.rows_per_file=20")
COMPACT_META = "CALL lakehouse.set_option('auto_compact', true, schema => 'meta')"
COMPACT_EXISTING = "CALL lakehouse.set_option('auto_compact', true, schema => 'meta', table_name => 'existing_files')"
FLUSH_EXISTING = "CALL ducklake_flush_inlined_data('lakehouse', schema_name => 'meta', table_name => 'existing_files')"
FLUSH = "CALL ducklake_flush_inlined_data('lakehouse', schema_name => 'meta')"


@pytest.fixture(scope="module")
def lake(stack: Stack) -> RealLake:
    """A lake that was fed and cleaned."""
    made = stack.lake()
    made.fed()
    return made


def run_as_others_do(lake: RealLake, *statements: str) -> list[int]:
    with lake.connection(read_only=False) as connection:
        return [len(connection.execute(statement).fetchall()) for statement in statements]


def test_what_others_run_changes_nothing_and_a_feed_goes_on(lake: RealLake) -> None:
    before = lake.contents()
    for name, statements in OPERATIONS.items():
        run_as_others_do(lake, *statements)
        assert lake.contents() == before, name
    assert lake.run("sample", *ONE_MORE).code == 0
    assert {item["status"] for item in lake.fed().document["streams"]} == {"ok"}
    assert lake.doctor() == []


def test_a_flush_in_the_midst_of_a_run_is_noticed_by_the_next_question(lake: RealLake) -> None:
    """Postgres would answer from the inlined rows that are left: nothing taken in, nothing pending, all of it new."""
    backend = wiring.backend(settings_of(parse(["feed", *lake.settings])))
    books, reader = backend.queries(), DuckLakeReader(backend)
    known = reader.known(LISTS, since=None)
    assert run_as_others_do(lake, COMPACT_EXISTING, FLUSH_EXISTING)[1] > 0  # as DuckLake writes it where it is long
    assert books.rows("totals", ["klaviyo", "lists"]) and known
    assert run_as_others_do(lake, COMPACT_META, FLUSH)[1] > 0
    assert books.rows("totals", ["klaviyo", "lists"]) is None
    assert reader.known(LISTS, since=None) == known
    books.close()
    reader.close()
    lake.fed("lake.writer=auto")
    assert lake.doctor() == []
    assert run_as_others_do(lake, FLUSH) == [0]


def test_kept_objects_survive_an_expiry_and_a_clean_up_by_others(stack: Stack) -> None:
    lake = stack.lake(streams=[str(LISTS)])
    objects = lake.objects()
    fed = lake.fed("retention.delete_existing=false", "retention.snapshot_days=1").stream(str(LISTS))
    assert fed["kept"] == fed["cleaned"] > 0
    expire = "CALL ducklake_expire_snapshots('lakehouse', older_than => '2100-01-01'::TIMESTAMPTZ)"
    run_as_others_do(lake, expire, "CALL ducklake_cleanup_old_files('lakehouse', cleanup_all => true)")
    assert lake.objects() == objects
    assert lake.doctor() == []


# ---- two lakes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def second(stack: Stack, lake: RealLake) -> RealLake:
    """Another environment's lake, with a catalog and a DATA_PATH of its own, on the same raw prefix."""
    made = stack.lake()
    made.raw = lake.number
    return made


def test_another_lake_on_the_same_prefix_is_told_and_may_only_read(lake: RealLake, second: RealLake) -> None:
    objects = lake.objects()
    told = second.run("feed", *FEED)
    errors = [item["error"] for item in told.document["streams"]]
    assert (told.code, {error["kind"] for error in errors}) == (1, {"prefix_owned"})
    assert all("postgres:" in error["found"] and "password" not in error["found"] for error in errors)
    assert second.run("feed", *FEED, "retention.raw=keep").code == 0
    assert {item["kind"] for item in second.doctor()} == {"owned_by_another_lake"}
    assert lake.objects() == objects


def test_on_s3_exactly_one_of_many_lakes_gets_the_claim(lake: RealLake) -> None:
    store = wiring.raw_store(settings_of(parse(["feed", *lake.settings])))

    def races(number: int) -> bool:
        try:
            return hold(store, f"raced/{CLAIM}", owner=Owner(lake=str(number), catalog=""), take_over="old")
        except PrefixOwnedError:
            return False

    for at_stake in (None, Owner(lake="old", catalog="")):
        if at_stake is not None:
            store.delete(f"raced/{CLAIM}")
            hold(store, f"raced/{CLAIM}", owner=at_stake)
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(races, range(24)))
        assert won.count(True) == 1
        found = store.read_whole(f"raced/{CLAIM}")
        assert found is not None and json.loads(found)["lake"] == str(won.index(True))
    store.delete(f"raced/{CLAIM}")


def test_the_listing_alone_tells_whose_claim_it_is(lake: RealLake) -> None:
    """S3's ETag of the claim is the digest of its bytes: a feed with nothing new asks the storage nothing more."""
    store = wiring.raw_store(settings_of(parse(["feed", *lake.settings])))
    (listed,) = [file for file in store.list_level("klaviyo/lists/").files if file.key.endswith(CLAIM)]
    backend = wiring.backend(settings_of(parse(["feed", *lake.settings])))
    reader = DuckLakeReader(backend)
    owner = Owner(lake=reader.lake_id() or "", catalog=backend.shown)
    reader.close()
    assert is_own(listed, owner)
