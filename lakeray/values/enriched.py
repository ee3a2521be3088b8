"""What the enriched models were last built from, as ``meta.enriched_marks`` has it."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

STREAMS = "*"
"""The row of ``meta.enriched_marks`` with each stream's transformed_through when all were last built."""
PROJECT = "*project"
"""The row with the project's fingerprint then, and each model's code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichOrder:
    """What is asked of one build of the enriched models."""

    project: str = ""
    """A fingerprint of the dbt project's own files; empty when nobody looked."""
    select: tuple[str, ...] = ()
    """These models, whatever they have seen; empty for all that are behind."""
    full_refresh: bool = False
    """Build whole tables."""


EVERYTHING = EnrichOrder()
"""All that is behind, as far as the streams say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichedMarks:
    """The rows of ``meta.enriched_marks``."""

    streams: Mapping[str, int] = field(default_factory=dict)
    """Each stream's transformed_through when all models were last built."""
    project: str | None = None
    """The project's fingerprint then; None in a lake of a version that did not ask."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Of each enriched model, what its text and its macros were when it was last built."""
    seen: Mapping[str, int] = field(default_factory=dict)
    """The DuckLake snapshot that each model that asks what changed has read last."""

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str]]) -> EnrichedMarks:
        """The marks of rows of (model, built_from)."""
        texts = {model: json.loads(text) for model, text in rows}
        streams, project = texts.pop(STREAMS, {}), texts.pop(PROJECT, {})
        return cls(
            streams=streams,
            project=project.get("project"),
            codes=project.get("models", {}),
            seen={model: built["snapshot"] for model, built in texts.items() if "snapshot" in built},
        )

    def moved(self, processed: Mapping[str, int]) -> list[str]:
        """The streams whose processed table is another one since.

        Args:
            processed: transformed_through of every stream that has one.
        """
        return [stream for stream, mark in processed.items() if self.streams.get(stream) != mark]

    def are_behind(self, processed: Mapping[str, int], *, project: str) -> bool:
        """Whether there is something to build: an input moved, or a file of the project is another one."""
        return dict(self.streams) != dict(processed) or bool(processed and project and project != self.project)

    @property
    def noted(self) -> Mapping[str, str] | None:
        """The codes to compare with; None in a lake that was built by a version that noted none."""
        return None if self.project is None and self.streams else self.codes

    def after(
        self, order: EnrichOrder, *, processed: Mapping[str, int], built: Collection[str], codes: Mapping[str, str]
    ) -> dict[str, str]:
        """The rows to note behind a build, by model.

        Args:
            built: the models that were built.
            codes: of the models that are built or were up to date.
        """
        if order.select:  # the others are as far behind as before
            if self.project is None:
                return {}
            now = {**self.codes, **{name: codes[name] for name in built if name in codes}}
            return {PROJECT: json.dumps({"project": self.project, "models": now}, sort_keys=True)}
        rows = {STREAMS: json.dumps(dict(processed), sort_keys=True)}
        if order.project:
            rows[PROJECT] = json.dumps({"project": order.project, "models": dict(codes)}, sort_keys=True)
        return rows

    def keep_from(self, processed: Mapping[str, int]) -> int | None:
        """The oldest DuckLake snapshot that a model has still to read; None when none of their inputs moved."""
        if not self.moved(processed) or not self.seen:
            return None
        return min(self.seen.values()) + 1
