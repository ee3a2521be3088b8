"""Several streams' batches in one DuckLake snapshot: the rows of one by one, and each stream for itself (P7, P8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lakeray.values.faults import FaultPoint
from lakeray.values.model import CommitOutcome, CommitRequest, CursorIs, Landed, Refused, StreamName, Unknown
from tests.differential.compare import same_answers, same_catalogs, same_table_statistics
from tests.differential.lakes import Twins, WrittenLake
from tests.differential.test_found_faults import CONTRACT, counts, parquet


def batch(pair: Twins, stream: StreamName, name: str, *contents: bytes) -> list[str]:
    """Raw files of a stream's batch: their keys."""
    files = [pair.put(pair.key(stream, f"{name}-{at}"), data) for at, data in enumerate(contents)]
    return [file.key for file in files]


def requests(pair: Twins, lake: WrittenLake, batches: dict[StreamName, list[str]]) -> list[CommitRequest]:
    found = []
    for stream, keys in batches.items():
        files = [file for key in keys if (file := pair.extension.raw.head(key)) is not None]
        found.append(lake.request(stream, CONTRACT, files))
    return found


def together(lake: WrittenLake, asked: list[CommitRequest]) -> list[CommitOutcome]:
    outcomes = lake.committer.commit_group(asked)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
    return list(outcomes)  # type: ignore[arg-type]


def snapshots(lake: WrittenLake) -> int:
    return int(lake.rows("SELECT count(*) FROM lakehouse.snapshots()")[0][0])


def test_batches_of_several_streams_land_in_one_snapshot_with_the_rows_of_one_by_one(pair: Twins) -> None:
    streams = [pair.new_stream(CONTRACT) for _ in range(3)]
    landed: dict[StreamName, list[dict[str, int]]] = {stream: [] for stream in streams}
    paths: dict[StreamName, list[str]] = {stream: [] for stream in streams}
    for number in range(2):
        batches = {
            stream: batch(pair, stream, str(number), parquet(a=["x", f"y{at}"], b=[number, at]), parquet(a=["z", None]))
            for at, stream in enumerate(streams)
        }
        for stream, keys in batches.items():
            paths[stream] += [pair.catalog.raw.url(key) for key in keys]
        before = snapshots(pair.catalog)
        grouped = together(pair.catalog, requests(pair, pair.catalog, batches))
        assert snapshots(pair.catalog) == before + 1
        assert len({outcome.snapshot for outcome in grouped if isinstance(outcome, Landed)}) == 1
        alone = together(pair.extension, requests(pair, pair.extension, batches))
        for stream, one, other in zip(streams, grouped, alone, strict=True):
            assert isinstance(one, Landed) and isinstance(other, Landed)
            assert one.registered_by == "catalog writer"
            landed[stream].append({"catalog": one.snapshot, "extension": other.snapshot})
    for stream in streams:
        same_catalogs(pair, stream)
        same_table_statistics(pair, stream)
        same_answers(pair, stream, landed[stream], paths[stream])
        last = pair.catalog.reader.last_batch(stream)
        assert last is not None and (last.files, last.registered_by) == (2, "catalog writer")
    ids = [file_id for (file_id,) in pair.catalog.stored("ducklake_data_file", columns="data_file_id")]
    assert len(ids) == len(set(ids))


def test_a_batch_that_must_not_land_is_left_out_and_the_others_land(pair: Twins) -> None:
    lake = pair.catalog
    good, moved, bad = (pair.new_stream(CONTRACT) for _ in range(3))
    batches = {
        stream: batch(pair, stream, "0", *content)
        for stream, content in (
            (good, [parquet(a=["x", "y"])]),
            (moved, [parquet(a=["x", "y"])]),
            (bad, [parquet(a=["x", "y"]), b"no Parquet"]),
        )
    }
    asked = requests(pair, lake, batches)
    asked[1] = replace(
        asked[1],
        requirements=tuple(CursorIs(path="elsewhere") if isinstance(r, CursorIs) else r for r in asked[1].requirements),
    )
    first, refused, third = together(lake, asked)
    assert isinstance(first, Landed) and isinstance(third, Landed) and first.snapshot == third.snapshot
    assert isinstance(refused, Refused) and refused.expected == "cursor elsewhere"
    assert [counts(lake, stream, "true") for stream in (good, moved, bad)] == [2, 0, 2]
    assert [entry.reason for entry in lake.reader.quarantined(bad)] == ["not_parquet"]
    assert lake.reader.cursor(moved).path is None


def test_a_batch_with_a_new_column_goes_alone_and_lands_too(pair: Twins) -> None:
    lake = pair.catalog
    streams = [pair.new_stream(CONTRACT) for _ in range(3)]
    contents = [parquet(a=["x", "y"]), parquet(a=["x", "y"], c=[1, 2]), parquet(a=["x", "y"])]
    batches = {stream: batch(pair, stream, "0", data) for stream, data in zip(streams, contents, strict=True)}
    one, wider, other = together(lake, requests(pair, lake, batches))
    assert isinstance(one, Landed) and isinstance(wider, Landed) and isinstance(other, Landed)
    assert one.snapshot == other.snapshot != wider.snapshot
    assert counts(lake, streams[1], "c IS NOT NULL") == 2


def test_a_group_whose_answer_is_lost_is_read_back_by_each_stream(pair: Twins) -> None:
    class Lost(BaseException):
        """What kills the committer."""

    def die(point: FaultPoint) -> None:
        if point is FaultPoint.AFTER_COMMIT:
            raise Lost

    lake = pair.catalog
    streams = [pair.new_stream(CONTRACT) for _ in range(2)]
    batches = {stream: batch(pair, stream, "0", parquet(a=["x", "y"])) for stream in streams}
    asked = requests(pair, lake, batches)
    lake.fault = die
    try:
        with pytest.raises(Lost):
            lake.committer.commit_group(asked)
    finally:
        lake.fault = lambda point: None
    found = [lake.committer.read_back(request.commit_id) for request in asked]
    assert all(isinstance(item, Landed) for item in found) and len({item.snapshot for item in found if item}) == 1
    assert not any(isinstance(item, Unknown) for item in found)
    again = together(lake, asked)
    assert all(isinstance(outcome, Refused) for outcome in again)
    assert [counts(lake, stream, "true") for stream in streams] == [2, 2]
