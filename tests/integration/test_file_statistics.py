"""What a validation task sends of its files: compact, and the same when it arrives."""

from __future__ import annotations

import pickle

import pyarrow as pa

from lakeray.adapters.ducklake.values.file_statistics import (
    STATISTICS,
    SUMMARY,
    FileStatistics,
    SchemaStatistics,
    storable,
)

FILES = 200


def statistics(files: int = FILES) -> pa.Table:
    """One column of so many files."""
    values = {
        "file": list(range(files)),
        "column": [0] * files,
        "size_bytes": [100] * files,
        "value_count": [10] * files,
        "null_count": [0] * files,
        "min_value": [f"2026-01-01 00:00:{number % 60:02d}+00" for number in range(files)],
        "max_value": [f"2026-01-02 00:00:{number % 60:02d}+00" for number in range(files)],
        "contains_nan": [None] * files,
        "extra_stats": [None] * files,
    }
    return pa.table(values, schema=STATISTICS)


def block(summary: pa.Table | None = None) -> SchemaStatistics:
    """A block of these files."""
    return SchemaStatistics(
        columns=(("a",),),
        mapping=(),
        rows=(10,) * FILES,
        size_bytes=(1000,) * FILES,
        footer_bytes=(200,) * FILES,
        statistics=statistics(),
        types=("timestamptz",),
        summary=summary,
    )


def test_a_block_arrives_as_it_was_sent() -> None:
    row = {"column": [0], "has_null": [False], "bounded": [True], "min_value": ["a"], "max_value": ["b"]}
    for summary in (None, pa.table(row, schema=SUMMARY)):
        sent = block(summary)
        arrived = pickle.loads(pickle.dumps(sent))
        assert arrived == sent
        assert arrived.statistics.equals(sent.statistics)
        assert arrived.summary is None if summary is None else arrived.summary.equals(summary)


def test_the_files_of_a_block_share_it_and_are_small() -> None:
    one = block()
    sent = pickle.dumps([FileStatistics(block=one, position=number) for number in range(FILES)])
    arrived = pickle.loads(sent)
    assert all(facts.block is arrived[0].block for facts in arrived)
    assert len(sent) < one.statistics.nbytes / 2


def test_a_bound_with_a_zero_is_none() -> None:
    table = statistics(2).set_column(5, "min_value", pa.array(["a\0b", "c"], pa.string()))
    assert storable(table).column("min_value").to_pylist() == [None, "c"]
    assert storable(table).column("max_value") == table.column("max_value")
