"""How much is read of each file: one request in the common case, and no more than its footer needs."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakeray.adapters.parquet.footers import FooterReader
from lakeray.values.model import Footer, SourceFile

FILES = 40


class Requests:
    """A store of one content under any key, which remembers what was read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.lengths: list[int] = []

    def read_range(self, key: str, *, start: int, length: int) -> bytes:
        self.lengths.append(length)
        return self._content[start : start + length]


def content(columns: int, *, rows: int) -> bytes:
    out = io.BytesIO()
    numbers = list(range(rows))
    pq.write_table(pa.table({f"column_{at}": numbers for at in range(columns)}), out, compression="none")
    return out.getvalue()


@pytest.fixture(params=["longer than is read at first", "short, in a large file"])
def requests(request: pytest.FixtureRequest) -> Requests:
    if request.param.startswith("longer"):
        found = Requests(content(1_500, rows=1))
        assert footer_bytes(found) > 128 * 1024
        return found
    found = Requests(content(2, rows=100_000))
    assert footer_bytes(found) < 2_000
    return found


def footer_bytes(requests: Requests) -> int:
    return int.from_bytes(requests._content[-8:-4], "little") + 8


def test_a_footer_takes_one_request_once_the_first_ones_are_known(requests: Requests) -> None:
    reader = FooterReader(requests)  # type: ignore[arg-type]
    size = len(requests._content)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    files = [SourceFile(key=str(number), etag="e", size_bytes=size, last_modified=at) for number in range(FILES)]
    read: list[Any] = [reader.read_tail(file) for file in files]
    assert all(isinstance(footer, Footer) for footer, _ in read) and len({footer.rows for footer, _ in read}) == 1
    settled = requests.lengths[-(FILES - 10) :]
    assert len(requests.lengths) <= FILES + 8
    assert len(set(settled)) == 1
    assert footer_bytes(requests) <= settled[0] <= max(16 * 1024, footer_bytes(requests) * 5 // 4)
