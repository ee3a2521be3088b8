"""What happens, as typed events. Adapters turn them into logs, spans, metrics and progress bars.

Every event is a frozen dataclass; its class name in snake case is the log event's name, its fields are the log's
fields. No field ever carries a secret or a data value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields

from lakeray.values.model import BuildResult, CommitterWork, PendingTransform, RowsFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""

    @property
    def name(self) -> str:
        """The stable name in logs: ``BatchCommitted`` is ``batch_committed``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def as_fields(self) -> dict[str, object]:
        """The fields as a flat mapping."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStarted(Event):
    """A stream's feed began."""

    stream: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlanned(Event):
    """Discovery and planning ended."""

    stream: str
    batches: int
    files: int
    size_bytes: int
    too_late: int
    skipped: int
    changed: int
    vanished: int
    oversize: int
    leaving: int = 0
    """Files whose rows are behind the retention when all of it is taken in, and leave landing then."""
    deleting: int = 0
    """Those of ``leaving`` whose objects go, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRejected(Event):
    """A file went to quarantine (P6)."""

    stream: str
    key: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldsLeftOut(Event):
    """Files of a batch have columns or fields that ``on_new_column: ignore`` leaves in the raw objects."""

    stream: str
    files: int
    fields: str
    """Their names, with commas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesReregistered(Event):
    """Files were registered anew: the contract has a place now for fields that were left out of them."""

    stream: str
    files: int
    refused: int
    """Files that cannot be registered with these fields; they stay as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRebuilt(Event):
    """A processed table was made anew by another key, cursor or type."""

    stream: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingChanged(Event):
    """A landing table was created or got a column."""

    stream: str
    change: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCommitted(Event):
    """A batch landed as one DuckLake snapshot (P7)."""

    stream: str
    batch_id: str
    commit_id: str
    snapshot: int
    files: int
    rows: int
    size_bytes: int
    seconds: float
    read_back: bool
    """True when the answer was lost and the commit id was found in the catalog (P9)."""
    registered_by: str = ""
    """Who wrote the catalog's rows, and why not the catalog writer when it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTransformed(Event):
    """dbt merged the rows of these DuckLake snapshots (P12)."""

    stream: str
    from_snapshot: int
    to_snapshot: int
    models: int
    seconds: float
    peak_bytes: int = 0
    """Resident memory at its highest meanwhile; 0 when it was not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsLeftOut(Event):
    """A merge left rows out: their key is null in all of its columns (P12)."""

    stream: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorTypeKept(Event):
    """All values of a text cursor parse as this type: they are compared as that from now on (P12)."""

    stream: str
    cursor: str
    cursor_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorBroken(Event):
    """Rows came whose cursor does not parse as its type: they count as rows without a cursor, the oldest (P12)."""

    stream: str
    cursor: str
    cursor_type: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformSplit(Event):
    """A merge ran out of memory and is done in smaller pieces (P5)."""

    stream: str
    from_snapshot: int
    to_snapshot: int
    files: int
    """How many files the merge was cut down to; 0 for whole DuckLake snapshots."""
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesReread(Event):
    """After a failed transform, pending files were read one by one to find those that cannot be read (P6)."""

    stream: str
    done: int
    total: int
    unreadable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRan(Event):
    """dbt ran a model or a test of one."""

    stream: str
    """Empty for enriched models."""
    model: str
    kind: str
    """``model`` or ``test``."""
    status: str
    rows: int
    """Rows written, where the model counts them."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitterWorked(Event):
    """What the committer did for the feeders of one feed."""

    commits: int
    """Batches."""
    snapshots: int
    """Turns that it took for them."""
    transforms: int
    dbt_runs: int
    """Turns that it took for those."""
    busy_s: float
    seconds: float
    """From its first work to its last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsEnriched(Event):
    """The enriched models were built."""

    models: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesCleaned(Event):
    """Rows left a landing table, and perhaps objects the storage (P13)."""

    stream: str
    """``*`` when only what earlier clean-ups removed was released."""
    files: int
    rows: int
    objects_deleted: int
    kept: int = 0
    """Those of ``files`` whose objects stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectsDropped(Event):
    """Rows of objects that changed or vanished left a landing table (P14)."""

    stream: str
    what: str
    files: int
    rows: int
    first: str = ""
    """The first of their keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationReplaced(Event):
    """A newer generation is whole: what only older ones had is gone (P16)."""

    stream: str
    generation: int
    """The oldest that stays."""
    files: int
    """Of older ones, which left the landing table."""
    rows: int
    """That left the processed table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFinished(Event):
    """A stream's feed ended."""

    stream: str
    status: str
    batches: int
    files: int
    rows: int
    quarantined: int
    seconds: float
    too_late: int = 0
    changed: int = 0
    vanished: int = 0
    replaced: int = 0
    error_kind: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorChosen(Event):
    """Where validation runs, and why."""

    executor: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFileWritten(Event):
    """``sample`` wrote one object."""

    stream: str
    key: str
    size_bytes: int
    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something that an operator may want to know."""

    message: str


def model_runs(built: BuildResult, *, stream: str = "") -> Iterator[Event]:
    """What dbt ran, an event each."""
    for run in built.runs:
        yield ModelRan(
            stream=stream, model=run.name, kind=run.kind, status=run.status, rows=run.rows, seconds=run.seconds
        )


def worked(work: CommitterWork) -> Event:
    """A committer's work as an event."""
    return CommitterWorked(**{item.name: getattr(work, item.name) for item in fields(work)})


def transformed(pending: PendingTransform, built: BuildResult) -> Iterator[Event]:
    """A transform as events: each model and test, then the whole."""
    yield from model_runs(built, stream=str(pending.stream))
    yield BatchTransformed(
        stream=str(pending.stream),
        from_snapshot=pending.from_snapshot,
        to_snapshot=pending.to_snapshot,
        models=len(built.models),
        seconds=built.seconds,
        peak_bytes=built.peak_bytes or 0,
    )
    for found in built.found:
        yield from _rows_found(str(pending.stream), found)


def _rows_found(stream: str, found: RowsFound) -> Iterator[Event]:
    cursor, kind = found.cursor or "", found.cursor_type or ""
    if found.is_new_type:
        yield CursorTypeKept(stream=stream, cursor=cursor, cursor_type=kind)
    if found.cursor_breaks:
        yield CursorBroken(stream=stream, cursor=cursor, cursor_type=kind, rows=found.cursor_breaks)
    if found.without_key:
        yield RowsLeftOut(stream=stream, rows=found.without_key)
