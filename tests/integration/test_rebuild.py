"""rebuild: another key, cursor or type, from the processed rows and landing together; told first, done once."""

from __future__ import annotations

import shutil
import signal
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from lakeray.values.faults import FaultPoint
from tests.support.real.lake import PROJECT, Lake, Ran
from tests.support.real.parquet import RECORD, START, record, write
from tests.support.real.processes import lakeray

STREAM = "klaviyo/metrics"
FIELD = "+streams.klaviyo__metrics.fields.size"
UNION = 'STRUCT("type" VARCHAR, "integer" BIGINT, "string" VARCHAR)'


class Stream:
    """One stream of a lake, whose config a test changes."""

    def __init__(self, lake: Lake, project: Path) -> None:
        self.lake = lake
        self._words = [f"+stream={STREAM}", f"dbt.project_dir={project}"]
        self._config: dict[str, str] = {}

    def configure(self, **config: str) -> None:
        """Change the config, and what is generated from it."""
        self._config |= config
        self.lake.ok("generate", *self.words[1:])  # of all streams: those of a source share files

    @property
    def words(self) -> list[str]:
        """What selects the stream as it is configured."""
        named = {"key": "streams.klaviyo__metrics.primary_key", "size": FIELD}
        return self._words + [f"{named.get(name, name)}={value}" for name, value in self._config.items()]

    def run(self, command: str, *words: str) -> Ran:
        """Run a command."""
        return self.lake.run(command, *self.words, *words)

    def feed(self) -> dict[str, object]:
        """Feed, which must end well."""
        fed: dict[str, object] = self.lake.ok("feed", *self.words).stream(STREAM)
        return fed

    def rebuild(self, *words: str) -> Ran:
        """Rebuild, not only told."""
        return self.run("rebuild", "rebuild.dry_run=false", *words)

    def told(self) -> dict[str, object]:
        """What a rebuild would do."""
        told: dict[str, object] = self.lake.ok("rebuild", *self.words).stream(STREAM)
        return told

    def put(self, name: str, *records: dict[str, object], size: pa.DataType | None = None, day: int = 5) -> None:
        """A raw file."""
        types = RECORD if size is None else {**RECORD, "size": size}
        write(self.lake.raw / STREAM / f"year=2026/month=01/day={day:02d}/{name}.parquet", *records, types=types)

    def processed(self, columns: str = "id, size") -> list[tuple[object, ...]]:
        """Rows of the processed table."""
        return self.lake.processed(STREAM, columns)

    def landing(self, columns: str = "id, size") -> list[tuple[object, ...]]:
        """Rows of the landing table."""
        return self.lake.landing(STREAM, columns)

    def types(self) -> list[str]:
        """The type of the field in the landing table and in the processed one."""
        tables = ("staging.stg_klaviyo__metrics", "main.int_klaviyo__metrics")
        return [self.lake.columns(table)["size"] for table in tables]


@pytest.fixture
def stream(tmp_path: Path, extension_directory: Path) -> Stream:
    project = shutil.copytree(PROJECT / "dbt", tmp_path / "project" / "dbt", ignore=shutil.ignore_patterns("target"))
    return Stream(Lake.new(tmp_path / "lake", extensions=extension_directory), project)


@pytest.mark.parametrize("writer", ["catalog", "extension"])
def test_a_type_changes_for_the_rows_that_are_there_and_for_the_files_that_waited(stream: Stream, writer: str) -> None:
    stream.configure(size="BIGINT", **{"lake.writer": writer})
    stream.put("old", record("a", size=1), record("b", size=2), size=pa.int64())
    stream.feed()
    stream.put("text", record("c", size="x"), record("a", size="new", hour=1), size=pa.string())
    assert stream.feed()["quarantined"] == 1

    stream.configure(size="VARCHAR")
    refused = stream.run("feed")
    assert refused.code == 0  # there is nothing new: nobody looks at the tables
    stream.put("third", record("d", size="y"), size=pa.string())
    refused = stream.run("feed")
    error = refused.stream(STREAM)["error"]
    assert (refused.code, error["kind"]) == (1, "contract")
    assert f"lakeray rebuild +stream={STREAM}" in error["todo"]
    before = stream.lake.contents()
    told = stream.told()
    assert stream.lake.contents() == before
    assert (told["needed"], told["rows"], told["rows_merging"], told["rows_without_key"]) == (True, 2, 0, 0)
    assert told["columns"] == [{"name": "size", "from": "BIGINT", "to": "VARCHAR", "values_lost": 0}]
    assert [Path(str(key)).stem for key in told["landing_files"]] == ["old"]  # type: ignore[attr-defined]
    assert [Path(str(key)).stem for key in told["rejected_files"]] == ["text"]  # type: ignore[attr-defined]

    done = stream.rebuild()
    assert done.code == 0, done.err
    assert stream.types() == ["VARCHAR", "VARCHAR"]
    assert stream.processed() == [("a", "new"), ("b", "2"), ("c", "x"), ("d", "y")]
    assert stream.landing() == [("a", "1"), ("a", "new"), ("b", "2"), ("c", "x"), ("d", "y")]
    assert stream.lake.document("quarantine")["files"] == []
    assert stream.lake.query("SELECT id FROM lakehouse.staging.stg_klaviyo__metrics WHERE size = '2'") == [("b",)]
    assert stream.told()["needed"] is False
    assert stream.feed()["status"] == "nothing_new"
    assert stream.lake.ok("doctor", *stream.words[:2]).document["findings"] == []


def test_a_scalar_becomes_a_union_and_what_does_not_fit_is_refused_before_anything_is_done(stream: Stream) -> None:
    stream.configure(size="VARCHAR")
    stream.put("old", record("a", size="7"), record("b", size="x"), record("c", size=None), size=pa.string())
    stream.feed()
    stream.configure(size="BIGINT")
    assert stream.told()["columns"][0]["values_lost"] == 1  # type: ignore[index]
    before = stream.lake.contents()
    refused = stream.rebuild()
    error = refused.stream(STREAM)["error"]
    assert (refused.code, error["kind"], "size" in error["about"]) == (1, "data", True)
    assert stream.lake.contents() == before

    stream.configure(size=f"'{UNION}'")
    assert stream.told()["columns"][0]["values_lost"] == 0  # type: ignore[index]
    assert stream.rebuild().code == 0
    kept = "size.type, size.integer, size.string"
    assert stream.processed(f"id, {kept}") == [
        ("a", "string", None, "7"),
        ("b", "string", None, "x"),
        ("c", None, None, None),
    ]
    assert stream.landing(f"id, {kept}") == stream.processed(f"id, {kept}")

    stream.configure(size="BIGINT")
    done = stream.rebuild("rebuild.allow_loss=true")
    assert (done.code, done.stream(STREAM)["quarantined"]) == (0, 1)  # the file itself does not fit, and says so
    assert stream.processed() == [("a", 7), ("b", None), ("c", None)]
    (held,) = stream.lake.document("quarantine")["files"]
    assert held["reason"] == "type_changed"


def test_a_key_gets_finer_and_coarser_again(stream: Stream) -> None:
    stream.configure(**{"retention.days": "7"})
    stream.put("removed", record("gone", "x", hour=0), day=1)
    stream.put("old", record("a", "first", hour=0), record("a", "second", hour=1), record("b", "x"), day=20)
    stream.feed()
    assert stream.landing("id, type") == [("a", "first"), ("a", "second"), ("b", "x")]
    assert stream.processed("id, type") == [("a", "second"), ("b", "x"), ("gone", "x")]

    stream.configure(key="[id,type]")
    for command in ("feed", "plan"):
        refused = stream.run(command)
        assert (refused.code, "lakeray rebuild" in refused.stream(STREAM)["error"]["todo"]) == (1, True)
    told = stream.told()
    assert (told["primary_key"], told["keys_added"]) == ({"from": ["id"], "to": ["id", "type"]}, 1)
    assert stream.rebuild().code == 0
    finer = [("a", "first"), ("a", "second"), ("b", "x"), ("gone", "x")]
    assert stream.processed("id, type") == finer
    stream.put("new", record("a", "first", hour=5), record("a", "third"), record("gone", "y"), day=20)
    stream.feed()
    assert stream.processed("id, type") == [*finer[:2], ("a", "third"), *finer[2:], ("gone", "y")]

    stream.configure(key="[id]")
    assert (stream.told()["rows"], stream.told()["rows_merging"]) == (6, 3)
    assert stream.rebuild().code == 0
    assert stream.processed("id, type") == [("a", "first"), ("b", "x"), ("gone", "y")]
    assert stream.run("rebuild").stream(STREAM)["needed"] is False


def test_another_cursor_type_is_refused_and_a_rebuild_orders_the_rows_anew(stream: Stream) -> None:
    compared = "+streams.klaviyo__metrics.cursor_type"
    stream.configure(size="VARCHAR", **{"streams.klaviyo__metrics.cursor_field": "size", compared: "VARCHAR"})
    stream.put("old", record("a", "as a number", size="10"), record("b", size="1"), size=pa.string())
    stream.put("new", record("a", "as a text", size="9", hour=1), size=pa.string())
    stream.feed()
    assert stream.processed("id, type") == [("a", "as a text"), ("b", "first")]
    stream.configure(**{compared: "BIGINT"})
    for command in ("feed", "plan"):
        error = stream.run(command).stream(STREAM)["error"]
        assert (error["kind"], error["expected"], error["found"]) == ("contract", "VARCHAR", "BIGINT")
        assert "cursor_type" in error["todo"] and f"lakeray rebuild +stream={STREAM}" in error["todo"]
    told = stream.told()
    assert (told["needed"], told["cursor_type"]) == (True, {"from": "VARCHAR", "to": "BIGINT"})
    assert stream.rebuild().code == 0
    assert stream.processed("id, type") == [("a", "as a number"), ("b", "first")]
    assert stream.feed()["status"] == "nothing_new" and stream.told()["needed"] is False
    stream.configure(**{compared: "null"})  # what it was compared as stays
    stream.put("later", record("a", "later", size="11"), record("b", "later", size="0"), size=pa.string())
    stream.feed()
    assert stream.processed("id, type") == [("a", "later"), ("b", "first")]


def test_rows_that_an_earlier_version_merged_by_another_key_are_told_and_made_anew(stream: Stream) -> None:
    stream.configure(key="[id,type]")
    stream.put("old", record("a", "first", hour=0), record("a", "second", hour=1), record("b", "x"))
    stream.feed()
    with stream.lake.connection(read_only=False) as earlier:
        earlier.execute("DELETE FROM lakehouse.meta.merged_by")
    stream.configure(key="[id]")
    stream.put("new", record("c", "x"))
    ran = stream.run("feed")
    (told,) = [event["change"] for event in ran.events if event["event"] == "landing_changed"]
    assert ran.code == 0 and "2 of its rows" in told and f"lakeray rebuild +stream={STREAM}" in told
    found = stream.told()
    assert (found["needed"], found["rows"], found["rows_merging"]) == (True, 4, 1)
    assert stream.rebuild().code == 0
    assert stream.processed("id, type") == [("a", "second"), ("b", "x"), ("c", "x")]
    assert stream.told()["needed"] is False


@pytest.mark.parametrize(
    ("point", "then"),
    [
        (FaultPoint.AFTER_REBUILD, "rebuild"),
        (FaultPoint.AFTER_FORGET, "feed"),
        pytest.param(FaultPoint.AFTER_REBUILD, "feed", marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_FORGET, "rebuild", marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_REGISTER, "rebuild", marks=pytest.mark.long),
        pytest.param(FaultPoint.AFTER_REGISTER, "feed", marks=pytest.mark.long),
    ],
)
def test_a_rebuild_that_was_killed_is_ended_by_the_next_command(stream: Stream, point: FaultPoint, then: str) -> None:
    stream.configure(size="BIGINT")
    stream.put("old", record("a", size=1), record("b", size=2), size=pa.int64())
    stream.feed()
    stream.configure(size="DOUBLE")
    killed = lakeray(
        *("rebuild", "rebuild.dry_run=false", *stream.words, *stream.lake.settings),
        environment={"LAKERAY_FAULT": str(point)},
    )
    assert killed.code == -signal.SIGKILL, killed.err
    if then == "rebuild" or point is FaultPoint.AFTER_REBUILD:
        assert stream.rebuild().code == 0
    stream.feed()  # a rebuild that finds every table as configured leaves the rest to it
    assert stream.types() == ["DOUBLE", "DOUBLE"]
    assert stream.processed() == stream.landing() == [("a", 1.0), ("b", 2.0)]
    assert stream.lake.query("SELECT id FROM lakehouse.staging.stg_klaviyo__metrics WHERE size > 1.5") == [("b",)]
    assert stream.lake.query("SELECT id FROM lakehouse.main.int_klaviyo__metrics WHERE size > 1.5") == [("b",)]
    assert stream.told()["needed"] is False
    assert stream.feed()["status"] == "nothing_new"


def test_values_that_were_left_out_come_in_when_the_contract_changes(stream: Stream) -> None:
    stream.configure(**{"streams.klaviyo__metrics.contract.on_new_column": "ignore"})
    place = pa.struct({"city": pa.string(), "zip": pa.string()})
    types = {**RECORD, "colour": pa.string(), "place": place}
    rows = [record(key, colour=f"colour {key}", place={"city": "x", "zip": key}) for key in "ab"]
    folder = stream.lake.raw / STREAM / "year=2026/month=01/day=05"
    write(folder / "first.parquet", *rows, types=types)
    fed = stream.feed()
    assert (fed["files"], fed["left_out"]) == (1, 1)
    assert stream.lake.ok("status", *stream.words).stream(STREAM)["left_out"] == 1
    write(folder / "second.parquet", record("b", "newer", hour=1), types=RECORD)
    stream.feed()

    stream.configure(**{"streams.klaviyo__metrics.contract.on_new_column": "add"})
    planned = stream.lake.ok("plan", *stream.words).stream(STREAM)
    assert [Path(key).stem for key in planned["reregister"]] == ["first"]
    fed = stream.feed()
    assert (fed["status"], fed["files"], fed["reregistered"]) == ("ok", 0, 1)
    found = "id, type, colour, place.zip"
    assert stream.processed(found) == [("a", "first", "colour a", "a"), ("b", "newer", None, None)]
    assert len(stream.landing(found)) == 3
    assert stream.feed()["status"] == "nothing_new"

    # A field more in the struct, in one feed with a file that lacks it.
    wider = pa.struct({"city": pa.string(), "zip": pa.string(), "floor": pa.int32()})
    later = record("a", "later", hour=2, place={"city": "x", "zip": "z", "floor": 3})
    write(folder / "third.parquet", later, types={**RECORD, "place": wider})
    stream.feed()
    assert stream.processed("id, place.zip, place.floor") == [("a", "z", 3), ("b", None, None)]
    assert START + timedelta(hours=2) in {row[0] for row in stream.processed("updated")}
