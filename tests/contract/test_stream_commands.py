"""Commands about the streams themselves, on the in-memory lake."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from lakeray.cli.commands import check, doctor, drop_stream, new_stream, streams
from lakeray.cli.commands.generate import wanted
from lakeray.cli.parse import parse
from lakeray.cli.terminal import Output
from lakeray.run import feed_all
from lakeray.streams.generated import ProposedStream, config_text
from lakeray.values.errors import DataError, UsageError
from lakeray.values.keys import CLAIM
from lakeray.values.model import Footer, Rejected, RejectReason, SourceFile, StreamName
from tests.support.fakes.application import ORDERS, MemoryApplication
from tests.support.fakes.feeds import key_for
from tests.support.fakes.records import STREAM, content, footer_of, row

DAY = date(2026, 3, 30)


@pytest.fixture
def lake(tmp_path: Path) -> MemoryApplication:
    """A lake, and a project with the files that follow from its stream's config."""
    lake = MemoryApplication()
    lake.configure(dbt=replace(lake.settings.dbt, project_dir=tmp_path / "dbt"))
    for path, text in wanted(lake.settings).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    config = tmp_path / "conf" / "stream" / STREAM.source / f"{STREAM.stream}.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("# mine\n", encoding="utf-8")
    return lake


def checked(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], *, models: Callable[[], frozenset[str]] | None = None
) -> tuple[int, dict[str, str | None]]:
    """The exit code, and the problem of each thing that was looked at."""

    def read(file: SourceFile) -> Footer | Rejected:
        data = lake.world.store.read(file.key)
        return footer_of(data) if data else Rejected(file=file, reason=RejectReason.EMPTY, detail="found 0 bytes")

    known = models or (lambda: frozenset({STREAM.processed_table}))
    code = check.show(lake.open(), Output(as_json=True), models=known, footer_of=read)
    return code, {item["what"]: item["problem"] for item in json.loads(capsys.readouterr().out)["checks"]}


def test_check_says_that_a_feed_can_begin_and_writes_nothing(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.world.put(key_for(DAY), row(1))
    head = lake.world.catalog.head
    code, found = checked(lake, capsys)
    assert code == 0 and set(found) == {"dbt", "config", "generated", "model", "lake", "prefix", "types"}
    assert (lake.world.catalog.head, lake.opened_committers) == (head, 0)
    assert lake.world.store.read_whole(f"{STREAM}/{CLAIM}") is None
    assert not feed_all(lake.open(), stop=lambda: False).failed
    assert checked(lake, capsys)[0] == 0


def test_check_names_what_a_feed_would_stumble_over(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, found = checked(lake, capsys)
    assert code == 1 and "found none" in str(found["prefix"])
    lake.world.put_bytes(key_for(DAY), b"")
    assert "0 bytes" in str(checked(lake, capsys)[1]["types"])
    lake.world.put_bytes(key_for(DAY), content([row(1)], columns={"pk": "VARCHAR[]"}))
    assert "expected BIGINT" in str(checked(lake, capsys)[1]["types"])
    assert "a model int_" in str(checked(lake, capsys, models=frozenset)[1]["model"])

    def broken() -> frozenset[str]:
        raise DataError("the dbt project cannot be parsed")

    assert "cannot be parsed" in str(checked(lake, capsys, models=broken)[1]["dbt"])
    (ddl,) = tmp_path.rglob("stg_*.sql")
    ddl.unlink()
    assert ddl.name in str(checked(lake, capsys)[1]["generated"])
    stream = lake.settings.streams[STREAM.slug]
    lake.configure(streams={STREAM.slug: replace(stream, primary_key=("nothing",))})
    assert "primary_key" in str(checked(lake, capsys)[1]["config"])


def test_check_tells_what_the_newest_file_brings(lake: MemoryApplication, capsys: pytest.CaptureFixture[str]) -> None:
    columns = {"pk": "INTEGER", "cursor": "DECIMAL(4,0)", "value": "VARCHAR", "more": "BIGINT"}
    lake.world.put_bytes(key_for(DAY), content([], columns=columns))
    check.show(
        lake.open(),
        Output(as_json=False),
        models=lambda: frozenset({STREAM.processed_table}),
        footer_of=lambda file: footer_of(lake.world.store.read(file.key)),
    )
    shown = capsys.readouterr().out
    assert "landing gets or widens more" in shown and "a converted copy of cursor" in shown
    assert "A feed can begin" in shown


def dropped(lake: MemoryApplication, capsys: pytest.CaptureFixture[str], project: Path, *, yes: bool) -> dict[str, Any]:
    assert drop_stream.show(lake.open(), STREAM, Output(as_json=True), home=project, yes=yes) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_drop_tells_first_and_leaves_raw_files_and_models_that_were_taken_over(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake.world.put(key_for(DAY), row(1))
    lake.world.put_bytes(key_for(DAY, "part_1.parquet"), b"")
    assert not feed_all(lake.open(), stop=lambda: False).failed
    (model,) = tmp_path.rglob("int_*.sql")
    model.write_text("select 1", encoding="utf-8")
    told = dropped(lake, capsys, tmp_path, yes=False)
    assert told["bookkeeping_rows"]["files that are registered"] == 1 and told["bookkeeping_rows"]["quarantine"] == 1
    assert lake.opened_committers == 1 and lake.open().reader.streams() == [STREAM]
    gone = dropped(lake, capsys, tmp_path, yes=True)
    assert gone["left_files"] == [f"dbt/models/processed/{STREAM.source}/{model.name}"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [model]
    reader, store = lake.open().reader, lake.world.store
    assert (reader.streams(), reader.landing_columns(STREAM), reader.totals(STREAM)) == ([], None, (0, None))
    assert store.exists(key_for(DAY)) and not store.exists(f"{STREAM}/{CLAIM}")
    assert dropped(lake, capsys, tmp_path, yes=True)["tables"] == {}


def test_a_drop_of_what_was_never_taken_in_makes_no_lake(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake.world.catalog.lake_id = None
    assert "Do it" in _shown(lake, capsys, tmp_path, yes=False)
    assert "stay" in _shown(lake, capsys, tmp_path, yes=True)
    assert lake.opened_committers == 0


def _shown(lake: MemoryApplication, capsys: pytest.CaptureFixture[str], project: Path, *, yes: bool) -> str:
    drop_stream.show(lake.open(), STREAM, Output(as_json=False), home=project, yes=yes)
    return capsys.readouterr().out


def test_another_lake_that_claimed_the_place_keeps_its_claim(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lake.world.put(key_for(DAY), row(1))
    assert not feed_all(lake.open(), stop=lambda: False).failed
    lake.world.store.put(f"{STREAM}/{CLAIM}", b'{"lake": "another"}')
    dropped(lake, capsys, tmp_path, yes=True)
    assert lake.world.store.exists(f"{STREAM}/{CLAIM}")


def test_doctor_tells_tables_without_a_stream_and_mends_nothing_of_them(
    lake: MemoryApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.world.put(key_for(DAY), row(1))
    assert not feed_all(lake.open(), stop=lambda: False).failed
    assert doctor.show(lake.open(), Output(as_json=True)) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    lake.configure(streams={})
    assert doctor.show(lake.open(), Output(as_json=True)) == 0
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert found["kind"] == "tables_without_a_stream" and f"drop-stream {STREAM}" in found["detail"]
    assert doctor.show(lake.open(), Output(as_json=True), configured=[STREAM]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []


def test_streams_lists_what_is_configured(lake: MemoryApplication, capsys: pytest.CaptureFixture[str]) -> None:
    assert streams.run(lake.settings, [], Output(as_json=True)) == 0
    (found,) = json.loads(capsys.readouterr().out)["streams"]
    assert (found["stream"], found["root"], found["primary_key"]) == (str(STREAM), f"{STREAM}/", ["pk"])
    assert streams.run(replace(lake.settings, streams={}), [], Output(as_json=False)) == 0
    assert "new-stream" in capsys.readouterr().out


def test_a_schema_makes_a_stream_before_there_is_a_file(
    tmp_path: Path, lake: MemoryApplication, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKERAY_HOME", str(tmp_path))
    settings = replace(lake.settings, storage=replace(lake.settings.storage, url=f"file://{tmp_path}/raw"), streams={})
    schema = tmp_path / "orders.json"
    schema.write_text('{"properties": {"id": {"type": "integer"}, "at": {"type": "string"}}}', encoding="utf-8")
    words = ["acme/orders", f"--from-schema={schema}"]
    with pytest.raises(UsageError, match="--key NAME"):
        new_stream.run(settings, words, Output(as_json=True))
    with pytest.raises(UsageError, match="primary_key"):
        new_stream.run(settings, [*words, "--key=nothing"], Output(as_json=True))
    for wrong, told in (("Acme/orders", "lower-case"), ("acme/orders", "a JSON document")):
        with pytest.raises(UsageError, match=told):
            new_stream.run(settings, [wrong, f"--from-schema={tmp_path}/none.json"], Output(as_json=True))
    assert not (tmp_path / "conf" / "stream" / "acme").exists()
    assert new_stream.run(settings, [*words, "--key=id"], Output(as_json=False)) == 0
    shown = capsys.readouterr().out
    assert "+destination_sync_mode: append" in shown and "wrote conf/stream/acme/orders.yaml" in shown
    assert "lakeray check acme/orders" in shown
    written = {path.name for path in tmp_path.rglob("*acme*") if path.is_file()}
    assert written == {f"{kind}_acme__orders.sql" for kind in ("stg", "int")} | {
        f"_acme__{kind}.yml" for kind in ("sources", "models")
    }
    assert new_stream.run(settings, [*words, "--key=id"], Output(as_json=False)) == 0
    assert "Nothing to write" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["new-stream", "a/b", "--from-files"], new_stream.Asked(name=StreamName("a", "b"), schema=None)),
        (
            ["new-stream", "a/b", "--from-schema", "x.json", "--key", "i,j", "--cursor=at", "--path", "${NAMESPACE}/"],
            new_stream.Asked(
                name=StreamName("a", "b"), schema=Path("x.json"), key=("i", "j"), cursor="at", path="${NAMESPACE}/"
            ),
        ),
    ],
)
def test_the_words_of_new_stream_are_read(words: list[str], found: new_stream.Asked) -> None:
    assert new_stream.asked_of(parse(words).arguments) == found


@pytest.mark.parametrize(
    "words",
    [
        ["new-stream", "a/b"],
        ["new-stream", "orders", "--from-files"],
        ["new-stream", "a/b", "--from-files", "--from-schema", "x"],
        ["new-stream", "a/b", "--from-schema"],
        ["new-stream", "a/b", "--wrong"],
        ["feed", "--key", "x"],
    ],
)
def test_wrong_words_are_refused(words: list[str]) -> None:
    with pytest.raises(UsageError):
        new_stream.asked_of(parse(words).arguments)
    with pytest.raises(UsageError):
        drop_stream.named([])


def test_the_config_that_is_written_says_what_was_proposed() -> None:
    text = config_text(
        ProposedStream(
            name=STREAM, primary_key=["pk"], deleted_column="gone", path="A/${YEAR}_", fields=ORDERS["fields"]
        )
    )
    assert 'path: "A/${YEAR}_"\n' in text and "deleted_column: gone\n" in text and "cursor_field: null\n" in text
