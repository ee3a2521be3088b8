"""dbt in the committer's own process: parsed once, invoked per batch, its failures typed (P12)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lakeray.adapters.dbt import resident_memory
from lakeray.adapters.dbt.failures import failure, first_lines
from lakeray.values.errors import LakerayError, LeaseLostError, TransformError, TransformMemoryError
from lakeray.values.model import BuildResult, ModelRun, PendingTransform, StreamName

_RENEW_AFTER = 50
"""Invocations of one DuckDB: as the committer's, and for the same reason (``RENEW_AFTER`` there)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtProject:
    """Where the project is, and the environment its profile reads."""

    project_dir: Path
    target_dir: Path
    """dbt's artifacts and logs, under ``paths.root``."""
    environment: Mapping[str, str] = field(repr=False)
    tests: bool = False
    """Run the tests of the touched models with them."""
    threads: int = 2
    """DuckDB's, when it builds the enriched models."""
    stream_threads: Mapping[str, int] = field(default_factory=dict)
    """DuckDB's for each stream, by slug: a wide one gets fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    """What an invocation came to."""

    results: list[Any]
    """dbt's results of the models and tests."""
    broken: bool
    """Whether it failed without a model or a test that did."""
    exception: BaseException | None
    """What it ended with then."""
    peaks: Mapping[str, int]
    """The highest resident bytes while a model ran, by its id, where the system tells."""


class _Peaks:
    """Measures each model by itself, from dbt's own events; models run one after the other."""

    def __init__(self) -> None:
        self.by_id: dict[str, int] = {}
        self._measured = False

    def __call__(self, event: Any) -> None:
        if event.info.name == "NodeStart":
            self._measured = resident_memory.begin()
        elif event.info.name == "NodeFinished" and self._measured:
            reached = resident_memory.peak_bytes()
            if reached is not None:
                self.by_id[event.data.node_info.unique_id] = reached


class DbtRunner:
    """Runs models of the project. Importing dbt takes seconds: it happens at the first run, not before."""

    def __init__(self, project: DbtProject) -> None:
        self._project = project
        self._manifest: Any = None
        self._invocations = 0

    def close(self) -> None:
        """Let dbt's DuckDB go, which dbt keeps for the next invocation; that one opens another."""
        if self._invocations:
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            DuckDBConnectionManager.close_all_connections()

    def run_group(
        self, pending: Sequence[PendingTransform], *, by_rowscan: Collection[StreamName], token: int
    ) -> list[BuildResult | LakerayError]:
        """Merge exactly the rows of ``pending`` into the streams' processed tables, in one invocation.

        Args:
            pending: of several streams, each once.
            by_rowscan: the streams whose DuckLake snapshots have expired by now.

        Returns:
            For each of ``pending`` what was done, or why it failed: a TransformError when its model failed, or when it
            has none; or what failed around it. A stream that failed in company is tried again alone, once: what one
            model does to a shared process must not be held against another.
        """
        outcomes = self._merge(pending, by_rowscan=by_rowscan, token=token)
        if len(pending) == 1:
            return outcomes
        return [
            self._merge([asked], by_rowscan=by_rowscan, token=token)[0] if _is_worth_a_try(outcome) else outcome
            for asked, outcome in zip(pending, outcomes, strict=True)
        ]

    def _merge(
        self, pending: Sequence[PendingTransform], *, by_rowscan: Collection[StreamName], token: int
    ) -> list[BuildResult | LakerayError]:
        marks = {asked.stream.slug: _marks(asked, by_rowscan=asked.stream in by_rowscan) for asked in pending}
        threads = min(self._threads(asked) for asked in pending)
        variables = {"lakeray_marks": marks, "lakeray_token": token, "lakeray_threads": threads}
        try:
            ran = self._invoked([f"tag:{slug}" for slug in marks], variables)
        except LakerayError as error:
            return [error] * len(pending)
        return [self._outcome_of(asked.stream, ran) for asked in pending]

    def _threads(self, asked: PendingTransform) -> int:
        return 1 if asked.spill else self._project.stream_threads.get(asked.stream.slug, self._project.threads)

    def _outcome_of(self, stream: StreamName, ran: _Ran) -> BuildResult | LakerayError:
        own = [item for item in ran.results if stream.slug in _tags_of(self._manifest, item.node)]
        try:
            return _built(replace(ran, results=own), about=str(stream), select=f"tag:{stream.slug}")
        except LakerayError as error:
            return error

    def run_enriched(self, *, moved: Sequence[str], processed: Sequence[str], token: int) -> BuildResult:
        """Build the enriched models that depend on a moved stream, and whose processed tables all exist.

        Raises:
            TransformError: a model failed.
        """
        models = self._enriched_models(moved=_tables(moved), processed=_tables(processed))
        if not models:
            return BuildResult(models=(), rows_affected=0, seconds=0.0)
        ran = self._invoked(models, {"lakeray_token": token, "lakeray_threads": self._project.threads})
        return _built(ran, about="enriched", select=" ".join(models))

    def _enriched_models(self, *, moved: set[str], processed: set[str]) -> list[str]:
        manifest = self._parsed()
        names = {node_id: node.name for node_id, node in manifest.nodes.items()}
        chosen = []
        for node in manifest.nodes.values():
            if node.resource_type != "model" or "enriched" not in node.tags:
                continue
            tables = {names[parent] for parent in _ancestors(manifest, node) if "processed" in _tags(manifest, parent)}
            if tables & moved and tables <= processed:
                chosen.append(node.name)
        return sorted(chosen)

    def _parsed(self) -> Any:
        if self._manifest is None:
            result = self._invoke(["parse"])
            if not result.success:
                raise TransformError(
                    "the dbt project cannot be parsed",
                    found=first_lines(str(result.exception)),
                    todo=f"See {self._project.project_dir}",
                )
            self._manifest = result.result
        return self._manifest

    def _invoked(self, select: Sequence[str], variables: Mapping[str, object]) -> _Ran:
        self._parsed()
        command = "build" if self._project.tests else "run"
        peaks = _Peaks()
        result = self._invoke([command, "--select", *select, "--vars", json.dumps(variables)], callbacks=[peaks])
        results = list(getattr(result.result, "results", None) or [])
        explained = result.success or any(_is_failure(item) for item in results)
        return _Ran(results=results, broken=not explained, exception=result.exception, peaks=peaks.by_id)

    def _invoke(self, arguments: list[str], *, callbacks: Sequence[Callable[[Any], None]] = ()) -> Any:
        os.environ.update(self._project.environment)
        if self._invocations % _RENEW_AFTER == 0:
            self.close()
        self._invocations += 1
        from dbt.cli.main import dbtRunner  # takes 3.5 s to import, and only a transform needs it

        folder = str(self._project.project_dir)
        # manifest.json is 0.8 MB that nobody reads; writing it takes longer than a small merge.
        flags = ["--no-use-colors", "--quiet", "--no-write-json", "--log-level", "none", "--log-level-file", "info"]
        paths = ["--project-dir", folder, "--profiles-dir", folder]
        output = ["--target-path", str(self._project.target_dir), "--log-path", str(self._project.target_dir / "logs")]
        return dbtRunner(manifest=self._manifest, callbacks=list(callbacks)).invoke(
            [*flags, *arguments, *paths, *output]
        )


def _built(ran: _Ran, *, about: str, select: str) -> BuildResult:
    failed = [item for item in ran.results if _is_failure(item)]
    if failed or ran.broken:
        raise failure(about, failed, ran.exception)
    models = [item for item in ran.results if item.node.resource_type == "model"]
    if not models:
        raise TransformError(
            f"{about}: dbt selected no model",
            expected=f"models for {select}",
            found="none",
            todo="Is the stream's model in dbt/models/processed? `lakeray generate` writes it",
        )
    return BuildResult(
        models=tuple(item.node.name for item in models),
        rows_affected=sum(_rows(item) for item in models),
        seconds=sum(item.execution_time for item in models),
        runs=tuple(_model_run(item) for item in ran.results),
        peak_bytes=max((ran.peaks[i.node.unique_id] for i in models if i.node.unique_id in ran.peaks), default=None),
    )


def _is_failure(result: Any) -> bool:
    return str(result.status) not in ("success", "pass", "warn")


def _is_worth_a_try(outcome: BuildResult | LakerayError) -> bool:
    # One model is run after the other: what did not fit in company does not fit alone either.
    return isinstance(outcome, LakerayError) and not isinstance(outcome, LeaseLostError | TransformMemoryError)


def _marks(asked: PendingTransform, *, by_rowscan: bool) -> dict[str, object]:
    marks: dict[str, object] = {"from": asked.from_snapshot, "to": asked.to_snapshot}
    if by_rowscan:
        marks["by"] = "rowscan"
    if asked.paths:
        marks["paths"] = list(asked.paths)
    return marks


def _tags_of(manifest: Any, node: Any) -> set[str]:
    """A model's tags, or those of the models that a test is about."""
    if node.resource_type == "model":
        return set(node.tags)
    parents = (manifest.nodes[parent] for parent in node.depends_on.nodes if parent in manifest.nodes)
    return set(node.tags).union(*(parent.tags for parent in parents))


def _tables(streams: Sequence[str]) -> set[str]:
    return {"int_" + stream.replace("/", "__") for stream in streams}


def _ancestors(manifest: Any, node: Any) -> set[str]:
    found: set[str] = set()
    waiting = list(node.depends_on.nodes)
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent in manifest.nodes:
            found.add(parent)
            waiting.extend(manifest.nodes[parent].depends_on.nodes)
    return found


def _tags(manifest: Any, node_id: str) -> Sequence[str]:
    tags: Sequence[str] = manifest.nodes[node_id].tags
    return tags


def _model_run(result: Any) -> ModelRun:
    return ModelRun(
        name=result.node.name,
        kind=str(result.node.resource_type),
        status=str(result.status),
        rows=_rows(result),
        seconds=float(result.execution_time),
    )


def _rows(result: Any) -> int:
    rows = (result.adapter_response or {}).get("rows_affected", 0)
    return int(rows) if isinstance(rows, int | str) and str(rows).isdigit() else 0
