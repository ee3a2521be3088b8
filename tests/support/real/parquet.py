"""Raw files as Airbyte writes them, a few rows each, with whatever a test wants to be wrong in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakeray.adapters.parquet.footers import FooterReader
from lakeray.ports.storage import ObjectStore
from lakeray.values.model import Footer, Rejected, SourceFile

TIMES = pa.timestamp("us", tz="UTC")
METADATA: dict[str, pa.DataType] = {
    "_airbyte_raw_id": pa.string(),
    "_airbyte_extracted_at": pa.timestamp("ms", tz="UTC"),
    "_airbyte_generation_id": pa.int64(),
}
RECORD: dict[str, pa.DataType] = {"id": pa.string(), "type": pa.string(), "updated": TIMES}
"""A record of klaviyo/metrics, lists or flows; the columns that are left out are null."""
START = datetime(2026, 1, 1, tzinfo=UTC)
_numbers = count()


def record(key: str | None, kind: str = "first", *, hour: int = 0, **more: Any) -> dict[str, Any]:
    """One record, changed so many hours after the new year."""
    return {"id": key, "type": kind, "updated": START + timedelta(hours=hour), **more}


def write(path: Path, *records: Mapping[str, Any], types: Mapping[str, pa.DataType] | None = None) -> Path:
    """Write a raw file in one step, with another ETag than what was there. ``types`` stand in for `RECORD`."""
    own = dict(RECORD if types is None else types)
    schema = pa.schema(list((METADATA | own).items()))
    rows = [_delivered(item) for item in records]
    staged = path.parent / f".{next(_numbers)}"
    staged.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), staged)
    return staged.replace(path)


def read_footer(store: ObjectStore, file: SourceFile) -> Footer | Rejected:
    """The footer of one file, or why it has none that can be used."""
    found = FooterReader(store).read_tail(file)
    return found if isinstance(found, Rejected) else found[0]


def _delivered(item: Mapping[str, Any]) -> dict[str, Any]:
    number = next(_numbers)
    extracted_at = START + timedelta(days=1, milliseconds=number)
    metadata = {"_airbyte_raw_id": f"{number:08d}", "_airbyte_extracted_at": extracted_at, "_airbyte_generation_id": 1}
    return {**metadata, **item}
