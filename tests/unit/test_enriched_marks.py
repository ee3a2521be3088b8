"""What is behind, what is noted of a build, and which snapshots are still to be read, follow from the marks."""

from __future__ import annotations

import json
from pathlib import Path

from lakeray.adapters.dbt.code import fingerprint
from lakeray.values.enriched import PROJECT, STREAMS, EnrichedMarks, EnrichOrder

NOW = {"shop/a": 5, "shop/b": 7}


def marks(**more: object) -> EnrichedMarks:
    rows = {STREAMS: NOW, PROJECT: {"project": "p", "models": {"fct": "1"}}, **more}
    return EnrichedMarks.of((model, json.dumps(built)) for model, built in rows.items())


def test_behind_is_who_has_another_input_or_another_project() -> None:
    assert not marks().are_behind(NOW, project="p") and not marks().are_behind(NOW, project="")
    assert marks().are_behind({**NOW, "shop/a": 6}, project="p") and marks().are_behind(NOW, project="q")
    assert marks().moved({**NOW, "shop/a": 6, "shop/c": 1}) == ["shop/a", "shop/c"]
    nothing = EnrichedMarks.of([])
    assert not nothing.are_behind({}, project="p") and nothing.are_behind(NOW, project="p")
    assert (nothing.noted, marks().noted) == ({}, {"fct": "1"})


def test_a_lake_of_an_earlier_version_notes_the_project_without_building_everything_whole() -> None:
    before = EnrichedMarks.of([(STREAMS, json.dumps(NOW))])
    assert before.are_behind(NOW, project="p") and before.moved(NOW) == [] and before.noted is None
    after = before.after(EnrichOrder(project="p"), processed=NOW, built=(), codes={"fct": "1"})
    assert not EnrichedMarks.of(after.items()).are_behind(NOW, project="p")
    assert before.after(EnrichOrder(project="p", select=("fct",)), processed=NOW, built=["fct"], codes={}) == {}


def test_where_nobody_looked_at_the_project_the_streams_alone_are_noted() -> None:
    after = marks().after(EnrichOrder(), processed={"shop/a": 9}, built=["fct"], codes={"fct": "2"})
    assert after == {STREAMS: '{"shop/a": 9}'}


def test_what_is_selected_moves_its_own_code_alone() -> None:
    order = EnrichOrder(project="q", select=("fct",))
    after = EnrichedMarks.of(marks().after(order, processed=NOW, built=["fct"], codes={"fct": "2", "dim": "3"}).items())
    assert (after.project, after.codes, after.streams) == ("p", {"fct": "2"}, {})


def test_snapshots_are_kept_from_the_oldest_mark_on_while_an_input_is_ahead() -> None:
    read = marks(fct={"snapshot": 41}, dim={"snapshot": 39})
    assert read.keep_from(NOW) is None, "nobody waits: an idle lake lets its snapshots go"
    assert read.keep_from({**NOW, "shop/b": 8}) == 40
    assert marks(fct={"code": "x"}).keep_from({**NOW, "shop/b": 8}) is None


def test_the_fingerprint_follows_the_projects_own_files(tmp_path: Path) -> None:
    def write(path: str, text: str = "select 1") -> str:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        return fingerprint(tmp_path)

    assert fingerprint(tmp_path / "nowhere")
    before = write("models/own/fct.sql")
    for path in (
        "target/x.sql",
        "logs/y.sql",
        "dbt_packages/lakeray/m.sql",
        "landing/z.sql",
        "models/.fct.sql",
        "n.txt",
    ):
        assert write(path) == before
    seen = {before}
    for path in ("models/own/dim.sql", "macros/m.sql", "models/own/fct.yml", "dbt_project.yml"):
        seen.add(write(path))
    seen.add(write("models/own/fct.sql", "select 2"))
    (tmp_path / "macros/m.sql").rename(tmp_path / "macros/n.sql")
    seen.add(fingerprint(tmp_path))
    assert len(seen) == 7
