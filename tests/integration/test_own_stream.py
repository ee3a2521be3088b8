"""A stream of one's own, from the files that lie there to its end; what is excluded is nowhere (ADR 0038)."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.real.lake import PROJECT, Lake, Ran, plain_environment
from tests.support.real.parquet import START, TIMES, write

ORDERS = "shop/orders"
MARKER = "jane-doe-0x5eed"
PATH = "RAW/${STREAM_NAME}/${YEAR}_${MONTH}_${DAY}_${EPOCH}_"
WHO = pa.struct({"name": pa.string(), "email": pa.string()})
TYPES = {"id": pa.int64(), "amount": pa.int32(), "email": pa.string(), "who": WHO, "updated_at": TIMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project without a stream, its lake, and the commands run on both."""

    home: Path
    lake: Lake

    def run(self, *words: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "lakeray", *words, *self.lake.settings],
            env=plain_environment(LAKERAY_HOME=str(self.home)),
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr)

    def ok(self, *words: str) -> Any:
        ran = self.run(*words)
        assert ran.code == 0, f"{words}: exit {ran.code}\n{ran.out}\n{ran.err}"
        return ran.document

    def config(self) -> Path:
        return self.home / "conf" / "stream" / "shop" / "orders.yaml"

    def files(self) -> dict[str, bytes]:
        """Everything in the project and below paths.root, but what is DuckDB's."""
        return {
            str(path): path.read_bytes()
            for folder in (self.home, self.lake.root)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and "extensions" not in path.parts and not path.name.startswith("catalog.sqlite-")
        }


def land(lake: Lake, day: int, *ids: int, **types: pa.DataType) -> None:
    rows = [
        {
            "id": number,
            "amount": number,
            "email": f"{MARKER}@{number}",
            "who": {"name": f"name {number}", "email": MARKER},
            "updated_at": START.replace(day=day),
        }
        for number in ids
    ]
    write(lake.raw / f"RAW/orders/2026_01_{day:02d}_1767916800000_0.parquet", *rows, types={**TYPES, **types})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Project:
    root = tmp_path_factory.mktemp("own")
    home = root / "project"
    shutil.copytree(PROJECT / "conf", home / "conf", ignore=shutil.ignore_patterns("stream"))
    shutil.copytree(PROJECT / "dbt", home / "dbt", ignore=shutil.ignore_patterns("landing", "models", "target", "logs"))
    (home / "dbt" / "models").mkdir()
    lake = Lake.new(root / "lake", extensions=extension_directory)
    land(lake, 1, 1, 2, 3)
    land(lake, 2, 2, 4, amount=pa.int64())
    return Project(home=home, lake=lake)


def test_a_stream_comes_from_its_files_and_what_was_edited_stays(project: Project) -> None:
    before = project.files()
    assert project.run("new-stream", ORDERS, "--from-files").code == 2  # nothing lies below shop/orders/
    assert project.files() == before
    made = project.ok("new-stream", ORDERS, "--from-files", "--path", PATH)
    assert (made["primary_key"], made["cursor_field"]) == (["id"], "updated_at")
    assert "unique in each of 2 files" in made["key_evidence"] and "1 of 1 steps" in made["cursor_evidence"]
    assert [item["column"] for item in made["disagree"]] == ["amount"] and made["fields"]["amount"] == "BIGINT"
    assert len(made["rows"]) == 2 and "+primary_key: [id]" in made["diff"]
    assert {path.rpartition("/")[2] for path in made["written"]} == {
        *("orders.yaml", "stg_shop__orders.sql", "int_shop__orders.sql", "_shop__sources.yml", "_shop__models.yml")
    }
    again = project.ok("new-stream", ORDERS, "--from-files")
    assert (again["written"], again["left"], again["diff"]) == ([], [], "")
    text = project.config().read_text(encoding="utf-8")
    edited = text.replace("batch: {}\n", "batch: {}\nexclude: [Email, who.email]\n")
    project.config().write_text(edited, encoding="utf-8")
    before = project.files()
    again = project.ok("new-stream", ORDERS, "--from-files")
    assert again["written"] == [] and "-exclude: [Email, who.email]" in again["diff"]
    assert project.files() == before
    assert project.run("generate", "check").code == 1
    ran = project.run("check")
    assert ran.code == 1 and "lakeray generate" in ran.out
    project.ok("generate")


def test_what_is_excluded_is_in_no_file_of_ours_no_log_and_no_quarantine(project: Project) -> None:
    land(project.lake, 3, 5, who=pa.struct({"name": pa.string(), "email": pa.string(), "phone": pa.string()}))
    land(project.lake, 4, 6, updated_at=pa.timestamp("us"), amount=pa.float64())  # a converted copy
    before = project.files()
    checked = project.ok("check")
    assert checked["ok"] and {item["what"] for item in checked["checks"]} >= {"dbt", "model", "prefix", "types", "lake"}
    assert project.files() == before
    wrong = [{"id": [1], "email": MARKER, "updated_at": datetime(2026, 1, 5, tzinfo=UTC)}]
    types = {"id": pa.list_(pa.int64()), "email": pa.string(), "updated_at": TIMES}
    write(project.lake.raw / "RAW/orders/2026_01_05_1767916800000_0.parquet", *wrong, types=types)
    ran = project.run("feed")
    assert ran.code == 0, ran.err
    told = [ran.out, ran.err]
    lake = project.lake
    assert [row[0] for row in lake.processed(ORDERS, "id")] == [1, 2, 3, 4, 5, 6]
    for table in ("staging.stg_shop__orders", "main.int_shop__orders"):
        columns = lake.columns(table)
        assert "email" not in columns and "email" not in columns["who"], columns
        assert MARKER not in repr(lake.query(f"SELECT * FROM lakehouse.{table}"))
    assert [row[0] for row in lake.query("SELECT reason FROM lakehouse.meta.quarantine")] == ["type_changed"]
    told.append(repr(lake.query("SELECT * FROM lakehouse.meta.quarantine")))
    told += [ran.out for ran in (project.run("status"), project.run("quarantine"), project.run("plan"))]
    ours = [path for path in lake.root.rglob("*") if path.is_file() and lake.raw not in path.parents]
    copies = [path for path in ours if path.suffix == ".parquet"]
    assert any("converted" in path.parts for path in copies) and any("main" in path.parts for path in copies)
    told += [repr(pq.read_table(path).to_pylist()) for path in copies]
    assert not any(MARKER in text for text in told)
    assert not any(MARKER.encode() in path.read_bytes() for path in ours if "extensions" not in path.parts)


def test_a_dropped_stream_leaves_its_raw_files_and_doctor_tells_tables_that_are_left(project: Project) -> None:
    raw, before = project.lake.objects(), project.files()
    told = project.ok("drop-stream", ORDERS)
    assert told["dry_run"] and told["tables"]["main.int_shop__orders"] == 6
    assert "conf/stream/shop/orders.yaml" in told["project_files"]
    assert project.files().keys() == before.keys()
    away = project.home / "orders.yaml"
    project.config().rename(away)
    findings = project.ok("doctor")["findings"]
    assert [item["kind"] for item in findings] == ["tables_without_a_stream"]
    away.rename(project.config())
    gone = project.ok("drop-stream", ORDERS, "--yes")
    assert not gone["dry_run"] and not project.config().exists()
    assert [path for path in (project.home / "dbt" / "models").rglob("*") if path.is_file()] == []
    assert project.lake.tables() == [] and project.lake.ledger_keys() == []
    assert project.run("drop-stream", ORDERS).code == 2  # nobody knows it any more
    # A stream that is made anew takes the same files in, and no clean-up deletes one of them.
    project.ok("new-stream", ORDERS, "--from-files", "--path", PATH, "--cursor", "updated_at")
    fed = project.ok("feed", "retention.snapshot_days=0")
    assert fed["streams"][0]["files"] == 5  # the odd one, too: `id` is text now
    project.ok("clean", "retention.snapshot_days=0")
    assert project.lake.objects() == raw
