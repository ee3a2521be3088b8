"""The sample as real Parquet: the contract's schema, small row groups, the same bytes always, nothing overwritten."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from lakeray.adapters.parquet import sample_writer
from lakeray.adapters.parquet.sample_writer import sample_schema, write_rows
from lakeray.adapters.parquet.schemas import KnownSchemas
from lakeray.airbyte.columns import with_airbyte_columns
from lakeray.sample import Row, SampleSettings, SampleStream, record_count, sample_files
from lakeray.values.column_types import parse_type
from lakeray.values.errors import StorageError
from lakeray.values.model import Column, SampleResult, StreamName
from tests.robustness.corpus import split

CONFIGS = Path(__file__).parents[2] / "conf" / "stream"
NAMES = sorted(str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.glob("*/*.yaml"))
SETTINGS = SampleSettings(days=2, files_per_day=3, rows_per_file=60)

SCALARS = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
    "DATE",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "VARCHAR",
    "JSON",
    "BLOB",
    "UUID",
    "DECIMAL(5,2)",
    "DECIMAL(38,6)",
]


class Folder:
    """An object store that is a folder, and can be told to fail."""

    def __init__(self, root: Path, *, fails_at: str | None = None) -> None:
        self.root = root
        self.fails_at = fails_at

    def exists(self, key: str) -> bool:
        return (self.root / key).exists()

    def put_file(self, key: str, path: Path) -> None:
        if key == self.fails_at:
            raise OSError("disk full")
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def digests(self) -> dict[str, str]:
        files = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def configured(name: str) -> SampleStream:
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return SampleStream(
        name=StreamName(config["source"], config["stream"]),
        fields=tuple(Column(name=field, type=parse_type(kind)) for field, kind in config["fields"].items()),
        primary_key=tuple(config["primary_key"]),
        cursor_field=config.get("cursor_field"),
    )


def write_sample(
    store: Folder,
    *,
    stream: SampleStream,
    settings: SampleSettings,
    directory: Path,
    on_file: Callable[[str, int], None] = lambda _key, _size: None,
) -> SampleResult:
    return sample_writer.write_sample(
        store,
        files=sample_files(stream, settings=settings),
        columns=with_airbyte_columns(stream.fields),
        rows_per_file=settings.rows_per_file,
        directory=directory,
        on_file=on_file,
    )


@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_contracts_columns_and_all_their_rows(tmp_path: Path, name: str) -> None:
    stream = configured(name)
    store = Folder(tmp_path / "raw")
    seen: list[tuple[str, int]] = []
    result = write_sample(
        store, stream=stream, settings=SETTINGS, directory=tmp_path, on_file=lambda *file: seen.append(file)
    )
    assert (result.written, result.kept) == (SETTINGS.files, 0)
    assert [key for key, _ in seen] == [file.key for file in sample_files(stream, settings=SETTINGS)]
    assert result.size_bytes == sum(size_bytes for _, size_bytes in seen)
    rows = 0
    for key, size_bytes in seen:
        file = pq.ParquetFile(store.root / key)
        assert (store.root / key).stat().st_size == size_bytes
        content = (store.root / key).read_bytes()
        assert KnownSchemas().of(split(content)[1] + content[-8:], None).columns == with_airbyte_columns(stream.fields)
        assert file.schema_arrow.field("_airbyte_extracted_at").type == pa.timestamp("ms", tz="UTC")
        assert file.metadata.row_group(0).column(0).compression == "UNCOMPRESSED"
        rows += file.metadata.num_rows
    assert rows == result.rows
    found = duckdb.sql(f"SELECT count(*), count(DISTINCT id) FROM read_parquet('{store.root}/**/*.parquet')").fetchone()
    assert found == (rows, record_count(stream, settings=SETTINGS))


def test_duckdb_reads_the_values_as_they_were_made(tmp_path: Path) -> None:
    stream = configured("klaviyo/events")
    write_sample(Folder(tmp_path / "raw"), stream=stream, settings=SETTINGS, directory=tmp_path)
    texts = duckdb.sql(
        "SELECT id, attributes.event_properties, _airbyte_meta.sync_id, epoch_ms(_airbyte_extracted_at), "
        f"year, month, day, json_valid(attributes.event_properties) FROM read_parquet('{tmp_path}/raw/**/*.parquet')"
    ).fetchall()
    made = [row for file in sample_files(stream, settings=SETTINGS) for row in file.rows()]
    expected = [
        (
            row["id"],
            row["attributes"]["event_properties"],
            row["_airbyte_meta"]["sync_id"],
            round(row["_airbyte_extracted_at"].timestamp() * 1000),
        )
        for row in made
    ]
    assert sorted(text[:4] for text in texts) == sorted(expected)
    assert all(text[7] and json.loads(text[1]) for text in texts)
    assert {text[4:7] for text in texts} == {(2026, "01", "01"), (2026, "01", "02")}


def test_a_second_run_keeps_every_file(tmp_path: Path) -> None:
    stream = configured("shopify/customers")
    store = Folder(tmp_path / "raw")
    write_sample(store, stream=stream, settings=SETTINGS, directory=tmp_path)
    before = store.digests()
    tampered = next(iter(before))
    (store.root / tampered).write_bytes(b"mine")
    sizes: list[int] = []
    again = write_sample(
        store, stream=stream, settings=SETTINGS, directory=tmp_path, on_file=lambda _, size: sizes.append(size)
    )
    assert (again.written, again.kept, again.size_bytes, again.rows) == (0, SETTINGS.files, 0, 0)
    assert sizes == [0] * SETTINGS.files
    assert (store.root / tampered).read_bytes() == b"mine"
    assert {key: digest for key, digest in store.digests().items() if key != tampered} == {
        key: digest for key, digest in before.items() if key != tampered
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_same_settings_make_the_same_bytes(tmp_path: Path, name: str) -> None:
    stores = [Folder(tmp_path / run) for run in ("one", "two")]
    for store in stores:
        write_sample(store, stream=configured(name), settings=SETTINGS, directory=tmp_path)
    assert stores[0].digests() == stores[1].digests()


def test_what_an_interrupted_run_left_is_completed_to_the_same_files(tmp_path: Path) -> None:
    stream = configured("klaviyo/profiles")
    whole, broken = Folder(tmp_path / "whole"), Folder(tmp_path / "broken")
    write_sample(whole, stream=stream, settings=SETTINGS, directory=tmp_path)
    broken.fails_at = list(whole.digests())[3]
    with pytest.raises(StorageError, match="disk full"):
        write_sample(broken, stream=stream, settings=SETTINGS, directory=tmp_path)
    assert broken.fails_at not in broken.digests()
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "broken"}, "no temporary file stays"
    broken.fails_at = None
    result = write_sample(broken, stream=stream, settings=SETTINGS, directory=tmp_path)
    assert result.kept >= 2
    assert result.written >= 1
    assert broken.digests() == whole.digests()


def test_an_interruption_leaves_whole_files_only(tmp_path: Path) -> None:
    stream = configured("shopify/customers")
    whole, broken = Folder(tmp_path / "whole"), Folder(tmp_path / "broken")
    write_sample(whole, stream=stream, settings=SETTINGS, directory=tmp_path)

    def interrupt(_key: str, _size_bytes: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sample(broken, stream=stream, settings=SETTINGS, directory=tmp_path, on_file=interrupt)
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "broken"}
    assert 0 < len(broken.digests()) < SETTINGS.files
    assert broken.digests().items() <= whole.digests().items()


def test_a_large_file_is_streamed_in_small_row_groups(tmp_path: Path) -> None:
    stream = configured("klaviyo/events")
    settings = SampleSettings(days=1, files_per_day=1, rows_per_file=40_000)
    held_bytes = 0
    before_bytes = pa.total_allocated_bytes()

    def watched(rows: Iterator[Row]) -> Iterator[Row]:
        nonlocal held_bytes
        for number, row in enumerate(rows):
            if number % 500 == 0:
                held_bytes = max(held_bytes, pa.total_allocated_bytes() - before_bytes)
            yield row

    (file,) = sample_files(stream, settings=settings)
    path = tmp_path / "x.parquet"
    assert (
        write_rows(watched(file.rows()), path=path, schema=sample_schema(with_airbyte_columns(stream.fields))) == 40_000
    )
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    assert len(groups) > 3
    assert max(group.total_byte_size for group in groups) < 8 << 20
    assert held_bytes < 8 << 20


def test_any_stream_of_any_types_is_written(tmp_path: Path) -> None:
    nested = ["STRUCT(a BIGINT[], b STRUCT(c DATE, d UUID))[]", "MAP(VARCHAR, DOUBLE)"]
    kinds = [*SCALARS, "TIMESTAMP WITH TIME ZONE", *nested]
    columns = tuple(Column(name=f"c{number}", type=parse_type(kind)) for number, kind in enumerate(kinds))
    for keys in (("c4",), ("c15", "c18"), ("c13", "c11"), ("c19",), ("c17",), ("c12",), ("c0",), ("c1",)):
        name = StreamName("crm", "_".join(keys))
        stream = SampleStream(name=name, fields=columns, primary_key=keys, cursor_field="c21")
        result = write_sample(Folder(tmp_path / "raw"), stream=stream, settings=SETTINGS, directory=tmp_path)
        assert result.written == SETTINGS.files
    assert sample_schema(columns).field("c16").type == pa.string()


def test_a_known_stream_may_be_typed_differently(tmp_path: Path) -> None:
    kinds = {
        "id": "VARCHAR",
        "total_price": "DECIMAL(18,2)",
        "created_at": "TIMESTAMP",
        "mine": "BIGINT",
        "name": "VARCHAR",
    }
    columns = tuple(Column(name=name, type=parse_type(kind)) for name, kind in kinds.items())
    stream = SampleStream(name=StreamName("shopify", "orders"), fields=columns, primary_key=("id",))
    store = Folder(tmp_path / "raw")
    write_sample(store, stream=stream, settings=SETTINGS, directory=tmp_path)
    table = pq.read_table(next(iter(store.root.rglob("*.parquet"))), partitioning=None)
    assert table.column("mine").null_count == table.num_rows
    assert table.column("total_price").null_count == 0
    impossible = Column(name="line_items", type=parse_type("BIGINT"))
    broken = SampleStream(name=stream.name, fields=(impossible,), primary_key=())
    with pytest.raises(ValueError, match="line_items"):
        write_sample(Folder(tmp_path / "other"), stream=broken, settings=SETTINGS, directory=tmp_path)


def test_on_file_is_called_by_the_callers_thread(tmp_path: Path) -> None:
    threads: set[int] = set()
    write_sample(
        Folder(tmp_path / "raw"),
        stream=configured("klaviyo/lists"),
        settings=SETTINGS,
        directory=tmp_path,
        on_file=lambda _key, _size: threads.add(get_ident()),
    )
    assert threads == {get_ident()}
