"""``ObjectStore``: what the in-memory prefix and a folder both promise."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from lakeray.adapters.storage.object_store import open_store
from lakeray.steps.discover import list_since
from lakeray.values.errors import NotThereError, StorageError, UsageError
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


def test_a_page_is_not_the_end(store: Writable, put) -> None:
    for number in range(1050):
        put(f"shop/orders/year=2026/month=01/day=01/part_{number}.parquet", b"x")
    listed = [file.key for file in list_since(store, StreamName("shop", "orders"), since=None)]
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
        with without_buckets() as endpoint:
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
def without_buckets() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), NoSuchBucket)
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
