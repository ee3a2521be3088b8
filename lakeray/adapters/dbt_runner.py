"""dbt in the committer's own process: parsed once, invoked per batch, its failures typed (P12)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lakeray.adapters import peak
from lakeray.adapters.dbt_failures import failure, first_lines
from lakeray.errors import TransformError
from lakeray.model import BuildResult, ModelRun, PendingTransform


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


class DbtRunner:
    """Runs models of the project. Importing dbt takes seconds: it happens at the first run, not before."""

    def __init__(self, project: DbtProject) -> None:
        self._project = project
        self._manifest: Any = None

    def run_processed(self, pending: PendingTransform, *, by_rowscan: bool, token: int) -> BuildResult:
        """Merge exactly the rows of ``pending`` into the stream's processed table.

        Raises:
            TransformError: a model failed, or the stream has no model.
        """
        marks: dict[str, object] = {"from": pending.from_snapshot, "to": pending.to_snapshot}
        if by_rowscan:
            marks["by"] = "rowscan"
        if pending.paths:
            marks["paths"] = list(pending.paths)
        variables: dict[str, object] = {"lakeray_marks": {pending.stream.slug: marks}, "lakeray_token": token}
        threads = self._project.stream_threads.get(pending.stream.slug, self._project.threads)
        variables["lakeray_threads"] = 1 if pending.spill else threads
        measured = peak.begin()
        built = self._run([f"tag:{pending.stream.slug}"], variables, about=str(pending.stream))
        return replace(built, peak_bytes=peak.peak_bytes() if measured else None)

    def run_enriched(self, *, moved: Sequence[str], processed: Sequence[str], token: int) -> BuildResult:
        """Build the enriched models that depend on a moved stream, and whose processed tables all exist.

        Raises:
            TransformError: a model failed.
        """
        models = self._enriched_models(moved=_tables(moved), processed=_tables(processed))
        if not models:
            return BuildResult(models=(), rows_affected=0, seconds=0.0)
        return self._run(models, {"lakeray_token": token, "lakeray_threads": self._project.threads}, about="enriched")

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

    def _run(self, select: Sequence[str], variables: Mapping[str, object], *, about: str) -> BuildResult:
        self._parsed()
        command = "build" if self._project.tests else "run"
        result = self._invoke([command, "--select", *select, "--vars", json.dumps(variables)])
        results = list(getattr(result.result, "results", None) or [])
        failed = [item for item in results if str(item.status) not in ("success", "pass", "warn")]
        if failed or not result.success:
            raise failure(about, failed, result.exception)
        models = [item for item in results if item.node.resource_type == "model"]
        if not models:
            raise TransformError(
                f"{about}: dbt selected no model",
                expected=f"models for {' '.join(select)}",
                found="none",
                todo="Is the stream's model in dbt/models/processed? `lakeray generate` writes it",
            )
        return BuildResult(
            models=tuple(item.node.name for item in models),
            rows_affected=sum(_rows(item) for item in models),
            seconds=sum(item.execution_time for item in models),
            runs=tuple(_model_run(item) for item in results),
        )

    def _invoke(self, arguments: list[str]) -> Any:
        os.environ.update(self._project.environment)
        from dbt.cli.main import dbtRunner  # takes 3.5 s to import, and only a transform needs it

        folder = str(self._project.project_dir)
        # manifest.json is 0.8 MB that nobody reads; writing it takes longer than a small merge.
        flags = ["--no-use-colors", "--quiet", "--no-write-json", "--log-level", "none", "--log-level-file", "info"]
        paths = ["--project-dir", folder, "--profiles-dir", folder]
        output = ["--target-path", str(self._project.target_dir), "--log-path", str(self._project.target_dir / "logs")]
        return dbtRunner(manifest=self._manifest).invoke([*flags, *arguments, *paths, *output])


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
