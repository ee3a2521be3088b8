"""A verdict names the thing, and repeats no value of a row: files made by hand, through a feed (issue 13.9)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.real.lake import Lake, Ran
from tests.support.real.parquet import RECORD, record, write

STREAM = "klaviyo/metrics"
DAY = "year=2026/month=01/day=05"
MARKER = "Zebra-4711"
"""A value that nobody but the rows themselves shows."""
_NUM_VALUES = b"\x16"


def with_codec(path: Path, codec: int) -> None:
    """A file whose column chunks say that they have another codec than snappy, which they have."""
    whole = write(path, record(MARKER, MARKER)).read_bytes()
    start = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    footer = whole[start:-8]
    said = b"\x15\x02" + _NUM_VALUES
    assert said in footer
    path.write_bytes(whole[:start] + footer.replace(said, b"\x15" + bytes([2 * codec]) + _NUM_VALUES) + whole[-8:])


def without_utf8(path: Path, *, statistics: bool) -> None:
    """A text column with bytes that are no text."""
    table = pq.read_table(write(path, record("fine"), record("not")))
    data = MARKER.encode() + b"\xff\xfe"
    offsets = b"".join(number.to_bytes(4, "little") for number in (0, 1, 1 + len(data)))
    texts = pa.StringArray.from_buffers(2, pa.py_buffer(offsets), pa.py_buffer(b"a" + data))
    broken = table.set_column(table.schema.get_field_index("type"), "type", texts)
    pq.write_table(broken, path, write_statistics=statistics)


def with_column(path: Path, name: str) -> None:
    write(path, record(MARKER, **{name: MARKER}), types={**RECORD, name: pa.string()})


MADE = {
    "lz4_hadoop": lambda path: with_codec(path, 5),
    "lzo": lambda path: with_codec(path, 3),
    "no_utf8": lambda path: without_utf8(path, statistics=False),
    "no_utf8_with_bounds": lambda path: without_utf8(path, statistics=True),
    "empty_name": lambda path: with_column(path, ""),
    "name_with_nul": lambda path: with_column(path, "a\0b"),
    "own_name": lambda path: with_column(path, "_lakeray_x"),
    "changed_type": lambda path: write(path, record(MARKER, updated=MARKER), types={**RECORD, "updated": pa.string()}),
}
EXPECTED = {
    "lz4_hadoop": ("unsupported_codec", "LZ4 as Hadoop writes it"),
    "lzo": ("unsupported_codec", "LZO"),
    "no_utf8": ("corrupt", "UTF-8"),
    "no_utf8_with_bounds": ("corrupt", "UTF-8"),
    "empty_name": ("corrupt", "an empty name"),
    "name_with_nul": ("corrupt", "NUL"),
    "own_name": ("reserved_column", "_lakeray_x"),
    "changed_type": ("type_changed", "column updated"),
}


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A lake after its only feed."""

    feed: Ran
    shown: str
    """The record of rejected files, as it is printed."""
    rejected: dict[str, dict[str, Any]]
    ids: list[Any]
    """Of the processed table."""


@pytest.fixture(scope="module", params=["catalog", "extension"])
def fed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Fed:
    lake = Lake.new(tmp_path_factory.mktemp("reasons") / "lake", extensions=extension_directory)
    folder = lake.raw / STREAM / DAY
    for name, make in MADE.items():
        make(folder / f"{name}.parquet")
    write(folder / "sound.parquet", record("sound"))
    feed = lake.run("feed", f"+stream={STREAM}", f"lake.writer={request.param}", "feed.executor=inline")
    quarantine = lake.ok("quarantine", f"+stream={STREAM}")
    rejected = {Path(item["path"]).stem: item for item in quarantine.document["files"]}
    ids = [row[0] for row in lake.processed(STREAM, "id")]
    return Fed(feed=feed, shown=quarantine.out, rejected=rejected, ids=ids)


def test_the_good_file_is_taken_in_and_the_others_are_not(fed: Fed) -> None:
    assert fed.feed.code == 0, fed.feed.err
    assert fed.ids == ["sound"] and fed.rejected.keys() == MADE.keys()


@pytest.mark.parametrize("name", MADE)
def test_a_reason_names_the_thing(fed: Fed, name: str) -> None:
    reason, told = EXPECTED[name]
    item = fed.rejected[name]
    assert (item["reason"], told in item["detail"]) == (reason, True), item


def test_no_value_of_a_row_is_shown(fed: Fed) -> None:
    for text in (fed.feed.out, fed.feed.err, fed.shown):
        assert MARKER not in text
