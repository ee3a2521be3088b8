"""dbt by its Python runner, in the committer's own process: parsed once, invoked per batch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lakeray.adapters.dbt import code, package, parsed, resident_memory
from lakeray.adapters.dbt.failures import first_lines
from lakeray.ports.transformer import Node, NodeResult, Ran
from lakeray.values.errors import TransformError

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


class PythonDbt:
    """The ``Dbt`` port. Importing dbt takes seconds: it happens at the first run, not before."""

    def __init__(self, project: DbtProject) -> None:
        self._project = project
        self._parsed: Any = None
        self._nodes: Mapping[str, Node] = {}
        self._invocations = 0

    def close(self) -> None:
        """Let dbt's DuckDB go, which dbt keeps for the next invocation; that one opens another."""
        if self._invocations:
            from dbt.adapters.duckdb.connections import DuckDBConnectionManager

            DuckDBConnectionManager.close_all_connections()

    def manifest(self) -> Mapping[str, Node]:
        """See ``Dbt``."""
        if self._parsed is None:
            package.link(self._project.project_dir)
            project_dir, target_dir = self._project.project_dir, self._project.target_dir
            parsed.take_over(project_dir, target_dir=target_dir)
            result = self._invoke(["parse"], environment=parsed.PARSING)
            if not result.success:
                raise TransformError(
                    "the dbt project cannot be parsed",
                    found=first_lines(str(result.exception)),
                    todo=f"See {self._project.project_dir}",
                )
            parsed.keep(project_dir, target_dir=target_dir)
            self._parsed = result.result
            macros = self._parsed.macros
            self._nodes = {
                name: replace(_node(node), code=code.of_node(node, macros)) for name, node in self._parsed.nodes.items()
            }
        return self._nodes

    def run(self, select: Sequence[str], variables: Mapping[str, object], *, full_refresh: bool = False) -> Ran:
        """See ``Dbt``."""
        self.manifest()
        command = "build" if self._project.tests else "run"
        peaks = _Peaks()
        whole = ["--full-refresh"] if full_refresh else []
        words = [command, "--select", *select, *whole, "--vars", json.dumps(variables)]
        result = self._invoke(words, callbacks=[peaks])
        found = list(getattr(result.result, "results", None) or [])
        results = tuple(_result(item, peaks.by_id) for item in found)
        explained = result.success or any(item.failed for item in results)
        problem = None if explained else str(result.exception or "")
        return Ran(results=results, problem=problem)

    def _invoke(
        self,
        arguments: list[str],
        *,
        callbacks: Sequence[Callable[[Any], None]] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Any:
        if self._invocations % _RENEW_AFTER == 0:
            self.close()
        self._invocations += 1
        from dbt.cli.main import dbtRunner  # takes 3.5 s to import, and only a transform needs it

        folder = str(self._project.project_dir)
        # manifest.json is 0.8 MB that nobody reads; writing it takes longer than a small merge.
        # It writes an id of its user beside the profile, which is in the installed package.
        flags = [
            "--no-send-anonymous-usage-stats",
            "--no-use-colors",
            "--quiet",
            "--no-write-json",
            "--log-level",
            "none",
            "--log-level-file",
            "info",
        ]
        profiles = str(package.profiles_dir(self._project.project_dir))
        paths = ["--project-dir", folder, "--profiles-dir", profiles]
        output = ["--target-path", str(self._project.target_dir), "--log-path", str(self._project.target_dir / "logs")]
        with _environment(self._project.environment if environment is None else environment):
            return dbtRunner(manifest=self._parsed, callbacks=list(callbacks)).invoke(
                [*flags, *arguments, *paths, *output]
            )


@contextmanager
def _environment(more: Mapping[str, str]) -> Iterator[None]:
    """These variables for as long as dbt runs: it reads its profile's from nowhere else, and secrets are among them.

    In a mapping of Python's own. The process's environment stays as it is, for dbt starts children, which inherit it.
    """
    before = os.environ
    os.environ = {**before, **more}  # type: ignore[assignment]  # noqa: B003 - that it is not the process's is the point
    try:
        yield
    finally:
        os.environ = before  # noqa: B003


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


def _node(node: Any) -> Node:
    key = getattr(node.config, "unique_key", None) or ()
    return Node(
        id=node.unique_id,
        name=node.name,
        kind=str(node.resource_type),
        tags=frozenset(node.tags),
        parents=tuple(node.depends_on.nodes),
        materialized=str(getattr(node.config, "materialized", "")),
        unique_key=(key,) if isinstance(key, str) else tuple(key),
    )


def _result(result: Any, peaks: Mapping[str, int]) -> NodeResult:
    response = result.adapter_response or {}
    rows, code = response.get("rows_affected", 0), str(response.get("code", ""))
    return NodeResult(
        node=_node(result.node),
        status=str(result.status),
        message=str(result.message or ""),
        rows=int(rows) if isinstance(rows, int | str) and str(rows).isdigit() else 0,
        seconds=float(result.execution_time),
        peak_bytes=peaks.get(result.node.unique_id),
        told=json.loads(code) if code.startswith("{") else {},
    )
