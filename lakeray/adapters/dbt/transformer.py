"""Merges and enriched models by dbt: what to select, with which marks, and what came of it (P12)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from lakeray.adapters.dbt.code import of_models
from lakeray.adapters.dbt.failures import FailedAround, failure
from lakeray.ports.transformer import Dbt, Node, NodeResult, Ran
from lakeray.values.enriched import EVERYTHING, EnrichOrder
from lakeray.values.errors import (
    LakerayError,
    LeaseLostError,
    TransformError,
    TransformMemoryError,
    UsageError,
    nearest,
)
from lakeray.values.model import BuildResult, ModelRun, PendingTransform, RowsFound, StreamName

_MERGES = "lakeray_merge"
"""The materialization that a table can be rebuilt by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtTransformer:
    """The ``Transformer`` port."""

    dbt: Dbt
    failed_around: FailedAround
    """Tells what the database's message means, of a model that failed."""
    threads: int = 2
    """DuckDB's, when it builds the enriched models."""
    stream_threads: Mapping[str, int] = field(default_factory=dict)
    """DuckDB's for each stream, by slug: a wide one gets fewer."""

    def close(self) -> None:
        """See ``Transformer``."""
        self.dbt.close()

    def run_group(
        self, pending: Sequence[PendingTransform], *, by_rowscan: Collection[StreamName], token: int
    ) -> list[BuildResult | LakerayError]:
        """See ``Transformer``. One invocation for all; a stream that failed in company is tried again alone, once:
        what one model does to a shared process must not be held against another.
        """
        outcomes = self._merge(pending, by_rowscan=by_rowscan, token=token)
        if len(pending) == 1:
            return outcomes
        return [
            self._merge([asked], by_rowscan=by_rowscan, token=token)[0] if _is_worth_a_try(outcome) else outcome
            for asked, outcome in zip(pending, outcomes, strict=True)
        ]

    def run_rebuild(
        self, stream: StreamName, *, key: Sequence[str], plan: Mapping[str, object], token: int
    ) -> BuildResult:
        """See ``Transformer``. The macro is ``lakeray_rebuild``."""
        name = stream.processed_table
        model = next((node for node in self.dbt.manifest().values() if (node.kind, node.name) == ("model", name)), None)
        if model is None or model.materialized != _MERGES or model.unique_key != tuple(key):
            raise TransformError(
                f"{stream}: {name} cannot be made anew",
                expected=f"a model that is materialized as {_MERGES}, with the unique_key {', '.join(key)}",
                found="no model"
                if model is None
                else f"one that is materialized as {model.materialized}, with {', '.join(model.unique_key)}",
                todo="`lakeray generate` writes it. A model of your own is yours to change; if it does not merge, "
                "`dbt run --full-refresh` rebuilds it",
            )
        threads = self.stream_threads.get(stream.slug, self.threads)
        variables = {"lakeray_rebuild": {name: plan}, "lakeray_token": token, "lakeray_threads": threads}
        return self._built(self.dbt.run([name], variables), about=str(stream), select=name)

    def run_enriched(
        self,
        *,
        moved: Sequence[str],
        processed: Sequence[str],
        token: int,
        order: EnrichOrder = EVERYTHING,
        noted: Mapping[str, str] | None = None,
    ) -> BuildResult:
        """See ``Transformer``."""
        nodes = self.dbt.manifest()
        codes = of_models(nodes)
        for name in order.select:
            if name not in codes:
                raise UsageError(
                    f"--select {name}",
                    expected="a model tagged enriched",
                    found="none of this name",
                    todo=nearest(name, codes) or f"There are: {', '.join(sorted(codes)) or 'none'}",
                )
        edited = {name for name, code in codes.items() if noted is not None and noted.get(name) != code}
        there = _tables(processed)
        models = enriched_models(
            nodes, moved=_tables(moved), processed=there, edited=edited, select=order.select or None
        )
        if not models:
            return BuildResult(models=(), rows_affected=0, seconds=0.0, codes=codes)
        variables: dict[str, object] = {"lakeray_token": token, "lakeray_threads": self.threads}
        if edited & set(models):
            variables["lakeray_edited"] = sorted(edited & set(models))
        built = self._built(
            self.dbt.run(models, variables, full_refresh=order.full_refresh), about="enriched", select=" ".join(models)
        )
        not_yet = edited - set(models)
        return replace(built, codes={name: code for name, code in codes.items() if name not in not_yet})

    def _merge(
        self, pending: Sequence[PendingTransform], *, by_rowscan: Collection[StreamName], token: int
    ) -> list[BuildResult | LakerayError]:
        marks = {asked.stream.slug: _marks(asked, by_rowscan=asked.stream in by_rowscan) for asked in pending}
        # A text, which dbt passes on as it is: of a batch of thousands of files it would take long to read as YAML.
        origins = {asked.stream.slug: _origins(asked) for asked in pending if asked.origins}
        variables = {"lakeray_marks": marks, "lakeray_origins": origins, "lakeray_token": token}
        variables["lakeray_threads"] = min(self._threads(asked) for asked in pending)
        try:
            ran = self.dbt.run([f"tag:{slug}" for slug in marks], variables)
        except LakerayError as error:
            return [error] * len(pending)
        return [self._outcome_of(asked.stream, ran) for asked in pending]

    def _threads(self, asked: PendingTransform) -> int:
        return 1 if asked.spill else self.stream_threads.get(asked.stream.slug, self.threads)

    def _outcome_of(self, stream: StreamName, ran: Ran) -> BuildResult | LakerayError:
        nodes = self.dbt.manifest()
        own = tuple(item for item in ran.results if stream.slug in tags_of(nodes, item.node))
        try:
            return self._built(replace(ran, results=own), about=str(stream), select=f"tag:{stream.slug}")
        except LakerayError as error:
            return error

    def _built(self, ran: Ran, *, about: str, select: str) -> BuildResult:
        failed = [item for item in ran.results if item.failed]
        if failed or ran.problem is not None:
            raise failure(about, failed, ran.problem, failed_around=self.failed_around)
        models = [item for item in ran.results if item.node.kind == "model"]
        if not models:
            raise TransformError(
                f"{about}: dbt selected no model",
                expected=f"models for {select}",
                found="none",
                todo="Is the stream's model in dbt/models/processed? `lakeray generate` writes it",
            )
        return BuildResult(
            models=tuple(item.node.name for item in models),
            rows_affected=sum(item.rows for item in models),
            seconds=sum(item.seconds for item in models),
            runs=tuple(_model_run(item) for item in ran.results),
            peak_bytes=max((item.peak_bytes for item in models if item.peak_bytes is not None), default=None),
            found=tuple(_found(item) for item in models if item.told),
        )


def enriched_models(
    nodes: Mapping[str, Node],
    *,
    moved: Collection[str],
    processed: Collection[str],
    edited: Collection[str] = (),
    select: Collection[str] | None = None,
) -> list[str]:
    """The names of the enriched models to build, sorted: those whose processed tables all exist, and that depend on a
    moved one or are edited; or the selected ones.
    """
    chosen = []
    for node in nodes.values():
        if node.kind != "model" or "enriched" not in node.tags:
            continue
        tables = {parent.name for parent in _ancestors(nodes, node) if "processed" in parent.tags}
        behind = bool(tables & set(moved)) or node.name in edited
        if tables <= set(processed) and (behind if select is None else node.name in select):
            chosen.append(node.name)
    return sorted(chosen)


def tags_of(nodes: Mapping[str, Node], node: Node) -> frozenset[str]:
    """A model's tags, or those of the models that a test is about."""
    if node.kind == "model":
        return node.tags
    return node.tags.union(*(nodes[parent].tags for parent in node.parents if parent in nodes))


def _ancestors(nodes: Mapping[str, Node], node: Node) -> list[Node]:
    found: dict[str, Node] = {}
    waiting = list(node.parents)
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent in nodes:
            found[parent] = nodes[parent]
            waiting.extend(nodes[parent].parents)
    return list(found.values())


def _model_run(item: NodeResult) -> ModelRun:
    return ModelRun(name=item.node.name, kind=item.node.kind, status=item.status, rows=item.rows, seconds=item.seconds)


def _is_worth_a_try(outcome: BuildResult | LakerayError) -> bool:
    # One model is run after the other: what did not fit in company does not fit alone either.
    return isinstance(outcome, LakerayError) and not isinstance(outcome, LeaseLostError | TransformMemoryError)


def _marks(asked: PendingTransform, *, by_rowscan: bool) -> dict[str, object]:
    marks: dict[str, object] = {"from": asked.from_snapshot, "to": asked.to_snapshot}
    if by_rowscan:
        marks["by"] = "rowscan"
    if asked.paths:
        marks["paths"] = list(asked.paths)
    if asked.generation is not None:
        marks |= {"generation": asked.generation, "part": list(asked.part), "stream": str(asked.stream)}
    return marks


def _origins(asked: PendingTransform) -> str:
    files = [{"path": item.path, "origin": item.origin} for item in asked.origins]
    return json.dumps(files)  # in ASCII: dbt reads the whole as YAML, which knows no surrogate pairs


def _found(item: NodeResult) -> RowsFound:
    """What the merge had to say of its rows: the macro ``lakeray_note_found`` tells it."""
    return RowsFound(
        model=item.node.name,
        without_key=item.told["without_key"],
        cursor=item.told["cursor"],
        cursor_breaks=item.told["cursor_breaks"],
        cursor_type=item.told["cursor_type"],
        is_new_type=item.told["is_new_type"],
    )


def _tables(streams: Sequence[str]) -> set[str]:
    return {"int_" + stream.replace("/", "__") for stream in streams}
