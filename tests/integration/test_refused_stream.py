"""Streams whose config is refused fail alone: every command does its work for the others, and says whose key it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.real.lake import Lake, Ran
from tests.support.real.parquet import record, write

GOOD = "klaviyo/metrics"
REFUSED = {"bad/key": "streams.bad__key.primary_kez", "bad/yaml": "stream/bad/yaml.yaml"}
"""A stream to what its error is about, or ends in."""
NAMED = f"+stream=[bad/key,{GOOD},bad/yaml]"


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two streams."""
    folder = tmp_path_factory.mktemp("configs")
    (folder / "stream/bad").mkdir(parents=True)
    head = "# @package streams.bad__key\nsource: bad\nstream: key\ncursor_field: null\nfields: {id: BIGINT}\n"
    (folder / "stream/bad/key.yaml").write_text(head + "primary_kez: [id]\n")
    (folder / "stream/bad/yaml.yaml").write_text("# @package streams.bad__yaml\nsource: bad\n\tstream: yaml\n")
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, extension_directory: Path) -> Lake:
    made = Lake.new(tmp_path_factory.mktemp("refused") / "lake", extensions=extension_directory)
    write(made.raw / f"{GOOD}/year=2026/month=01/day=01/part_0.parquet", record("one"))
    return made


@pytest.fixture(scope="module")
def feed(lake: Lake, configs: Path) -> Ran:
    """The first command that the lake sees."""
    return lake.run("feed", "--config-dir", str(configs), NAMED)


def assert_told(errors: dict[str, Any]) -> None:
    """Each refused stream has its own error, the good one has none."""
    assert {name: error for name, error in errors.items() if error is None} == {GOOD: None}
    for name, about in REFUSED.items():
        error = errors[name]
        assert error["kind"] == "usage" and error["about"].endswith(about) and error["todo"], error


def by_stream(document: Any) -> dict[str, Any]:
    return {f"{item['source']}/{item['stream']}": item.get("error") for item in document["streams"]}


def test_the_others_are_fed(feed: Ran, lake: Lake) -> None:
    assert feed.code == 1, feed.err
    assert_told(by_stream(feed.document))
    statuses = {f"{s['source']}/{s['stream']}": s["status"] for s in feed.document["streams"]}
    assert statuses == {GOOD: "ok", "bad/key": "failed", "bad/yaml": "failed"}
    assert [row[0] for row in lake.processed(GOOD, "id")] == ["one"]
    told = [event["stream"] for event in feed.events if event["event"] == "stream_finished" and event["error"]]
    assert sorted(told) == sorted(REFUSED)


@pytest.mark.parametrize("command", ["feed", "plan", "reconcile", "replay"])
def test_a_command_does_its_work_for_the_others(feed: Ran, lake: Lake, configs: Path, command: str) -> None:
    days = ("replay.from=2026-01-01", "replay.to=2026-01-02") if command == "replay" else ()
    ran = lake.run(command, "--config-dir", str(configs), NAMED, *days)
    assert ran.code == 1, ran.err
    assert_told(by_stream(ran.document))


def test_status_and_doctor_tell_it_too(feed: Ran, lake: Lake, configs: Path) -> None:
    ran = lake.run("status", "--config-dir", str(configs), NAMED)
    errors = by_stream(ran.document)
    assert ran.code == 1 and errors[GOOD] is None and ran.stream(GOOD)["processed_rows"] == 1
    assert all(about in errors[name] for name, about in REFUSED.items())
    ran = lake.run("doctor", "--config-dir", str(configs), NAMED)
    found = {item["stream"]: (item["kind"], item["detail"]) for item in ran.document["findings"]}
    assert ran.code == 1 and found.keys() == REFUSED.keys()
    assert all(found[name][0] == "config_refused" and about in found[name][1] for name, about in REFUSED.items())


@pytest.mark.parametrize("words", [("generate", "check"), ("clean", NAMED), ("rebuild", NAMED)])
def test_commands_that_change_nothing_here_end_with_the_refusal(
    feed: Ran, lake: Lake, configs: Path, words: tuple[str, ...]
) -> None:
    ran = lake.run(words[0], "--config-dir", str(configs), *words[1:])
    assert ran.code == 1, ran.err
    if words[0] == "rebuild":
        assert_told(by_stream(ran.document))
    else:
        assert ran.document.get("drifted", []) == []
        assert_told({GOOD: None} | {f"{i['source']}/{i['stream']}": i["error"] for i in ran.document["refused"]})


def test_a_stream_that_is_named_alone_is_wrong_usage(lake: Lake, configs: Path) -> None:
    for name, about in REFUSED.items():
        ran = lake.run("feed", "--config-dir", str(configs), f"+stream={name}")
        assert ran.code == 2 and ran.document["error"]["about"].endswith(about)
