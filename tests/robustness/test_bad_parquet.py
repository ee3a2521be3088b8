"""Bad Parquet: every file ends as a verdict, in bounded memory, and the lake goes on with the good ones (P6)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakeray.adapters.parquet.footers import MAX_COLUMNS
from lakeray.adapters.parquet.schemas import KnownSchemas
from lakeray.adapters.parquet.validation import BatchValidator
from lakeray.adapters.storage.object_store import open_store
from lakeray.steps import validate
from lakeray.values.model import Accepted, Batch, Rejected, RejectReason, SourceFile, StreamName, Verdict
from tests.robustness.corpus import corpus, good, split, written
from tests.robustness.judge import CONTRACT
from tests.support.real.lake import PROJECT, Lake
from tests.support.real.parquet import read_footer

GREW_MB = 200
"""What judging one file may take of memory beyond what the process had; 16 MB of footer is the worst that is read."""
ADDRESS_SPACE_MB = 2_000
"""What allocations may reserve beyond it: what is asked for and never touched does not count as memory."""
DEADLINE_S = 240.0
EXPECTED = {
    "cut off after 0": "empty",
    "cut off after 11": "not_parquet",
    "cut off after 100": "truncated",
    "cut off 1 before the end": "truncated",
    "cut off at both ends": "not_parquet",
    "encrypted tail": "encrypted",
    "csv instead": "not_parquet",
    "footer length 0": "truncated",
    "footer length 4294967295": "truncated",
    "zero footer": "corrupt",
    "2147483647 schema elements claimed": "corrupt",
    "999999 row groups claimed": "corrupt",
    "-1 rows in the footer": "corrupt",
    "4 rows in the footer": "corrupt",
    "-1 rows in the row group": "corrupt",
    "row group of -1 bytes": "corrupt",
    "a column chunk too few": "corrupt",
    "a column chunk too many": "corrupt",
    "value of 40 MB": "too_large",
    "1,000,000 column chunks": "corrupt",
    "root missing": "corrupt",
    "root with 2147483647 children": "corrupt",
    "new column's name not UTF-8": "corrupt",
    "name with zero bytes": "corrupt",
    "name of 5 MB": "corrupt",
    "name twice but for its case": "duplicate_column",
    "column names twice": "duplicate_column",
    "structs nested 40 levels": "too_large",
    "structs nested 500 levels": "corrupt",
    "lists nested 20000 levels": "corrupt",
    "20000 columns in the schema alone": "too_large",
    "11,000 columns": "too_large",
    "45 levels": "too_large",
    "no columns": "missing_key_column",
    "id is a number": "accepted",
    "id is a list": "accepted",
    "times are texts": "type_changed",
    "milliseconds out of range": "implausible_time",
    "1,500 columns": "accepted",
    "maps of maps": "accepted",
    "no rows": "accepted",
    "not-a-number and infinity": "accepted",
}
"""What some of them are called; the others may be any of the stable reasons."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """How the judging of the corpus went."""

    found: dict[str, dict[str, Any]]
    crashed: dict[str, str]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return dict(corpus())


@pytest.fixture(scope="module")
def judged(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The corpus, judged in a process of its own; begun again after a file that ended it."""
    folder = tmp_path_factory.mktemp("corpus") / "raw"
    folder.mkdir()
    names = {f"{number:04d}.parquet": name for number, name in enumerate(files)}
    for key, name in names.items():
        (folder / key).write_bytes(files[name])
    (folder / "warm.parquet").write_bytes(good())
    judgement = Judged(found={}, crashed={})
    first = 0
    while True:
        command = [sys.executable, "-m", "tests.robustness.judge", str(folder), str(ADDRESS_SPACE_MB), str(first)]
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        judgement.found.update({names.get(line["key"], "warm"): line for line in lines if "found" in line})
        if done.returncode == 0:
            return judgement
        assert lines and "begins" in lines[-1], done.stderr
        judgement.crashed[names[lines[-1]["key"]]] = f"exit {done.returncode}: {done.stderr[-300:]}"
        first = lines[-1]["begins"] + 1


def test_the_corpus_is_large_and_the_same_every_time(files: dict[str, bytes]) -> None:
    assert len(files) >= 400
    again = dict(corpus())
    assert again.keys() == files.keys()
    assert [name for name in files if files[name] != again[name]] == []


def test_no_file_ends_the_process(judged: Judged) -> None:
    assert judged.crashed == {}


def test_every_file_ends_as_a_verdict_with_a_stable_reason(judged: Judged, files: dict[str, bytes]) -> None:
    known = {"accepted", *(str(reason) for reason in RejectReason)}
    assert {name: line for name, line in judged.found.items() if line["found"] not in known} == {}
    assert judged.found.keys() == {*files, "warm"}
    kinds = Counter(line["found"] for line in judged.found.values())
    assert kinds["corrupt"] > 100 and kinds["accepted"] > 50, kinds


def test_no_file_takes_more_memory_than_stated(judged: Judged) -> None:
    assert {name: line["grew_mb"] for name, line in judged.found.items() if line["grew_mb"] > GREW_MB} == {}


def test_details_are_one_line_and_short(judged: Judged) -> None:
    details = {name: line["detail"] for name, line in judged.found.items()}
    assert [name for name, detail in details.items() if "\n" in detail or len(detail) > 600] == []
    assert [name for name, line in judged.found.items() if line["rejected"] and not line["detail"]] == []


@pytest.mark.parametrize("name", EXPECTED)
def test_the_reason_says_what_is_wrong(judged: Judged, name: str) -> None:
    assert judged.found[name]["found"] == EXPECTED[name], judged.found[name]["detail"]


def _validator(folder: Path) -> BatchValidator:
    raw = open_store((folder / "raw").as_uri())
    lake = open_store((folder / "lake").as_uri())
    return BatchValidator(raw=raw, lake=lake, temp=folder / "tmp", concurrency=4, judge=validate.verdict)


def _batch(*files: SourceFile) -> Batch:
    return Batch(id="b", stream=StreamName("klaviyo", "metrics"), files=files, size_bytes=0, projected_bytes=0)


def _verdicts(folder: Path, contents: dict[str, bytes]) -> tuple[dict[str, Verdict], dict[str, Verdict]]:
    """The verdicts of the files as one batch, and of each as a batch of its own."""
    validator = _validator(folder)
    (folder / "raw").mkdir()
    for name, content in contents.items():
        (folder / "raw" / name).write_bytes(content)
    files = list(validator.raw.list_files(""))
    together = validator.validate(_batch(*files), CONTRACT)
    alone = {file.key: validator.validate(_batch(file), CONTRACT)[0] for file in files}
    return {verdict.file.key: verdict for verdict in together}, alone


def test_what_a_batch_remembers_of_a_schema_changes_no_verdict(tmp_path: Path, files: dict[str, bytes]) -> None:
    odd = {f"odd {number}": content for number, content in enumerate(files.values()) if len(content) < 100_000}
    same = {f"good {number}": good(1 + number % 3, first=number * 10) for number in range(40)}
    together, alone = _verdicts(tmp_path, odd | same)
    assert len(together) == len(odd) + 40
    assert {key: (together[key], alone[key]) for key in alone if together[key] != alone[key]} == {}
    assert {type(together[key]) for key in same} == {Accepted}


ALIKE = {
    "a text and JSON": (pa.string(), pa.json_(), {}, {}),
    "INT96 and INT64": (pa.timestamp("ns"), pa.timestamp("ns"), {"use_deprecated_int96_timestamps": True}, {}),
    "times with and without UTC": (pa.time64("us"), pa.time64("us"), {"write_time_adjusted_to_utc": True}, {}),
    "fields of other names": (pa.struct([("a", pa.int64())]), pa.struct([("b", pa.int64())]), {}, {}),
    "a struct of another name": (
        pa.struct([("a", pa.struct([("x", pa.int64())]))]),
        pa.struct([("b", pa.struct([("x", pa.int64())]))]),
        {},
        {},
    ),
    "UUID and sixteen bytes": (pa.uuid(), pa.binary(16), {}, {}),
    "units": (pa.timestamp("ms", "UTC"), pa.timestamp("us"), {}, {}),
    "scales": (pa.decimal128(10, 2), pa.decimal128(10, 3), {}, {}),
}


@pytest.mark.parametrize("store_schema", [True, False], ids=["arrow_schema", "plain"])
@pytest.mark.parametrize("name", ALIKE)
def test_schemas_that_look_alike_are_told_apart(name: str, store_schema: bool) -> None:
    left, right, left_options, right_options = ALIKE[name]
    known = KnownSchemas()
    for kind, options in ((left, left_options), (right, right_options), (left, left_options)):
        content = written({"c": pa.nulls(1, kind)}, store_schema=store_schema, **options)
        assert (
            known.of(content[footer_at(content) :], None).columns
            == KnownSchemas().of(content[footer_at(content) :], None).columns
        )


def footer_at(content: bytes) -> int:
    return len(split(content)[0])


def test_equal_schemas_give_the_very_same_columns() -> None:
    known = KnownSchemas()
    first, second = (known.of(good(rows)[footer_at(good(rows)) :], {b"of": b"%d" % rows}).columns for rows in (1, 2))
    assert first is second


def test_a_file_may_have_so_many_columns_and_no_more(tmp_path: Path) -> None:
    store = open_store(tmp_path.as_uri())
    for count in (MAX_COLUMNS, MAX_COLUMNS + 1):
        column = pa.array([1])
        (tmp_path / f"{count}").write_bytes(written({f"c{number}": column for number in range(count)}))
    fits, too_wide = (read_footer(store, file) for file in store.list_files(""))
    assert not isinstance(fits, Rejected) and len(fits.columns) == MAX_COLUMNS
    assert isinstance(too_wide, Rejected) and too_wide.reason is RejectReason.TOO_LARGE


FED = {
    "cut off after 100": "truncated",
    "html instead": "not_parquet",
    "noise 1 of 5000 bytes": "corrupt",
    "2147483647 schema elements claimed": "corrupt",
    "4 rows in the footer": "corrupt",
    "a column chunk too many": "corrupt",
    "name of 5 MB": "corrupt",
    "45 levels": "too_large",
    "11,000 columns": "too_large",
    "times are texts": "type_changed",
    "milliseconds out of range": "implausible_time",
    "name twice but for its case": "duplicate_column",
    "another stream's columns": "missing_key_column",
    "unknown codec": "refused_by_lake",
    "converted type -1": "corrupt",
    "statistics of updated of the wrong width": "refused_by_lake",
}
"""What a feed of one file of each kind puts into quarantine."""
HARMLESS = (
    "bare milliseconds",
    "not-a-number and infinity",
    "statistics of id NaN",
    "-5 nulls",
    "100,000 pairs",
    "name with quotes and newlines",
    "maps of maps",
    "zeros after it",
)


def test_the_good_files_are_in_and_the_bad_ones_are_in_quarantine(
    tmp_path: Path, extension_directory: Path, files: dict[str, bytes]
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    folder = lake.raw / "klaviyo/metrics/year=2026/month=01/day=01"
    folder.mkdir(parents=True)
    for number, name in enumerate(FED):
        (folder / f"bad_{number}.parquet").write_bytes(files[name])
    for number in range(3):
        (folder / f"good_{number}.parquet").write_bytes(good(2, first=number * 2))
    fed = lake.ok("feed", "+stream=klaviyo/metrics").stream("klaviyo/metrics")
    assert (fed["status"], fed["files"], fed["rows"], fed["quarantined"]) == ("ok", 3, 6, len(FED))
    reasons = dict(lake.query("SELECT file_key, reason FROM lakehouse.meta.quarantine"))
    prefix = "klaviyo/metrics/year=2026/month=01/day=01/bad_"
    assert {name: reasons[f"{prefix}{number}.parquet"] for number, name in enumerate(FED)} == FED
    assert lake.processed("klaviyo/metrics", "id") == [(f"key{number}",) for number in range(6)]
    lake.ok("doctor", "+stream=klaviyo/metrics")
    assert lake.ok("feed", "+stream=klaviyo/metrics").stream("klaviyo/metrics")["status"] == "nothing_new"


def test_odd_files_that_are_accepted_do_no_harm(
    tmp_path: Path, extension_directory: Path, files: dict[str, bytes]
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    folder = lake.raw / "klaviyo/metrics/year=2026/month=01/day=01"
    folder.mkdir(parents=True)
    for number, name in enumerate(HARMLESS):
        (folder / f"odd_{number}.parquet").write_bytes(files[name])
    (folder / "good.parquet").write_bytes(good(2, first=100))
    fed = lake.ok("feed", "+stream=klaviyo/metrics").stream("klaviyo/metrics")
    assert fed["status"] == "ok", fed
    ids = {row[0] for row in lake.processed("klaviyo/metrics", "id")}
    assert {"key100", "key101"} <= ids
    lake.ok("doctor", "+stream=klaviyo/metrics")


DAMAGED = "plain pages damaged at 1192"


def _lake_with_a_damaged_page(tmp_path: Path, extensions: Path, files: dict[str, bytes]) -> tuple[Lake, Path]:
    lake = Lake.new(tmp_path / "lake", extensions=extensions)
    folder = lake.raw / "klaviyo/metrics/year=2026/month=01/day=01"
    folder.mkdir(parents=True)
    (folder / "good.parquet").write_bytes(good(2, first=1000))
    (folder / "bad.parquet").write_bytes(files[DAMAGED])
    return lake, folder / "bad.parquet"


def test_a_damaged_page_blocks_nobody(tmp_path: Path, extension_directory: Path, files: dict[str, bytes]) -> None:
    lake, bad = _lake_with_a_damaged_page(tmp_path, extension_directory, files)
    fed = lake.ok("feed", "+stream=klaviyo/metrics").stream("klaviyo/metrics")
    assert (fed["status"], fed["files"], fed["quarantined"]) == ("ok", 2, 1)
    key = str(bad.relative_to(lake.raw))
    assert lake.query("SELECT file_key, reason FROM lakehouse.meta.quarantine") == [(key, "corrupt")]
    assert lake.processed("klaviyo/metrics", "id") == [("key1000",), ("key1001",)]
    assert bad.exists()
    lake.ok("doctor", "+stream=klaviyo/metrics")
    assert lake.ok("feed", "+stream=klaviyo/metrics").stream("klaviyo/metrics")["status"] == "nothing_new"
    bad.write_bytes(good(2, first=2000))
    lake.ok("feed", "+stream=klaviyo/metrics")
    assert [key for (key,) in lake.processed("klaviyo/metrics", "id")] == ["key1000", "key1001", "key2000", "key2001"]


@pytest.mark.parametrize("broken", ["this is no SQL", "where error('the data is not to its liking')"])
def test_a_model_that_fails_quarantines_nothing(tmp_path: Path, extension_directory: Path, broken: str) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    folder = lake.raw / "klaviyo/metrics/year=2026/month=01/day=01"
    folder.mkdir(parents=True)
    (folder / "good.parquet").write_bytes(good(2))
    project = tmp_path / "dbt"
    shutil.copytree(PROJECT / "dbt", project, ignore=shutil.ignore_patterns("target", "logs"))
    model = project / "models/processed/klaviyo/int_klaviyo__metrics.sql"
    model.write_text(f"{model.read_text()}\n{broken}\n")
    ran = lake.run("feed", "+stream=klaviyo/metrics", f"dbt.project_dir={project}")
    assert ran.code == 1 and ran.stream("klaviyo/metrics")["error"]["kind"] == "transform", ran.out
    assert lake.query("SELECT file_key FROM lakehouse.meta.quarantine") == []
    assert lake.landing("klaviyo/metrics", "id") == [("key0",), ("key1",)]
