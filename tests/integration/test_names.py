"""A column may have any name: from the source's schema through both writers to the processed table (ADR 0034)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lakeray.cli import project as cli_project
from lakeray.streams.generated import stream_config
from lakeray.values.column_types import quoted
from lakeray.values.model import StreamName
from lakeray.values.names import folded, is_own_name, same_name
from tests.support.real.lake import PROJECT, Lake
from tests.support.real.parquet import START, TIMES, write

ODD = (
    *("rowid", "SNAPSHOT_ID", "filename", "file_row_number", "file_index", "change_type", "lakeray_row", "lakeray_age"),
    *(
        "newer",
        "delivered",
        "repeated",
        "incoming",
        "there",
        "dead",
        "met",
        "level",
        "origins",
        "path",
        "origin",
        "key",
    ),
    *(
        "latest",
        "landed",
        "registered_path",
        "occurrences",
        "tested",
        "null",
        "true",
        "on",
        "select",
        "1",
        "1.5",
        "[1]",
    ),
    *(
        "É",
        "é",
        "ſ",
        "s",
        "\u212a",
        "k",
        "İ",
        "i̇",
        "ß",
        "SS",
        "a.b",
        'we"ird',
        "it's",
        "back\\slash",
        "\\u0041",
        "tab\t",
    ),
    *(
        "line\nbreak",
        "carriage\rreturn",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        " ",
        " padded ",
        "${odd}",
        "\\${odd}",
        "???",
    ),
    *("{{ 1 }}", "Hi {{field:01A}}, age?", "{% raw %}", "{# not closed", "}}", "%}", "{", "{0}", "{{", "- a: b", "# x"),
    *(
        "/* lakeray_new_rows ab */",
        "-- x",
        "?",
        "$1",
        ":x",
        "%s",
        "*",
        "a" * 900,
        "ä" * 900,
        "\U0001f600",
        "${oc.env:HOME}",
    ),
)
any_name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
near = st.sampled_from(ODD).flatmap(lambda odd: st.sampled_from([odd.upper(), odd.lower(), odd.casefold(), odd + "'"]))
FIXED = ("updated", "struct", *(f"_airbyte_{part}" for part in ("raw_id", "extracted_at", "meta", "generation_id")))
names = (
    st.lists(st.one_of(any_name, near), min_size=3, max_size=20, unique_by=folded)
    .map(lambda drawn: [name for name in drawn if not is_own_name(name) and folded(name) not in FIXED])
    .filter(bool)
)


def project(root: Path, *, keys: Sequence[str], columns: Sequence[str]) -> Path:
    """A project of a stream with these columns, and of one whose names are plain."""
    for part in ("conf", "dbt"):
        shutil.copytree(PROJECT / part, root / part, ignore=shutil.ignore_patterns("target", "logs"))
    for gone in ("conf/stream", "dbt/landing", "dbt/models/processed", "dbt/models/enriched"):
        shutil.rmtree(root / gone)
    (root / "dbt/models/enriched").mkdir()
    (root / "conf/stream/odd").mkdir(parents=True)
    whole = {name: {"type": "integer", "description": f"About {name}"} for name in columns}
    time = {"type": "string", "format": "date-time"}
    for stream, properties, key in (
        ("names", {**whole, "updated": time, "struct": {"type": "object", "properties": whole}}, keys),
        ("plain", {"id": {"type": "integer"}, "updated": time}, ["id"]),
    ):
        document = {
            "supported_sync_modes": ["incremental"],
            "default_cursor_field": ["updated"],
            "source_defined_primary_key": [[name] for name in key],
            "json_schema": {"properties": properties},
        }
        text = stream_config(StreamName("odd", stream), document)
        (root / f"conf/stream/odd/{stream}.yaml").write_bytes(text.encode())
    return root


def swapped(name: str) -> str:
    """Another spelling of the same name."""
    return "".join(c.swapcase() if c.isascii() else c for c in name)


def deliver(raw: Path, stream: str, *, day: int, columns: Sequence[str], records: Sequence[Sequence[int]]) -> None:
    """A file of records, each the values of the columns; a struct beside them has the same in its fields."""
    whole = {name: pa.int64() for name in columns}
    types = {**whole, "updated": TIMES} | ({"struct": pa.struct(whole)} if stream == "names" else {})
    rows = []
    for values in records:
        row: dict[str, Any] = dict(zip(columns, values, strict=True))
        rows.append({**row, "struct": row, "updated": START + timedelta(days=day)})
    rows = [{name: value for name, value in row.items() if name in types} for row in rows]
    write(raw / f"odd/{stream}/year=2026/month=01/day={day:02d}/part_0.parquet", *rows, types=types)


def as_they_are(columns: Sequence[str], keys: Sequence[str], root: Path, extensions: Path) -> None:
    """Deliver, update, and compare landing and processed tables with what was written, for both writers."""
    first = [[key if name in keys else 10 * at + key for at, name in enumerate(columns)] for key in (1, 2, 3)]
    second = [[key if name in keys else 1000 + 10 * at + key for at, name in enumerate(columns)] for key in (1, 4)]
    here = project(root / "project", keys=keys, columns=columns)
    listed = ", ".join(quoted(name) for name in columns)
    listed += "".join(f", struct.{quoted(name)}" for name in columns)
    with patch.object(cli_project, "found", lambda: here):
        raw = root / "raw"
        for number, writer in enumerate(("catalog", "extension")):
            shutil.rmtree(raw, ignore_errors=True)
            lake = Lake.new(root / writer, extensions=extensions, raw=raw)
            if number == 0:
                lake.ok("generate")
                assert lake.ok("generate", "check").document == {"drifted": []}
            settings_ = (f"lake.writer={writer}", "feed.executor=inline", "dbt.tests=true")
            deliver(raw, "names", day=1, columns=columns, records=first)
            deliver(raw, "plain", day=1, columns=["id"], records=[[1]])
            lake.ok("feed", *settings_)
            deliver(raw, "names", day=2, columns=[swapped(name) for name in columns], records=second)
            lake.ok("feed", *settings_)
            own = [row[0] for row in lake.query("DESCRIBE lakehouse.staging.stg_odd__names")]
            assert [name for name in own if folded(name) not in FIXED] == list(columns)
            landed = lake.query(f"SELECT {listed} FROM lakehouse.staging.stg_odd__names")
            assert sorted(landed) == sorted((*row, *row) for row in [*first, *second])
            merged = lake.query(f"SELECT {listed} FROM lakehouse.main.int_odd__names")
            assert sorted(merged) == sorted((*row, *row) for row in [second[0], *first[1:], second[1]])
            assert lake.query("SELECT id FROM lakehouse.main.int_odd__plain") == [(1,)]


def test_a_column_may_have_any_name(tmp_path: Path, extension_directory: Path) -> None:
    as_they_are(ODD, ["Hi {{field:01A}}, age?"], tmp_path, extension_directory)


@pytest.mark.long
@settings(max_examples=12, phases=[Phase.generate], derandomize=True)
@given(data=st.data(), columns=names)
def test_names_that_nobody_thought_of(
    data: st.DataObject, columns: list[str], tmp_path_factory: pytest.TempPathFactory, extension_directory: Path
) -> None:
    keys = data.draw(st.lists(st.sampled_from(columns), min_size=1, max_size=2, unique=True))
    as_they_are(columns, keys, tmp_path_factory.mktemp("names"), extension_directory)


def test_names_are_compared_as_duckdb_compares_them() -> None:
    letters = map(chr, [*range(1, 0xD800), *range(0xE000, 0x11000)])
    pairs = {(a, b) for a in letters for b in (a.lower(), a.upper(), a.casefold()) if a != b}
    with duckdb.connect() as connection:

        def is_one(left: str, right: str) -> bool:
            try:
                connection.execute(f"CREATE OR REPLACE TABLE twins ({quoted(left)} INTEGER, {quoted(right)} INTEGER)")
            except duckdb.CatalogException:
                return True
            return False

        assert len(pairs) > 2000
        assert [pair for pair in sorted(pairs) if is_one(*pair) != same_name(*pair)] == []
