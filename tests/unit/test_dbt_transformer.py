"""What is asked of dbt, and what is made of its results, with a dbt that a test writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from lakeray.adapters.dbt.code import of_models
from lakeray.adapters.dbt.transformer import DbtTransformer, enriched_models, tags_of
from lakeray.adapters.ducklake.duckdb_errors import failed_around
from lakeray.ports.transformer import Node, NodeResult, Ran
from lakeray.values.enriched import EnrichOrder
from lakeray.values.errors import LakerayError, LeaseLostError, TransformError, UsageError
from lakeray.values.model import BuildResult, Origin, PendingTransform, RowsFound, StreamName

A, B = StreamName("shop", "a"), StreamName("shop", "b")


def model(name: str, *tags: str, parents: Sequence[str] = ()) -> Node:
    return Node(id=name, name=name, kind="model", tags=frozenset(tags), parents=tuple(parents))


NODES = {
    node.id: node
    for node in (
        model("int_shop__a", "processed", A.slug),
        model("int_shop__b", "processed", B.slug),
        model("between", "enriched", parents=["int_shop__a"]),
        model("fct_ab", "enriched", parents=["between", "int_shop__b", "source.shop.x"]),
        Node(id="t", name="unique_a", kind="test", tags=frozenset(), parents=("int_shop__a", "source.shop.x")),
    )
}


class ScriptedDbt:
    """The ``Dbt`` port: answers in turn what the test says, and keeps what it was asked."""

    def __init__(self, *answers: Ran | LakerayError) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[list[str], dict[str, object]]] = []
        self.closed = False

    def manifest(self) -> Mapping[str, Node]:
        return NODES

    def run(self, select: Sequence[str], variables: Mapping[str, object], *, full_refresh: bool = False) -> Ran:
        self.asked.append((list(select), dict(variables) | ({"whole": True} if full_refresh else {})))
        answer = self._answers.pop(0)
        if isinstance(answer, LakerayError):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


def transformer_of(dbt: ScriptedDbt, **more: Any) -> DbtTransformer:
    return DbtTransformer(dbt=dbt, failed_around=failed_around, **more)


def done(name: str, status: str = "success", message: str = "", peak: int | None = None) -> NodeResult:
    return NodeResult(node=NODES[name], status=status, message=message, rows=3, seconds=0.5, peak_bytes=peak)


def pending(stream: StreamName, *, paths: tuple[str, ...] = (), spill: bool = False) -> PendingTransform:
    return PendingTransform(stream=stream, from_snapshot=4, to_snapshot=5, paths=paths, spill=spill)


def test_streams_are_merged_in_one_run_with_their_marks_and_the_fewest_threads() -> None:
    dbt = ScriptedDbt(Ran(results=(done("int_shop__a", peak=9), done("t", "pass"), done("int_shop__b"))))
    transformer = transformer_of(dbt, threads=4, stream_threads={A.slug: 2})
    first, second = transformer.run_group([pending(A, paths=("x",)), pending(B)], by_rowscan=[B], token=7)
    marks = {A.slug: {"from": 4, "to": 5, "paths": ["x"]}, B.slug: {"from": 4, "to": 5, "by": "rowscan"}}
    variables = {"lakeray_marks": marks, "lakeray_origins": {}, "lakeray_token": 7, "lakeray_threads": 2}
    assert dbt.asked == [([f"tag:{A.slug}", f"tag:{B.slug}"], variables)]
    assert isinstance(first, BuildResult) and isinstance(second, BuildResult)
    assert (first.models, first.peak_bytes, [run.kind for run in first.runs]) == (
        ("int_shop__a",),
        9,
        ["model", "test"],
    )
    assert (second.models, second.rows_affected, second.peak_bytes) == (("int_shop__b",), 3, None)


def test_origins_go_to_dbt_as_one_text_and_what_a_merge_found_comes_back() -> None:
    found = {"model": "int_shop__a", "without_key": 1, "cursor": "c", "cursor_breaks": 0, "cursor_type": None}
    told = replace(done("int_shop__a"), told={**found, "is_new_type": False})
    dbt = ScriptedDbt(Ran(results=(told,)))
    asked = replace(pending(A), origins=(Origin(path="p", origin="1 é 🦆"),))
    (built,) = transformer_of(dbt).run_group([asked], by_rowscan=[], token=7)
    text = dbt.asked[0][1]["lakeray_origins"][A.slug]
    assert text.isascii() and json.loads(text) == [{"path": "p", "origin": "1 é 🦆"}]
    assert isinstance(built, BuildResult)
    assert built.found == (RowsFound(model="int_shop__a", without_key=1, cursor="c"),)


def test_a_file_that_is_to_spill_gets_one_thread() -> None:
    dbt = ScriptedDbt(Ran(results=(done("int_shop__a"),)))
    transformer_of(dbt, threads=4).run_group([pending(A, spill=True)], by_rowscan=[], token=7)
    assert dbt.asked[0][1]["lakeray_threads"] == 1


def test_a_stream_that_failed_in_company_is_tried_again_alone_once() -> None:
    together = Ran(results=(done("int_shop__a", "error", "Binder Error: x"), done("int_shop__b")))
    dbt = ScriptedDbt(together, Ran(results=(done("int_shop__a"),)))
    first, second = transformer_of(dbt).run_group([pending(A), pending(B)], by_rowscan=[], token=7)
    assert isinstance(first, BuildResult) and isinstance(second, BuildResult)
    assert [select for select, _ in dbt.asked] == [[f"tag:{A.slug}", f"tag:{B.slug}"], [f"tag:{A.slug}"]]


@pytest.mark.parametrize("message", ["Out of Memory Error: no", "the lease with fencing token 3 is gone"])
def test_what_alone_would_fail_alike_is_not_tried_again(message: str) -> None:
    together = Ran(results=(done("int_shop__a", "error", message), done("int_shop__b")))
    dbt = ScriptedDbt(together)
    first, _ = transformer_of(dbt).run_group([pending(A), pending(B)], by_rowscan=[], token=7)
    assert isinstance(first, LakerayError) and len(dbt.asked) == 1


def test_a_run_that_fails_as_a_whole_fails_each_stream_and_each_is_tried_alone() -> None:
    lost = LeaseLostError("the lease is lost")
    dbt = ScriptedDbt(lost)
    assert transformer_of(dbt).run_group([pending(A), pending(B)], by_rowscan=[], token=7) == [lost, lost]


def test_a_stream_without_a_model_is_told_how_to_get_one() -> None:
    (outcome,) = transformer_of(ScriptedDbt(Ran(results=()))).run_group([pending(A)], by_rowscan=[], token=7)
    assert isinstance(outcome, TransformError) and "lakeray generate" in outcome.todo


def test_what_dbt_said_before_it_came_to_the_models_is_the_error() -> None:
    dbt = ScriptedDbt(Ran(results=(), problem="Parsing Error\n  in dbt_project.yml"))
    (outcome,) = transformer_of(dbt).run_group([pending(A)], by_rowscan=[], token=7)
    assert isinstance(outcome, TransformError) and outcome.found == "Parsing Error in dbt_project.yml"


@pytest.mark.parametrize(
    ("moved", "processed", "wanted"),
    [
        ({"int_shop__a"}, {"int_shop__a", "int_shop__b"}, ["between", "fct_ab"]),
        ({"int_shop__b"}, {"int_shop__a", "int_shop__b"}, ["fct_ab"]),
        ({"int_shop__a"}, {"int_shop__a"}, ["between"]),
        (set(), {"int_shop__a", "int_shop__b"}, []),
    ],
)
def test_an_enriched_model_is_built_when_an_input_moved_and_all_are_there(
    moved: set[str], processed: set[str], wanted: list[str]
) -> None:
    assert enriched_models(NODES, moved=moved, processed=processed) == wanted


def test_enriched_models_are_built_by_name_and_none_is_no_run() -> None:
    dbt = ScriptedDbt(Ran(results=(done("between"),)))
    transformer = transformer_of(dbt, threads=3)
    built = transformer.run_enriched(moved=["shop/a"], processed=["shop/a"], token=7)
    assert (built.models, dbt.asked) == (("between",), [(["between"], {"lakeray_token": 7, "lakeray_threads": 3})])
    assert transformer.run_enriched(moved=[], processed=["shop/a"], token=7).models == ()
    transformer.close()
    assert dbt.closed


def test_an_enriched_model_is_built_when_its_code_or_that_of_one_it_reads_is_another() -> None:
    nodes = {
        node.id: node
        for node in (
            model("int_shop__a", "processed"),
            replace(model("first", "enriched", parents=["int_shop__a"]), code="1"),
            replace(model("second", "enriched", parents=["first"]), code="2"),
            replace(model("other", "enriched"), code="3"),
        )
    }
    before = of_models(nodes)
    for edited, built in (("first", ["first", "second"]), ("second", ["second"]), ("other", ["other"])):
        after = of_models(nodes | {edited: replace(nodes[edited], code="new")})
        assert sorted(name for name in after if after[name] != before[name]) == built
        assert enriched_models(nodes, moved=(), processed={"int_shop__a"}, edited=built) == built
    assert enriched_models(nodes, moved=(), processed=(), edited=["first", "other"]) == ["other"]


def test_edited_models_are_named_to_dbt_and_a_code_is_noted_when_its_model_is_built() -> None:
    codes = of_models(NODES)
    dbt = ScriptedDbt(Ran(results=(done("between"),)))
    noted = {**codes, "between": "old", "fct_ab": "old"}
    built = transformer_of(dbt).run_enriched(moved=[], processed=["shop/a"], token=7, noted=noted)
    assert dbt.asked[0][0] == ["between"] and dbt.asked[0][1]["lakeray_edited"] == ["between"]
    assert built.codes == {"between": codes["between"]}, "fct_ab has not all its inputs, and waits"


def test_selected_models_are_built_whatever_they_have_seen_and_whole_when_asked() -> None:
    dbt = ScriptedDbt(Ran(results=(done("between"),)))
    order = EnrichOrder(select=("between",), full_refresh=True)
    transformer_of(dbt).run_enriched(moved=[], processed=["shop/a"], token=7, order=order, noted=of_models(NODES))
    assert dbt.asked == [(["between"], {"lakeray_token": 7, "lakeray_threads": 2, "whole": True})]
    with pytest.raises(UsageError, match=r"Did you mean between\?"):
        transformer_of(dbt).run_enriched(moved=[], processed=[], token=7, order=EnrichOrder(select=("betwen",)))


def test_a_test_has_the_tags_of_the_models_that_it_is_about() -> None:
    assert tags_of(NODES, NODES["t"]) == {"processed", A.slug}
