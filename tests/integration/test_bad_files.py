"""A bad file blocks nobody (P6): a verdict per file, a reason that can be read, and three ways back in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.support.real.lake import Lake, Ran, Row
from tests.support.real.parquet import RECORD, START, record, write

ADDS, IGNORES, REFUSES = "klaviyo/metrics", "klaviyo/lists", "klaviyo/flows"
"""What each of the three streams does with a column that its landing table lacks."""
FEED = (
    "feed",
    f"+stream=[{ADDS},{IGNORES},{REFUSES}]",
    "streams.klaviyo__lists.contract.on_new_column=ignore",
    "streams.klaviyo__flows.contract.on_new_column=quarantine",
)
DAY = "year=2026/month=01/day=05"
WIDE = {**RECORD, "colour": pa.string()}
MILLISECONDS = 1_767_312_000_123

STRANGE_NAMES = [
    "with space.parquet",
    "with 'single' and \"double\" quotes.parquet",
    "100%.parquet",
    "%41%2F.parquet",
    "größe_漢字_🦆.parquet",
    "glob_[12]*?.parquet",
    "{a,b}.parquet",
    "semi;colon#hash&and=is.parquet",
    "back\\slash.parquet",
    "plus+tilde~.parquet",
]
NEIGHBOURS = ["glob_1.parquet", "A.parquet", "a.parquet"]
"""What those names would mean if they were read as patterns."""


def _bytes(content: bytes) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        path.write_bytes(content)

    return make


def _cut(share: float) -> Callable[[Path], object]:
    def make(path: Path) -> None:
        whole = write(path, *(record(f"cut {number}") for number in range(200))).read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])

    return make


def _scrambled(path: Path) -> None:
    whole = write(path, record("scrambled")).read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[: -8 - length] + b"\xff" * length + whole[-8:])


def _without_data(path: Path) -> None:
    whole = write(path, *(record(f"hollow {number}") for number in range(200))).read_bytes()
    length = int.from_bytes(whole[-8:-4], "little")
    path.write_bytes(whole[:100] + whole[-8 - length :])


BAD: dict[str, tuple[str, Callable[[Path], object]]] = {
    "zero_bytes.parquet": ("empty", _bytes(b"")),
    "text.parquet": ("not_parquet", _bytes(b"id,type\n1,first\n" * 50)),
    "four_bytes.parquet": ("not_parquet", _bytes(b"PAR1")),
    "cut_off.parquet": ("truncated", _cut(0.6)),
    "scrambled_footer.parquet": ("corrupt", _scrambled),
    "wrong_type.parquet": (
        "type_changed",
        lambda path: write(path, record("wrong", updated="once"), types={**RECORD, "updated": pa.string()}),
    ),
    "wrong_key_type.parquet": (
        "type_changed",
        lambda path: write(path, record(None), types={**RECORD, "id": pa.binary()}),
    ),
    "no_key.parquet": (
        "missing_key_column",
        lambda path: write(path, {"type": "no key"}, types={"type": pa.string()}),
    ),
    "same_column_twice.parquet": (
        "duplicate_column",
        lambda path: write(path, record("twice", Type="second"), types={**RECORD, "Type": pa.string()}),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Fed:
    """A lake whose first feed met bad files, good ones and strange ones, and what was there after it."""

    lake: Lake
    feed: Ran
    rejected: dict[str, dict[str, Any]]
    ledger: list[str]
    landing: list[Row]
    """(id) of the stream that adds columns; so is ``processed``."""
    processed: list[Row]


def rejected(lake: Lake) -> dict[str, dict[str, Any]]:
    """The record of rejected files, by their names."""
    return {Path(item["path"]).name: item for item in lake.document("quarantine")["files"]}


def raw(lake: Lake, name: str, *, stream: str = ADDS) -> Path:
    path = lake.raw / stream / DAY / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Fed:
    lake = Lake.new(tmp_path_factory.mktemp("bad") / "lake", extensions=extension_directory)
    for name, (_, make) in BAD.items():
        make(raw(lake, name))
    for name in (*STRANGE_NAMES, *NEIGHBOURS):
        write(raw(lake, name), record(name))
    for stream in (ADDS, IGNORES, REFUSES):
        write(raw(lake, "good.parquet", stream=stream), record("good"))
        write(raw(lake, "wide.parquet", stream=stream), record("wide", colour="blue"), types=WIDE)
    hive = {**RECORD, "day": pa.int64(), "year": pa.string()}
    write(raw(lake, "hive_named.parquet"), record("hive", day=77, year="own"), types=hive)
    times: Mapping[str, pa.DataType] = {**RECORD, "_airbyte_extracted_at": pa.int64()}
    write(raw(lake, "bare_milliseconds.parquet"), record("bare", _airbyte_extracted_at=MILLISECONDS), types=times)
    feed = lake.run(*FEED)
    return Fed(
        lake=lake,
        feed=feed,
        rejected=rejected(lake),
        ledger=lake.ledger_keys(),
        landing=lake.landing(ADDS, "id"),
        processed=lake.processed(ADDS, "id"),
    )


def test_the_feed_ends_well_and_counts_what_it_rejected(fed: Fed) -> None:
    assert fed.feed.code == 0, fed.feed.err
    assert [fed.feed.stream(stream)["status"] for stream in (ADDS, IGNORES, REFUSES)] == ["ok"] * 3
    assert [fed.feed.stream(stream)["quarantined"] for stream in (ADDS, IGNORES, REFUSES)] == [len(BAD), 0, 1]
    logged = {Path(event["key"]).name for event in fed.feed.events if event["event"] == "file_rejected"}
    assert logged == {*BAD, "wide.parquet"}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_rejected_with_a_reason(fed: Fed, name: str) -> None:
    item = fed.rejected[name]
    assert (item["reason"], item["status"]) == (BAD[name][0], "rejected")
    assert "expected" in item["detail"], item["detail"]
    assert raw(fed.lake, name).exists()


@pytest.mark.parametrize("name", [*STRANGE_NAMES, *NEIGHBOURS, "good.parquet"])
def test_a_key_of_any_characters_is_taken_in_once(fed: Fed, name: str) -> None:
    assert fed.ledger.count(f"{ADDS}/{DAY}/{name}") == 1
    wanted = (name.removesuffix(".parquet") if name == "good.parquet" else name,)
    assert fed.landing.count(wanted) == 1
    assert fed.processed.count(wanted) == 1


def test_why_knows_a_key_of_any_characters(fed: Fed) -> None:
    for name in STRANGE_NAMES[1:6]:
        assert "and merged" in fed.lake.document("why", f"{ADDS}/{DAY}/{name}")["verdict"], name


def test_a_new_column_is_added_to_landing_and_processed(fed: Fed) -> None:
    assert fed.lake.columns("staging.stg_klaviyo__metrics")["colour"] == "VARCHAR"
    found = dict(fed.lake.processed(ADDS, "id, colour"))
    assert (found["wide"], found["good"]) == ("blue", None)


def test_a_new_column_is_left_in_the_file_when_the_contract_ignores_it(fed: Fed) -> None:
    assert "colour" not in fed.lake.columns("staging.stg_klaviyo__lists")
    assert fed.lake.processed(IGNORES, "id") == [("good",), ("wide",)]
    (told,) = [event for event in fed.feed.events if event["event"] == "fields_left_out"]
    assert (told["stream"], told["files"], told["fields"]) == (IGNORES, 1, "colour")
    assert fed.feed.stream(IGNORES)["left_out"] == 1


def test_a_new_column_is_a_reason_to_reject_when_the_contract_says_so(fed: Fed) -> None:
    item = fed.rejected["wide.parquet"]
    assert (item["path"], item["reason"]) == (f"{REFUSES}/{DAY}/wide.parquet", "new_column")
    assert "colour" in item["detail"]
    assert ("good",) in fed.lake.processed(REFUSES, "id")


def test_a_column_named_like_a_folder_keeps_its_own_values(fed: Fed) -> None:
    assert fed.lake.columns("staging.stg_klaviyo__metrics").items() >= {"day": "BIGINT", "year": "VARCHAR"}.items()
    assert ("hive", 77, "own") in fed.lake.landing(ADDS, "id, day, year")
    assert ("hive", 77, "own") in fed.lake.processed(ADDS, "id, day, year")
    assert ("good", None, None) in fed.lake.processed(ADDS, "id, day, year")
    assert "month" not in fed.lake.columns("staging.stg_klaviyo__metrics")


def test_extraction_times_as_bare_milliseconds_are_the_same_times(fed: Fed) -> None:
    at = START + timedelta(milliseconds=MILLISECONDS - int(START.timestamp() * 1000))
    assert ("bare", at) in fed.lake.landing(ADDS, "id, _airbyte_extracted_at")
    assert ("bare", at) in fed.lake.processed(ADDS, "id, _airbyte_extracted_at")


def test_a_whole_footer_over_missing_data_is_rejected_and_the_tables_stay_readable(
    tmp_path: Path, extension_directory: Path
) -> None:
    """Registered, it would make every scan of the landing table fail: its offsets lie outside the file."""
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    _without_data(raw(lake, "footer_alone.parquet"))
    write(raw(lake, "good.parquet"), record("good"))
    feed = lake.run("feed", f"+stream={ADDS}")
    assert lake.landing(ADDS, "id") == [("good",)]
    assert (feed.code, feed.stream(ADDS)["quarantined"]) == (0, 1), feed.err
    assert lake.processed(ADDS, "id") == [("good",)]


def test_rejected_files_come_back_when_they_change_or_when_an_operator_says_so(fed: Fed) -> None:
    """One life of a quarantine, in order: unchanged, mended, retried under another contract, ignored."""
    lake = fed.lake
    assert {report["status"] for report in lake.ok(*FEED).document["streams"]} == {"nothing_new"}

    mended = f"{ADDS}/{DAY}/wrong_type.parquet"
    assert lake.document("why", mended)["verdict"].startswith("rejected: type_changed")
    write(lake.raw / mended, record("mended"))
    assert "next feed" in lake.document("why", mended)["verdict"]

    ignored = f"{ADDS}/{DAY}/no_key.parquet"
    before = lake.ok("status", f"+stream={ADDS}").stream(ADDS)["quarantined"]
    lake.ok("quarantine", "ignore", ignored)
    assert lake.ok("status", f"+stream={ADDS}").stream(ADDS)["quarantined"] == before - 1
    assert lake.document("why", ignored)["verdict"].startswith("ignored: missing_key_column")

    retried, again = f"{REFUSES}/{DAY}/wide.parquet", f"{ADDS}/{DAY}/cut_off.parquet"
    lake.ok("quarantine", "retry", retried, again)
    fed_again = lake.ok(*FEED[:3])  # the flows add new columns now

    assert [fed_again.stream(stream)["files"] for stream in (ADDS, REFUSES)] == [1, 1]
    assert ("mended",) in lake.processed(ADDS, "id")
    assert ("wide", "blue") in lake.processed(REFUSES, "id, colour")
    left = {name: item["status"] for name, item in rejected(lake).items()}
    assert left == {name: "rejected" for name in BAD if name != "wrong_type.parquet"} | {"no_key.parquet": "ignored"}
    assert lake.document("doctor")["findings"] == []
