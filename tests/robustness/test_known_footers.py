"""A footer that is taken for sound without being parsed says to Arrow what it says here, whatever octet is another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet.footer_lanes import UNREAD_CODECS
from lakeray.adapters.parquet.footers import Fetched, FooterReader
from lakeray.adapters.parquet.known_footers import Counts, KnownFooter
from lakeray.adapters.storage.object_store import open_store
from lakeray.values.model import Rejected, RejectReason, SourceFile
from tests.robustness.corpus import GROUPS, MAGIC, changed, good, joined, split
from tests.robustness.thrift import I32

WRITERS: dict[str, dict[str, Any]] = {
    "pyarrow": {},
    "no statistics": {"write_statistics": False},
    "page index": {"write_page_index": True, "version": "1.0"},
    "no dictionary": {"use_dictionary": False, "compression": "none", "store_schema": False},
}


def footer_of(file: bytes) -> bytes:
    """From the footer's first octet to the file's last."""
    data, _ = split(file)
    return file[len(data) :]


def by_arrow(footer: bytes) -> Counts | None:
    """What Arrow reads; None when it reads nothing."""
    try:
        metadata = pq.read_metadata(pa.BufferReader(MAGIC + footer))
        group = metadata.row_group(0)
        if metadata.num_row_groups != 1 or group.num_columns != metadata.num_columns:
            return None
    except (pa.ArrowException, OSError, ValueError, IndexError):
        return None
    return Counts(rows=metadata.num_rows, uncompressed_bytes=group.total_byte_size, compressed_bytes=None)


def learned(file: bytes) -> KnownFooter:
    """What is learned from a good file."""
    counts = by_arrow(footer_of(file))
    assert counts is not None
    known = KnownFooter.learned(footer_of(file), rows=counts.rows, uncompressed_bytes=counts.uncompressed_bytes)
    assert known is not None
    return known


def without_compressed(counts: Counts | None) -> tuple[int, int] | None:
    """What both ways count."""
    return None if counts is None else (counts.rows, counts.uncompressed_bytes)


@pytest.mark.parametrize("writer", WRITERS)
def test_other_files_of_the_schema_are_read_as_arrow_reads_them(writer: str) -> None:
    known = learned(good(3, **WRITERS[writer]))
    footers = [footer_of(good(rows, first=rows * 7, **WRITERS[writer])) for rows in range(1, 300, 13)]
    assert all(known.fits(footer) for footer in footers)
    assert [without_compressed(counts) for counts in known.read(footers)] == [
        without_compressed(by_arrow(footer)) for footer in footers
    ]


@pytest.mark.parametrize("writer", WRITERS)
def test_no_other_octet_is_overlooked(writer: str) -> None:
    file = good(3, **WRITERS[writer])
    known, footer = learned(file), footer_of(file)
    footers = [damaged for damaged in _damaged(footer) if known.fits(damaged)]
    counted = [(one, counts) for one, counts in zip(footers, known.read(footers), strict=True) if counts is not None]
    wrong = [
        (counts, by_arrow(one))
        for one, counts in counted
        if without_compressed(counts) != without_compressed(by_arrow(one))
    ]
    assert len(footers) > 1_000 and len(counted) > 10
    assert wrong == []


@pytest.mark.parametrize(("codec", "name"), UNREAD_CODECS.items())
def test_a_codec_that_is_not_read_is_named_whichever_file_was_read_before(
    codec: int, name: str, tmp_path: Path
) -> None:
    def compressed(meta: Any) -> None:
        for chunk in meta[GROUPS][1].items[0][1][1].items:
            chunk[3][1][4] = (I32, codec)

    # Not compressed: only where there is room for the uncompressed data a footer is not parsed.
    plain = {"compression": "none", "use_dictionary": False}
    contents = {"good.parquet": good(3, **plain), "bad.parquet": changed(good(5, **plain), compressed)}
    store, at = open_store(tmp_path.as_uri()), datetime(2026, 1, 1, tzinfo=UTC)
    for key, content in contents.items():
        (tmp_path / key).write_bytes(content)
    first, second = (
        SourceFile(key=key, etag="e", size_bytes=len(content), last_modified=at) for key, content in contents.items()
    )
    reader = FooterReader(store, folder=tmp_path)
    reader.fetch(first, leave=lambda _: True)
    fetched = reader.fetch(second, leave=lambda _: True)
    assert isinstance(fetched, Fetched)
    (found,) = reader.parsed([fetched])
    assert isinstance(found, Rejected)
    assert found.reason is RejectReason.UNSUPPORTED_CODEC and found.detail.endswith(f"found {name}")


def _damaged(footer: bytes) -> Iterator[bytes]:
    for at in range(len(footer) - 8):
        for value in {footer[at] ^ 1, footer[at] ^ 16, footer[at] ^ 128, 0, 255} - {footer[at]}:
            yield footer[:at] + bytes([value]) + footer[at + 1 :]
        for other in (footer[:at] + footer[at + 1 : -8], footer[:at] + b"\0" + footer[at:-8]):
            yield joined(b"", other)


def test_several_row_groups_another_schema_and_another_end_are_for_arrow() -> None:
    known = learned(good(3))
    several = footer_of(good(30, row_group_size=10))
    assert known.fits(several) and known.read([several]) == [None]
    assert not known.fits(footer_of(good(3, store_schema=False)))

    def other_writer(meta: Any) -> None:
        meta[6] = (meta[6][0], b"another writer")

    assert not known.fits(footer_of(changed(good(3), other_writer)))


def test_a_footer_of_nothing_known_teaches_nothing() -> None:
    footer = footer_of(good(3))
    assert KnownFooter.learned(b"\0" * 30, rows=0, uncompressed_bytes=0) is None
    assert KnownFooter.learned(footer, rows=4, uncompressed_bytes=1) is None
    assert (
        KnownFooter.learned(footer_of(joined(b"PAR1", b"\x15\x04\x19\x0c\x16\x00")), rows=0, uncompressed_bytes=0)
        is None
    )
