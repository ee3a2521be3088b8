"""An object that moves while a feed reads it is a verdict on the file, never a storage that failed (P6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet import conversion
from lakeray.adapters.parquet.conversion import convert
from lakeray.adapters.parquet.footers import FooterReader
from lakeray.adapters.storage.object_store import ObstoreStore, open_store
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.steps import validate
from lakeray.values.column_types import parse_type
from lakeray.values.errors import StorageError
from lakeray.values.model import Accepted, Column, Contract, Footer, Rejected, RejectReason, SourceFile, StreamName

STREAM = StreamName("shop", "orders")
KEY = "shop/orders/year=2026/month=01/day=01/part_0.parquet"
CONTRACT = Contract(
    columns=(*AIRBYTE_COLUMNS, Column(name="id", type=parse_type("VARCHAR"))),
    primary_key=("id",),
)
Happen = Callable[[Path], object]


class Meanwhile:
    """A store in which something happens before the n-th read of a range."""

    def __init__(self, store: ObstoreStore, happen: Callable[[], object], *, before: int) -> None:
        self._store = store
        self._happen = happen
        self._left = before
        self.reads = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        self.reads += 1
        self._left -= 1
        if self._left == 0:
            self._happen()
        return self._store.read_range(key, start=start, length=length)


def write(path: Path, *, rows: int, first: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {
        "_airbyte_raw_id": pa.nulls(rows, pa.string()),
        "_airbyte_extracted_at": pa.array(range(1_767_312_000_000, 1_767_312_000_000 + rows)),
        "id": pa.array([f"{first + number:08d}" for number in range(rows)]),
    }
    pq.write_table(pa.table(columns), path, compression="none", use_dictionary=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of an object that is registered as a converted copy, for its extraction times are bare milliseconds."""
    found = tmp_path / "raw" / KEY
    write(found, rows=50_000)
    return found


@pytest.fixture
def raw(tmp_path: Path, path: Path) -> ObstoreStore:
    return open_store((tmp_path / "raw").as_uri())


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[ObstoreStore]:
    store = open_store((tmp_path / "lake").as_uri(), may_be_missing=True)
    yield store
    assert list(store.list_files("")) == []  # no copy of what moved is left


def listed(raw: ObstoreStore) -> SourceFile:
    (file,) = raw.list_files("")
    return file


def footer_of(raw: ObstoreStore | Meanwhile, file: SourceFile) -> Footer | Rejected:
    found = FooterReader(raw).read_tail(file)  # type: ignore[arg-type]
    return found if isinstance(found, Rejected) else found[0]


def accepted(raw: ObstoreStore) -> Accepted:
    footer = footer_of(raw, listed(raw))
    assert not isinstance(footer, Rejected), footer
    verdict = validate.verdict(listed(raw), footer, CONTRACT)
    assert isinstance(verdict, Accepted) and verdict.casts, verdict
    return verdict


HAPPEN: dict[str, tuple[Happen, RejectReason]] = {
    "vanishes": (Path.unlink, RejectReason.VANISHED),
    "shrinks": (lambda path: path.write_bytes(path.read_bytes()[:1000]), RejectReason.CHANGED),
    "is emptied": (lambda path: path.write_bytes(b""), RejectReason.CHANGED),
    "becomes one of the same layout": (lambda path: write(path, rows=50_000, first=50_000), RejectReason.CHANGED),
    "becomes another text": (lambda path: path.write_bytes(b"x" * path.stat().st_size), RejectReason.CHANGED),
}


@pytest.mark.parametrize("what", HAPPEN)
@pytest.mark.parametrize("before", [1, 2])
def test_an_object_that_moves_while_its_copy_is_made_is_rejected_and_leaves_no_copy(
    raw: ObstoreStore,
    lake: ObstoreStore,
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    before: int,
) -> None:
    monkeypatch.setattr(conversion, "_PIECE_BYTES", 500_000)
    happen, reason = HAPPEN[what]
    verdict = accepted(raw)
    moving = Meanwhile(raw, lambda: happen(path), before=before)
    converted = convert(verdict, stream=STREAM, raw=moving, lake=lake, temp=tmp_path / "tmp")  # type: ignore[arg-type]
    assert moving.reads >= before
    assert isinstance(converted, Rejected) and converted.reason is reason, converted


@pytest.mark.parametrize("what", ["vanishes", "shrinks", "is emptied"])
def test_an_object_that_moves_before_its_footer_is_read_is_rejected(raw: ObstoreStore, path: Path, what: str) -> None:
    happen, reason = HAPPEN[what]
    moving = Meanwhile(raw, lambda: happen(path), before=1)
    found = footer_of(moving, listed(raw))
    assert isinstance(found, Rejected) and found.reason is reason, found


def test_a_storage_that_fails_proves_nothing_against_a_file(
    raw: ObstoreStore, lake: ObstoreStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "_PIECE_BYTES", 500_000)

    def fails() -> None:
        raise StorageError("reading failed", found="503")

    verdict = accepted(raw)
    with pytest.raises(StorageError, match="503"):
        footer_of(Meanwhile(raw, fails, before=1), listed(raw))
    failing = Meanwhile(raw, fails, before=2)
    with pytest.raises(StorageError, match="503"):
        convert(verdict, stream=STREAM, raw=failing, lake=lake, temp=tmp_path / "tmp")  # type: ignore[arg-type]


def test_a_file_that_was_listed_longer_than_it_is_was_changed(raw: ObstoreStore, path: Path) -> None:
    longer = replace(listed(raw), size_bytes=path.stat().st_size * 2, etag="of the longer one")
    found = footer_of(raw, longer)
    assert isinstance(found, Rejected) and found.reason is RejectReason.CHANGED
