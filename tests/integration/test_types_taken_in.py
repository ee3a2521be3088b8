"""A file's column under a landing column of another type: its values, and the answers to filters at every depth (P6).

DuckDB compares a filter's constant with a file's column in the file's type: what is registered as it is, or grows, must
not be one that this makes wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest

from lakeray.values.column_types import parse_type
from lakeray.values.model import Column, SourceFile, StreamStatus
from tests.contract.lakes import OnDisk
from tests.support.fakes.feeds import BUDGET, key_for
from tests.support.fakes.records import CONTRACT, STREAM

DAY = date(2026, 3, 1)
TABLE = f"lakehouse.staging.{STREAM.landing_table}"
UTC_TIME = "TIMESTAMP WITH TIME ZONE"
KINDS = {"x": "{}", "s": "STRUCT(f {})", "l": "{}[]"}

Values = Sequence[str]


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path, extension_directory: Path) -> Iterator[OnDisk]:
    opened = OnDisk(tmp_path / "lake", extension_directory, writer=getattr(request, "param", "catalog"))
    yield opened
    opened.close()


def put(lake: OnDisk, number: int, kind: str, values: Values) -> SourceFile:
    """A file by DuckDB with the values as a column, in a struct and in a list."""
    path = lake._root / "tmp" / "made.parquet"
    rows = ", ".join(f"({number * 100 + at}, CAST({value} AS {kind}))" for at, value in enumerate(values))
    with duckdb.connect() as made:
        made.execute("SET TimeZone = 'UTC'")
        made.execute(
            "COPY (SELECT CAST(pk AS VARCHAR) AS _airbyte_raw_id, TIMESTAMPTZ '2026-01-01' AS _airbyte_extracted_at, "
            "CAST(pk AS BIGINT) AS pk, v AS x, struct_pack(f := v) AS s, [v] AS l "
            f"FROM (VALUES {rows}) AS t(pk, v)) TO '{path}' (FORMAT parquet)"
        )
    return lake.put_bytes(key_for(DAY, f"part_{number}.parquet"), path.read_bytes())


def feed(lake: OnDisk, wanted: str | None) -> list[str]:
    """Feed, a file a batch, with these columns in the contract, or none: the reasons of what is rejected."""
    own = () if wanted is None else tuple(Column(name=n, type=parse_type(k.format(wanted))) for n, k in KINDS.items())
    terms = replace(CONTRACT, columns=(*CONTRACT.columns, *own))
    report = lake.feed(contract=terms, budget=replace(BUDGET, max_files=1))
    assert report.status is StreamStatus.OK, report.error
    return [entry.reason for entry in lake.reader.quarantined(STREAM)]


def kind(lake: OnDisk) -> str:
    types = lake.reader.landing_columns(STREAM) or {}
    assert {name: parse_type(types[name]) for name in KINDS} == {
        name: parse_type(text.format(types["x"])) for name, text in KINDS.items()
    }
    return types["x"]


def assert_filters_agree(lake: OnDisk, constants: Values) -> None:
    """With the files' own statistics, and on the values read into memory."""
    wanted = kind(lake)
    lake.query(f"CREATE OR REPLACE TEMP TABLE plain AS SELECT x, s.f AS f, l[1] AS item FROM {TABLE}")
    for constant in constants:
        for operator in ("=", "<", ">", "<=", ">=", "<>"):
            condition = f"{operator} CAST({constant} AS {wanted})"
            for column, own in (("x", "x"), ("s.f", "f"), ("l[1]", "item")):
                expected = lake.query(f"SELECT count(*) FROM plain WHERE {own} {condition}")
                found = lake.query(f"SELECT count(x) FROM {TABLE} WHERE {column} {condition}")
                assert found == expected, f"{column} {condition}"


PAIRS = [
    ("INTEGER", "BIGINT", ["-7", "0", "70000"], ["0", "5000000000"]),
    ("UINTEGER", "BIGINT", ["0", "4000000000"], ["-1", "-5000000000"]),
    ("DECIMAL(5,2)", "DECIMAL(9,2)", ["-1.25", "100.50"], ["100.51", "1000000.25"]),
    ("DECIMAL(5,2)", "DECIMAL(9,4)", ["-1.25", "1.00"], ["1.0025", "99999.9999"]),
    ("INTEGER", "DECIMAL(9,2)", ["-7", "0", "1"], ["0.5", "0.49"]),
    ("BIGINT", "DECIMAL(9,2)", ["-7", "0", "1"], ["0.5", "0.49"]),
    ("INTEGER", "DOUBLE", ["-7", "0", "1", "2"], ["0.5", "0.4", "1.6"]),
    ("DECIMAL(5,2)", "DOUBLE", ["-1.25", "1.00"], ["1.0025", "1e300"]),
    ("FLOAT", "DOUBLE", ["0.1", "2", "16777216"], ["0.1", "16777217"]),
    ("DOUBLE", "BIGINT", ["-7", "0", "1"], ["0", "2"]),
    ("BIGINT", "INTEGER", ["-7", "0", "1"], ["0", "2"]),
    ("DATE", "TIMESTAMP", ["'1969-01-02'", "'2026-01-02'"], ["'2026-01-02 03:04:05'", "'2026-01-01 23:00:00'"]),
    ("DATE", UTC_TIME, ["'1969-01-02'", "'2026-01-02'"], ["'2026-01-02 03:04:05+00'", "'2026-01-01 23:00:00+00'"]),
    ("TIMESTAMP", UTC_TIME, ["'2026-01-02 01:00:00'"], ["'2026-01-02 01:00:00+00'", "'2026-01-02 01:00:00+05'"]),
    ("BIGINT", "VARCHAR", ["9", "10", "-1"], ["'9'", "'95'", "'1'"]),
]


BY_EXTENSION = [
    pair for pair in PAIRS if pair[:2] in (("INTEGER", "BIGINT"), ("FLOAT", "DOUBLE"), ("BIGINT", "VARCHAR"))
]
"""What is registered as it is, what bounds are widened for, and what a copy is made of; the verdicts know no writer."""


@pytest.mark.parametrize(
    ("lake", "found", "wanted", "values", "constants"),
    [("catalog", *pair) for pair in PAIRS] + [("extension", *pair) for pair in BY_EXTENSION],
    indirect=["lake"],
)
def test_what_casts_without_loss_is_taken_in_and_filters_agree(
    found: str, wanted: str, values: Values, constants: Values, lake: OnDisk
) -> None:
    put(lake, 0, found, [*values, "NULL"])
    put(lake, 1, wanted, [*constants, "NULL"])
    assert feed(lake, wanted) == []
    assert kind(lake) == wanted
    made = [f"CAST(CAST({value} AS {found}) AS {wanted})" for value in values]
    made += [f"CAST({constant} AS {wanted})" for constant in constants]
    expected = lake.query(f"SELECT v FROM (VALUES {', '.join(f'({text})' for text in made)}) AS t(v) ORDER BY v")
    assert lake.query(f"SELECT x FROM {TABLE} WHERE x IS NOT NULL ORDER BY x") == expected
    assert_filters_agree(lake, made)
    assert lake.query(f"SELECT min(x), max(x) FROM {TABLE}") == [(expected[0][0], expected[-1][0])]


@pytest.mark.parametrize(
    ("found", "wanted", "value"),
    [
        ("BIGINT", "DECIMAL(9,2)", "12345678"),
        ("BIGINT", "INTEGER", "5000000000"),
        ("DOUBLE", "BIGINT", "0.5"),
        ("BIGINT", "DOUBLE", "9007199254740993"),
        ("TIMESTAMP", "DATE", "'2026-01-02 03:04:05'"),
        ("DECIMAL(9,4)", "DECIMAL(5,2)", "1.0025"),
    ],
)
def test_a_file_with_one_value_that_does_not_fit_is_rejected(found: str, wanted: str, value: str, lake: OnDisk) -> None:
    put(lake, 0, found, ["NULL", value])
    assert feed(lake, wanted) == ["type_changed"]
    (held,) = lake.reader.quarantined(STREAM)
    assert value.strip("'") not in held.detail


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("one", "other", "both", "constants"),
    [
        ("INTEGER", "BIGINT", "BIGINT", ["0", "5000000000"]),
        ("DECIMAL(5,2)", "DECIMAL(9,2)", "DECIMAL(9,2)", ["1.25", "100000.5"]),
    ],
)
def test_a_column_that_files_brought_grows_over_batches(
    one: str, other: str, both: str, constants: Values, turned: bool, lake: OnDisk
) -> None:
    files = [(one, ["1", "2"]), (other, ["3", constants[1]])]
    for number, (own, values) in enumerate(files[::-1] if turned else files):
        put(lake, number, own, values)
    assert feed(lake, None) == []
    assert kind(lake) == both
    assert_filters_agree(lake, constants)


@pytest.mark.parametrize(
    ("first", "second", "fits", "too_fine"),
    [
        ("INTEGER", "DOUBLE", "2", "0.5"),
        ("DATE", "TIMESTAMP", "'2026-01-02 00:00:00'", "'2026-01-02 03:04:05'"),
        ("DECIMAL(5,2)", "DECIMAL(9,4)", "1.25", "1.2525"),
    ],
)
def test_a_column_that_files_cannot_be_filtered_by_does_not_grow(
    first: str, second: str, fits: str, too_fine: str, lake: OnDisk
) -> None:
    put(lake, 0, first, [fits])
    put(lake, 1, second, [fits])
    put(lake, 2, second, [too_fine])
    assert feed(lake, None) == ["type_changed"]
    assert kind(lake) == first
    assert lake.query(f"SELECT count(DISTINCT x), count(*) FROM {TABLE}") == [(1, 2)]
