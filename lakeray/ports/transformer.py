"""Who merges and builds: asked for rows and models, answers with results. And what that asks of dbt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakeray.values.enriched import EVERYTHING, EnrichOrder
from lakeray.values.errors import LakerayError
from lakeray.values.model import BuildResult, PendingTransform, StreamName


class Transformer(Protocol):
    """Merges registered rows and builds the enriched models."""

    def run_group(
        self, pending: Sequence[PendingTransform], *, by_rowscan: Collection[StreamName], token: int
    ) -> Sequence[BuildResult | LakerayError]:
        """Merge exactly these rows, of several streams, each once.

        Args:
            by_rowscan: the streams whose DuckLake snapshots have expired by now.
            token: the committer's fencing token, without which a model writes nothing (P10).

        Returns:
            For each of ``pending`` what was done, or why it failed.
        """

    def run_rebuild(
        self, stream: StreamName, *, key: Sequence[str], plan: Mapping[str, object], token: int
    ) -> BuildResult:
        """Make the stream's processed table anew by a key, in one transaction.

        Args:
            plan: what the macro lakeray_rebuild reads of it.

        Raises:
            TransformError: the model cannot be rebuilt so, or it failed; the table is as it was.
        """

    def run_enriched(
        self,
        *,
        moved: Sequence[str],
        processed: Sequence[str],
        token: int,
        order: EnrichOrder = EVERYTHING,
        noted: Mapping[str, str] | None = None,
    ) -> BuildResult:
        """Build the enriched models that depend on a moved stream or whose code is another one, or that are selected,
        and whose processed tables all exist.

        Args:
            noted: each model's code when it was last built; None when nobody knows.

        Raises:
            TransformError: a model failed.
            UsageError: a selected model is none of the project's enriched ones.
        """

    def close(self) -> None:
        """Let go of what it keeps open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A model or a test of the project, as dbt's manifest has it."""

    id: str
    """``model.lakeray.int_shopify__orders``: unique in the project."""
    name: str
    kind: str
    """dbt's ``resource_type``: ``model``, ``test`` …"""
    tags: frozenset[str]
    parents: tuple[str, ...]
    """The ids of the nodes that it depends on."""
    materialized: str = ""
    """How a model is made: ``lakeray_merge``, ``table`` …"""
    unique_key: tuple[str, ...] = ()
    """The columns of a model's key."""
    code: str = ""
    """Another text when the model's text, its config or a macro of the project that it uses is another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """What dbt did with a node, as its run results have it."""

    node: Node
    status: str
    """dbt's own word: ``success``, ``pass``, ``warn``, ``error``, ``fail`` or ``skipped``."""
    message: str
    rows: int
    """Rows written, where the model counts them; else 0."""
    seconds: float
    peak_bytes: int | None = None
    """Resident memory at its highest while it ran; None when it was not measured."""
    told: Mapping[str, Any] = field(default_factory=dict)
    """What the model's macros have to say beside, as the code of dbt's adapter response has it."""

    @property
    def failed(self) -> bool:
        """Whether it is no success."""
        return self.status not in ("success", "pass", "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one run of dbt came to."""

    results: tuple[NodeResult, ...]
    problem: str | None = None
    """What it said when it ended before the models, whole; None when the results say all."""


class Dbt(Protocol):
    """One way to have dbt run. Its Python runner is one; a dbt without it runs as a process (ADR 0031)."""

    def manifest(self) -> Mapping[str, Node]:
        """The project's nodes, by id; parsed once.

        Raises:
            TransformError: the project cannot be parsed.
        """

    def run(self, select: Sequence[str], variables: Mapping[str, object], *, full_refresh: bool = False) -> Ran:
        """Run the selected models, each after what it depends on, and their tests where the settings say so.

        Args:
            full_refresh: build them whole.
        """

    def close(self) -> None:
        """Let go of what it keeps open."""
