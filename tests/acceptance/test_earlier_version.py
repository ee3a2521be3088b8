"""A lake that an earlier version of lakeray made, by that version's own code: this one feeds it and loses nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakeray.values.origins import ORIGIN
from tests.support.real.lake import PROJECT, Lake, plain_environment

pytestmark = pytest.mark.timeout(900)
EARLIER = "abd2bf1"
"""The last commit whose removals do not say whether their keys may return."""
STREAM = "klaviyo/metrics"


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierCode:
    """That version's packages, settings and models, in a folder of their own."""

    root: Path

    def ok(self, lake: Lake, *words: str) -> Any:
        """Run one of its commands on the lake, in a process of its own; it must end well."""
        environment = {**plain_environment(), "PYTHONPATH": str(self.root)}
        command = [sys.executable, "-m", "lakeray", *words, *lake.settings]
        ran = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{words}\n{ran.stdout}\n{ran.stderr}"
        return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> EarlierCode:
    """It comes from the history, which a clone has."""
    root = tmp_path_factory.mktemp("earlier")
    archive = root / "code.tar"
    git = ["git", "-C", str(PROJECT), "archive", f"--output={archive}", EARLIER, "lakeray", "dbt", "conf"]
    if subprocess.run(git, capture_output=True, env=dict(os.environ), check=False).returncode != 0:
        pytest.skip(f"commit {EARLIER} is not in this checkout's history")
    shutil.unpack_archive(archive, root / "code", filter="data")
    return EarlierCode(root=root / "code")


def told(document: Any) -> dict[str, Any]:
    (state,) = document["streams"]
    wanted = ("cursor_path", "pending_files", "registered_files", "registered_snapshot", "transformed_snapshot")
    return {name: state[name] for name in (*wanted, "quarantined", "too_late", "landing_rows", "processed_rows")}


def test_its_lake_is_read_fed_and_cleaned_by_this_version(
    earlier: EarlierCode, tmp_path: Path, extension_directory: Path
) -> None:
    lake = Lake.new(tmp_path / "lake", extensions=extension_directory)
    only = (f"+stream={STREAM}", "retention.days=4", "retention.snapshot_days=0")
    earlier.ok(lake, "sample", only[0], "sample.days=9", "sample.files_per_day=1")
    earlier.ok(lake, "feed", *only)
    newest = lake.raw / sorted(lake.objects())[-1]
    kept = tmp_path / "kept.parquet"
    shutil.copy2(newest, kept)
    newest.unlink()
    earlier.ok(lake, "feed", *only, "feed.on_vanished=drop")
    reasons = [row[0] for row in lake.query("SELECT DISTINCT reason FROM lakehouse.meta.removals ORDER BY ALL")]
    assert reasons == ["retention", "vanished"] and "key_may_return" not in lake.columns("meta.removals")
    own = ", ".join(f'"{name}"' for name in lake.columns("main.int_klaviyo__metrics"))
    processed, ledger = lake.processed(STREAM, own), lake.ledger_keys()

    assert told(lake.document("status", only[0])) == told(earlier.ok(lake, "status", only[0]))
    assert lake.ok("plan", *only).stream(STREAM)["files"] == 0
    shutil.copy2(kept, newest)
    assert lake.ok("plan", *only).stream(STREAM)["files"] == 1  # read as it is, by who may not write

    fed = lake.ok("feed", *only).stream(STREAM)
    assert (fed["status"], fed["files"]) == ("ok", 1)
    assert lake.processed(STREAM, own) == processed
    # Whose rows were merged before has no origin, and is older than what is merged now; so is the order of its files.
    key = str(newest.relative_to(lake.raw))
    origins = {row[0] for row in lake.processed(STREAM, ORIGIN)}
    assert {text if text is None else text.split(" ", 1)[1] for text in origins} == {None, key}
    assert [row[0].split(" ", 1)[1] for row in lake.query("SELECT origin FROM lakehouse.meta.origins")] == [key]
    assert lake.ledger_keys() == sorted([*ledger, str(newest.relative_to(lake.raw))])
    stored = lake.query("SELECT DISTINCT reason, key_may_return FROM lakehouse.meta.removals ORDER BY ALL")
    assert stored == [("retention", False), ("vanished", True)]
    assert lake.ok("feed", *only).stream(STREAM)["status"] == "nothing_new"
    assert lake.document("doctor", only[0])["findings"] == []

    before = set(lake.objects())
    lake.ok("sample", only[0], "sample.days=14", "sample.files_per_day=1")
    again = set(lake.objects()) - before
    assert lake.ok("feed", *only).stream(STREAM)["files"] == len(again - set(ledger))
