"""What a feed finds: any name, any day since the horizon, in any order, each once; too late is said (P3, P4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.real.lake import Lake, Ran, Row
from tests.support.real.parquet import record, write

STREAM = "klaviyo/metrics"
HERE = f"+stream={STREAM}"
FIRST = f"{STREAM}/year=2026/month=01/day=10/part_2.parquet"
UUID = "part_1f0cae5e-8f2a-4a6b-9c36-0d2b7f6f0f11"
ARRIVED = {
    "a part that sorts before the one taken in": f"{STREAM}/year=2026/month=01/day=10/part_10.parquet",
    "a file for yesterday": f"{STREAM}/year=2026/month=01/day=09/part_0.parquet",
    "a name clash": f"{STREAM}/year=2026/month=01/day=10/part_0.parquet-1",
    "an unpadded day": f"{STREAM}/year=2026/month=1/day=9/part_3.parquet",
    "a part whose id is a UUID": f"{STREAM}/year=2026/month=01/day=08/{UUID}.parquet",
    "the flat pattern": f"{STREAM}/2026_01_09_1767916800000_0.parquet",
    "the oldest day that is not too late": f"{STREAM}/year=2026/month=01/day=03/part_0.parquet",
    "a day to come": f"{STREAM}/year=2026/month=01/day=11/part_0.parquet",
}  # fmt: skip
LATE = f"{STREAM}/year=2025/month=12/day=01/part_0.parquet"
NOT_DATA = [
    f"{STREAM}/year=2026/month=01/day=10/__airbyte_tmp/part_7.parquet",
    f"{STREAM}/__airbyte_tmp/year=2026/month=01/day=10/part_8.parquet",
    f"{STREAM}/year=2026/month=01/day=10/__airbyte_state.json",
    f"{STREAM}/year=2026/month=01/day=10/part_0.parquet.crc",
]


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """One file was taken in, then the others arrived and were taken in too."""

    lake: Lake
    status: Ran
    """After the arrivals, before their feed; so are ``plan`` and ``why``."""
    plan: Ran
    why_pending: Ran
    why_late: Ran
    feed: Ran
    ledger: list[str]
    """After that feed; so is ``processed``, the ids."""
    processed: list[Row]


@pytest.fixture(scope="module")
def arrivals(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Arrivals:
    lake = Lake.new(tmp_path_factory.mktemp("discovery") / "lake", extensions=extension_directory)
    write(lake.raw / FIRST, record("first"))
    assert lake.ok("feed", HERE).stream(STREAM)["files"] == 1
    for name, key in ARRIVED.items():
        write(lake.raw / key, record(name))
    for key in (LATE, *NOT_DATA):
        write(lake.raw / key, record(key))
    before = {
        "status": lake.ok("status", HERE),
        "plan": lake.ok("plan", HERE),
        "why_pending": lake.ok("why", ARRIVED["the flat pattern"]),
        "why_late": lake.ok("why", LATE),
    }
    feed = lake.ok("feed", HERE)
    return Arrivals(lake=lake, **before, feed=feed, ledger=lake.ledger_keys(), processed=lake.processed(STREAM, "id"))


@pytest.mark.parametrize("name", ARRIVED, ids=lambda name: name.replace(" ", "_"))
def test_a_file_that_arrives_in_any_order_is_taken_in_once(arrivals: Arrivals, name: str) -> None:
    assert arrivals.ledger.count(ARRIVED[name]) == 1
    assert arrivals.processed.count((name,)) == 1


def test_what_waits_is_counted_before_it_is_taken_in(arrivals: Arrivals) -> None:
    state = arrivals.status.stream(STREAM)
    assert (state["pending_files"], state["too_late"], state["registered_files"]) == (len(ARRIVED), 1, 1)
    planned = arrivals.plan.stream(STREAM)
    assert (planned["files"], planned["too_late"]) == (len(ARRIVED), [LATE])
    report = arrivals.feed.stream(STREAM)
    assert (report["status"], report["files"], report["rows"]) == ("ok", len(ARRIVED), len(ARRIVED))


def test_airbytes_temporary_objects_are_no_data(arrivals: Arrivals) -> None:
    assert not [key for key in arrivals.ledger if key in NOT_DATA]
    assert not arrivals.lake.document("quarantine")["files"]


def test_why_tells_what_becomes_of_a_file(arrivals: Arrivals) -> None:
    assert arrivals.why_pending.document["verdict"].startswith("pending")
    assert arrivals.why_late.document["verdict"].startswith("too late")
    taken_in = arrivals.lake.document("why", ARRIVED["the flat pattern"])
    assert "and merged" in taken_in["verdict"]
    assert [entry["rows"] for entry in taken_in["taken_in"]] == [1]
    assert arrivals.lake.document("why", f"{STREAM}/nowhere.parquet")["verdict"].startswith("unknown")


@pytest.mark.parametrize("prefix", ["", "raw/", "{raw}/", "{url}/"])
def test_why_takes_a_key_or_an_address(arrivals: Arrivals, prefix: str) -> None:
    raw = arrivals.lake.raw
    found = arrivals.lake.document("why", prefix.format(raw=raw, url=raw.as_uri()) + FIRST)
    assert (found["path"], len(found["taken_in"])) == (FIRST, 1)


def test_a_file_older_than_the_horizon_waits_for_replay_which_takes_it_in_once(arrivals: Arrivals) -> None:
    lake = arrivals.lake
    assert LATE not in lake.ledger_keys()
    assert lake.ok("feed", HERE).stream(STREAM)["status"] == "nothing_new"
    replay = ("replay", HERE, "replay.from=2025-12-01", "replay.to=2025-12-01")
    others = [row for row in lake.processed(STREAM) if LATE not in row]
    for files in (1, 0):
        assert lake.ok(*replay).stream(STREAM)["files"] == files
        assert lake.ledger_keys().count(LATE) == 1
        assert lake.processed(STREAM, "id").count((LATE,)) == 1
        assert [row for row in lake.processed(STREAM) if LATE not in row] == others
    assert lake.ok("status", HERE).stream(STREAM)["too_late"] == 0
    assert lake.document("doctor", HERE)["findings"] == []
