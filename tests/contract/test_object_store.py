"""``ObjectStore``: what the in-memory prefix and a folder both promise."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from obstore.store import S3Store

from lakeray.adapters.storage import small_objects
from lakeray.adapters.storage.object_store import open_store
from lakeray.steps.discover import list_since
from lakeray.values.errors import NotThereError, StorageError, UsageError
from lakeray.values.layouts import Layout
from lakeray.values.model import StreamName
from tests.contract.lakes import Writable
from tests.support.fakes.store import MemoryStore

NAMES = [
    "plain.parquet",
    "part_0.parquet-1",
    "it's.parquet",
    'q".parquet',
    "a b.parquet",
    " leading.parquet",
    "é–ü-日本.parquet",
    "100%25.parquet",
    "50%.parquet",
    "a#b?c&d=e+f.parquet",
    "g[1].parquet",
    "g*.parquet",
    "{curly}~`^|<>.parquet",
    "back\\slash.parquet",
    "tab\tline\nreturn\r.parquet",
    "del\x7f-bell\x07.parquet",
    "nel\x85-sep\u2028.parquet",
    "replaced\ufffd.parquet",
]
ODD = [f"shop/orders/year=2026/month=01/day=01/{name}" for name in NAMES]


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Writable:
    if request.param == "memory":
        return MemoryStore()
    folder = tmp_path / "a raw 100% 'folder'"
    folder.mkdir()
    return open_store(folder.as_uri())


@pytest.fixture
def put(store: Writable, tmp_path: Path) -> Callable[[str, bytes], None]:
    def put(key: str, data: bytes) -> None:
        path = tmp_path / "upload"
        path.write_bytes(data)
        store.put_file(key, path)

    return put


def keys(store: Writable, prefix: str = "", start_after: str | None = None) -> list[str]:
    return sorted(file.key for file in store.list_files(prefix, start_after=start_after))


@pytest.mark.parametrize("key", ODD, ids=NAMES)
def test_any_key_is_listed_read_and_deleted_as_it_was_written(store: Writable, put, key: str) -> None:
    put(key, b"0123456789")
    put("shop/orders/other.parquet", b"x")
    assert keys(store) == sorted([key, "shop/orders/other.parquet"])
    assert [file.key for file in store.list_level(key.rsplit("/", 1)[0] + "/").files] == [key]
    found = store.head(key)
    assert found is not None and (found.key, found.size_bytes) == (key, 10)
    assert store.exists(key)
    assert store.read_range(key, start=3, length=4) == b"3456"
    assert store.url(key).endswith(key)
    store.delete(key)
    assert keys(store) == ["shop/orders/other.parquet"]


def test_an_object_that_is_not_there_is_none_and_deleting_it_twice_is_once(store: Writable, put) -> None:
    assert store.head("shop/none.parquet") is None
    assert not store.exists("shop/none.parquet")
    with pytest.raises(FileNotFoundError):
        store.read_range("shop/none.parquet", start=0, length=1)
    put("shop/a.parquet", b"x")
    store.delete("shop/a.parquet")
    store.delete("shop/a.parquet")
    store.delete("shop/never.parquet")
    assert keys(store) == []


def test_an_empty_prefix_lists_as_nothing(store: Writable) -> None:
    assert keys(store, "shop/orders/") == []
    level = store.list_level("shop/orders/")
    assert (level.prefixes, level.files) == ((), ())


def test_a_prefix_ends_at_its_slash(store: Writable, put) -> None:
    for key in ("shop/orders/a.parquet", "shop/orders/deep/b.parquet", "shop/orders_old/c.parquet"):
        put(key, b"x")
    assert keys(store, "shop/orders/") == ["shop/orders/a.parquet", "shop/orders/deep/b.parquet"]
    level = store.list_level("shop/orders/")
    assert level.prefixes == ("shop/orders/deep/",)
    assert [file.key for file in level.files] == ["shop/orders/a.parquet"]
    assert store.list_level("shop/").prefixes == ("shop/orders/", "shop/orders_old/")


def test_start_after_leaves_out_the_key_itself_and_all_before_it(store: Writable, put) -> None:
    names = [
        f"s/o/year=2026/month={month}/day={day}/x.parquet" for month in ("01", "1", "10", "2") for day in ("9", "10")
    ]
    for key in names:
        put(key, b"x")
    ordered = sorted(names)
    for at, key in enumerate(ordered):
        assert keys(store, "s/o/year=2026/", key) == ordered[at + 1 :]
    assert keys(store, "s/o/year=2026/", "s/o/year=2026/month=01/day=05") == [
        key for key in ordered if key > "s/o/year=2026/month=01/day=05"
    ]


def test_an_overwritten_object_has_another_etag(store: Writable, put) -> None:
    put("shop/a.parquet", b"one")
    first = store.head("shop/a.parquet")
    put("shop/a.parquet", b"another")
    second = store.head("shop/a.parquet")
    assert first is not None and second is not None and first.etag and second.etag
    assert first.identity != second.identity and first.etag != second.etag


def test_a_listing_and_a_lookup_agree(store: Writable, put) -> None:
    put("shop/a.parquet", b"one")
    (listed,) = store.list_files("")
    assert listed == store.head("shop/a.parquet") == store.list_level("shop/").files[0]
    assert listed.last_modified.tzinfo is not None
    assert abs((listed.last_modified - datetime.now(UTC)).days) < 10_000


def test_reading_past_the_end_is_a_storage_error(store: Writable, put) -> None:
    put("shop/a.parquet", b"one")
    for start, length in ((9, 4), (3, 1), (1, 9)):
        with pytest.raises(StorageError):
            store.read_range("shop/a.parquet", start=start, length=length)


# ---- small objects that several write at once ------------------------------------------------------------------------


def test_an_object_is_created_once_and_read_whole(store: Writable) -> None:
    assert store.read_whole("shop/orders/note.json") is None
    assert store.create("shop/orders/note.json", b"one")
    assert not store.create("shop/orders/note.json", b"two")
    assert store.read_whole("shop/orders/note.json") == b"one"
    assert keys(store) == ["shop/orders/note.json"]


def test_of_many_that_create_an_object_one_does(store: Writable) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: store.create("shop/note.json", b"%d" % number), range(32)))
    assert made.count(True) == 1
    assert store.read_whole("shop/note.json") == b"%d" % made.index(True)


def test_an_object_is_exchanged_only_for_what_it_is(store: Writable) -> None:
    assert not store.exchange("shop/note.json", b"two", instead_of=b"one")
    store.create("shop/note.json", b"one")
    assert not store.exchange("shop/note.json", b"three", instead_of=b"two")
    assert store.read_whole("shop/note.json") == b"one"
    assert store.exchange("shop/note.json", b"two", instead_of=b"one")
    assert store.read_whole("shop/note.json") == b"two" and keys(store) == ["shop/note.json"]


def test_of_many_that_exchange_an_object_one_does(store: Writable) -> None:
    store.create("shop/note.json", b"old")
    with ThreadPoolExecutor(8) as pool:
        won = list(
            pool.map(lambda number: store.exchange("shop/note.json", b"%d" % number, instead_of=b"old"), range(32))
        )
    assert won.count(True) == 1
    assert store.read_whole("shop/note.json") == b"%d" % won.index(True)


class WithoutConditions(BaseHTTPRequestHandler):
    """An S3 of one object that knows no ``If-None-Match`` and no ``If-Match``: it leaves them out, or refuses."""

    status = 200
    data = b""

    def do_PUT(self) -> None:
        made = type(self)
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        refused = made.status != 200 and ("If-None-Match" in self.headers or "If-Match" in self.headers)
        if not refused:
            made.data = sent
        self._answer(made.status if refused else 200, b"<Error><Code>NotImplemented</Code></Error>" if refused else b"")

    def do_GET(self) -> None:
        self._answer(200 if self.data else 404, self.data)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("ETag", '"one"')
        self.send_header("Last-Modified", "Sun, 01 Mar 2026 00:00:00 GMT")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("status", [200, 400, 501])
def test_a_bucket_that_knows_no_conditions_takes_an_object_all_the_same(status: int) -> None:
    handler = type("Handler", (WithoutConditions,), {"status": status})
    with serving(handler) as endpoint:
        bucket = S3Store(
            "landing",
            endpoint=endpoint,
            access_key_id="a",
            secret_access_key="b",
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
        )
        assert small_objects.create(bucket, "note.json", b"one")
        assert small_objects.exchange_in_bucket(bucket, "note.json", b"two", instead_of=b"one")
        assert not small_objects.exchange_in_bucket(bucket, "note.json", b"three", instead_of=b"one")
    assert handler.data == b"two"


def test_a_small_object_makes_no_folder_that_must_be_there(tmp_path: Path) -> None:
    raw = open_store((tmp_path / "raw").as_uri())
    assert raw.read_whole("shop/note.json") is None
    with pytest.raises(NotThereError):
        raw.create("shop/note.json", b"one")
    assert not (tmp_path / "raw").exists()
    lake = open_store((tmp_path / "lake").as_uri(), setting="lake.data_path", may_be_missing=True)
    assert lake.read_whole("note.json") is None and not (tmp_path / "lake").exists()
    assert lake.create("note.json", b"one") and lake.read_whole("note.json") == b"one"


def test_objects_of_a_name_are_found_in_the_folders_above(store: Writable) -> None:
    for key in ("note.json", "shop/note.json", "shop/orders/note.json", "shop/orders/other.json", "bar/note.json"):
        store.create(key, key.encode())
    found = [(address, data) for address, data in store.read_above("shop/orders/", "note.json")]
    assert [data for _, data in found][:2] == [b"shop/note.json", b"note.json"]
    assert found[0][0].endswith("/shop/note.json")


def test_a_folder_shows_what_lies_above_it_whatever_link_leads_there(tmp_path: Path) -> None:
    (tmp_path / "real" / "raw").mkdir(parents=True)
    (tmp_path / "real" / "note.json").write_bytes(b"above")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "raw")
    (found,) = open_store((tmp_path / "link").as_uri()).read_above("shop/", "note.json")
    assert found == (str(tmp_path / "real" / "note.json"), b"above")


def test_a_page_is_not_the_end(store: Writable, put) -> None:
    for number in range(1050):
        put(f"shop/orders/year=2026/month=01/day=01/part_{number}.parquet", b"x")
    listed = [file.key for file in list_since(store, Layout.of(StreamName("shop", "orders")), since=None)]
    assert len(listed) == len(set(listed)) == 1050


@pytest.fixture(params=["memory", "folder", "bucket"])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Writable]:
    """A bucket or a folder that is not there."""
    if request.param == "memory":
        store = MemoryStore()
        store.is_there = False
        yield store
    elif request.param == "folder":
        yield open_store((tmp_path / "raw").as_uri())
        assert not (tmp_path / "raw").exists()
    else:
        with serving(NoSuchBucket) as endpoint:
            yield open_store("s3://landing/raw", endpoint_url=endpoint, access_key_id="a", secret_access_key="b")


class NoSuchBucket(BaseHTTPRequestHandler):
    """An S3 that has no bucket."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.end_headers()
        self.wfile.write(b"<Error><Code>NoSuchBucket</Code></Error>")

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_place_that_is_not_there_is_an_error_and_no_empty_listing(nowhere: Writable) -> None:
    for listing in (lambda: nowhere.list_level("shop/orders/"), lambda: list(nowhere.list_files("shop/orders/"))):
        with pytest.raises(NotThereError) as refused:
            listing()
        assert "storage.url" in refused.value.todo and refused.value.exit_code == 1
    assert nowhere.head("shop/orders/a.parquet") is None
    with pytest.raises(FileNotFoundError):
        nowhere.read_range("shop/orders/a.parquet", start=0, length=1)


def test_writing_makes_the_folder_and_a_place_that_may_be_missing_lists_as_empty(tmp_path: Path) -> None:
    store = open_store((tmp_path / "lake").as_uri(), setting="lake.data_path", may_be_missing=True)
    assert (keys(store), store.list_level("").files) == ([], ())
    store.delete("shop/a.parquet")
    assert not (tmp_path / "lake").exists()
    (tmp_path / "a.parquet").write_bytes(b"x")
    store.put_file("shop/a.parquet", tmp_path / "a.parquet")
    assert keys(store) == keys(pickle.loads(pickle.dumps(store))) == ["shop/a.parquet"]
    (tmp_path / "lake/shop/a.parquet").unlink()
    (tmp_path / "lake/shop").rmdir()
    (tmp_path / "lake").rmdir()
    assert keys(store) == []


def test_a_folder_store_works_in_another_process(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    (tmp_path / "a.parquet").write_bytes(b"x")
    assert keys(pickle.loads(pickle.dumps(store))) == ["a.parquet"]


@pytest.mark.parametrize("url", ["ftp://host/raw", "raw", "s3://", ""])
def test_an_address_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_store(url)


def test_a_name_that_is_no_text_is_listed_percent_encoded_with_the_reason(tmp_path: Path) -> None:
    store = open_store((tmp_path / "raw").as_uri())
    folder = tmp_path / "raw" / "shop" / "orders"
    folder.mkdir(parents=True)
    (folder / "good.parquet").write_bytes(b"x")
    with open(bytes(folder) + b"/bad\xff.parquet", "wb") as file:  # noqa: PTH123
        file.write(b"y")
    for listed in (list(store.list_files("shop/orders/")), list(store.list_level("shop/orders/").files)):
        found = {file.key: file.problem for file in listed}
        assert found.keys() == {"shop/orders/good.parquet", "shop/orders/bad%FF.parquet"}
        assert found["shop/orders/good.parquet"] == "" and "UTF-8" in found["shop/orders/bad%FF.parquet"]


def test_a_folder_has_the_same_etags_however_it_was_listed(tmp_path: Path) -> None:
    store = open_store((tmp_path / "raw").as_uri())
    (tmp_path / "raw" / "s").mkdir(parents=True)
    (tmp_path / "raw" / "s" / "a.parquet").write_bytes(b"123")
    (plain,) = store.list_files("s/")
    (tmp_path / "raw" / "s" / "b\n.parquet").write_bytes(b"1")
    exact = {file.key: file for file in store.list_files("s/")}
    assert exact["s/a.parquet"] == plain
