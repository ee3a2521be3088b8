"""Plans, reports and states in words and as JSON. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakeray.settings.values import RefusedStream
from lakeray.steps.clean import Leaving
from lakeray.values.errors import LakerayError
from lakeray.values.keys import shown
from lakeray.values.model import (
    FeedReport,
    LedgerEntry,
    Plan,
    QuarantineEntry,
    QuarantineStatus,
    Removal,
    SourceFile,
    StreamName,
    StreamReport,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A result as rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def refused_lines(refused: Sequence[RefusedStream]) -> list[str]:
    """A line for each stream whose config is refused."""
    return [f"{item.name}: {item.error}" for item in refused]


def refused_json(refused: Sequence[RefusedStream]) -> dict[str, Any]:
    """The same as a field of a document; none when there are none."""
    found = [
        {"source": item.name.source, "stream": item.name.stream, "error": item.error.as_dict()} for item in refused
    ]
    return {"refused": found} if found else {}


def human_bytes(count: int) -> str:
    """``1.5 MB``: powers of ten, three digits at most."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def human_seconds(seconds: float) -> str:
    """``0.3 s``, ``4 min``, ``2.5 h``, ``3 d``."""
    for limit, divisor, unit in ((100.0, 1.0, "s"), (6000.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.1f} {unit}" if seconds / divisor < 10 else f"{seconds / divisor:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


_FEED = (
    "stream",
    "status",
    "batches",
    "files",
    "size",
    "rows",
    "quarantined",
    "too late",
    "changed",
    "vanished",
    "replaced",
    "left landing",
    "kept",
    "time",
)


def feed_json(report: FeedReport) -> dict[str, Any]:
    """``feed`` as one JSON document."""
    return {
        "streams": [_report_json(item) for item in report.streams],
        "enriched": list(report.enriched),
        "enriched_error": None if report.enriched_error is None else dict(report.enriched_error),
    }


def feed_table(report: FeedReport) -> Table:
    """``feed`` as a table."""
    return Table(
        title="Feed",
        columns=_FEED,
        rows=tuple(
            (
                str(item.stream),
                str(item.status),
                str(item.batches),
                f"{item.files:,}",
                human_bytes(item.size_bytes),
                f"{item.rows:,}",
                str(item.quarantined),
                str(item.too_late),
                str(item.changed),
                str(item.vanished),
                f"{item.replaced:,}",
                f"{item.cleaned:,}",
                f"{item.kept:,}",
                human_seconds(item.seconds),
            )
            for item in report.streams
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """What ``plan`` tells of one stream."""

    plan: Plan
    leaving: Leaving
    replaced: frozenset[str] = frozenset()
    """The vanished keys that something newer explains."""
    replaces_below: int | None = None
    """Rows of generations older than this one leave the processed table; None when none do, or none is known yet."""
    held_back: int = 0
    """Listed files that are not taken in, and that this waits for."""


def feed_notes(report: FeedReport) -> list[str]:
    """What waits for whoever runs the feed, a line each."""
    notes = []
    for item in report.streams:
        if item.too_late:
            days = "replay.from=… replay.to=…"
            notes.append(f"{item.stream}: {item.too_late:,} too late → lakeray replay +stream={item.stream} {days}")
        if item.changed:
            todo = "`lakeray quarantine` lists those that wait, `quarantine retry PATH…` takes them in"
            notes.append(f"{item.stream}: {item.changed:,} changed since taken in → {todo}")
        if item.vanished:
            todo = "`lakeray plan` names those that are still registered"
            notes.append(f"{item.stream}: {item.vanished:,} vanished since taken in → {todo}")
    return notes


def plan_json(
    foreseen: Sequence[Foreseen],
    *,
    seconds: float,
    refused: Sequence[LakerayError] = (),
    failed: Mapping[StreamName, LakerayError] | None = None,
) -> dict[str, Any]:
    """``plan`` as one JSON document.

    Args:
        refused: why a feed would refuse to begin, of streams that are planned.
        failed: the streams that could not be planned; each has its error alone.
    """
    streams = [_plan_json(item) for item in foreseen]
    for name, error in (failed or {}).items():
        streams.append({"source": name.source, "stream": name.stream, "error": error.as_dict()})
    return {
        "streams": sorted(streams, key=lambda item: (item["source"], item["stream"])),
        "estimated_seconds": seconds,
        "errors": [error.as_dict() for error in (*refused, *(failed or {}).values())],
    }


def plan_tables(foreseen: Sequence[Foreseen]) -> list[Table]:
    """``plan`` as tables: the streams, and what needs attention."""
    streams = Table(
        title="Plan",
        columns=(
            "stream",
            "batches",
            "files",
            "size",
            "projected memory",
            "memory factor",
            "oversize",
            "too late",
            "quarantined",
            "replaced",
            "will leave landing",
            "will be deleted",
        ),
        rows=tuple(
            (
                str(item.stream),
                str(len(item.batches)),
                f"{item.files:,}",
                human_bytes(item.size_bytes),
                human_bytes(max((batch.projected_bytes for batch in item.batches), default=0)),
                str(item.factor),
                str(len(item.oversize)),
                str(len(item.too_late)),
                str(len(item.skipped)),
                f"{len(each.replaced):,}",
                f"{each.leaving.files:,}",
                f"{each.leaving.deleted:,}",
            )
            for item, each in ((each.plan, each) for each in foreseen)
        ),
    )
    notes = tuple(row for each in foreseen for row in _attention(each))
    return (
        [streams, Table(title="Needs attention", columns=("stream", "what", "file"), rows=notes)]
        if notes
        else [streams]
    )


def quarantine_json(entries: Sequence[QuarantineEntry]) -> dict[str, Any]:
    """``quarantine`` as one JSON document."""
    return {
        "files": [
            {
                "path": entry.key,
                "etag": entry.etag,
                "bytes": entry.size_bytes,
                "reason": entry.reason,
                "detail": entry.detail,
                "status": entry.status,
                "seen_at": entry.seen_at.isoformat(),
            }
            for entry in entries
        ]
    }


def quarantine_table(entries: Sequence[QuarantineEntry]) -> Table:
    """``quarantine`` as a table."""
    return Table(
        title="Quarantine",
        columns=("file", "reason", "detail", "status"),
        rows=tuple((shown(entry.key), entry.reason, entry.detail, entry.status) for entry in entries),
    )


def why_json(
    key: str,
    *,
    listed: SourceFile | None,
    entries: Sequence[LedgerEntry],
    rejected: QuarantineEntry | None,
    verdict: str,
) -> dict[str, Any]:
    """``why`` as one JSON document."""
    return {
        "path": key,
        "verdict": verdict,
        "listed": None
        if listed is None
        else {
            "etag": listed.etag,
            "bytes": listed.size_bytes,
            "last_modified": listed.last_modified.isoformat(),
        },
        "taken_in": [
            {
                "etag": entry.etag,
                "bytes": entry.size_bytes,
                "rows": entry.rows,
                "batch_id": entry.batch_id,
                "commit_id": entry.commit_id,
                "snapshot": entry.snapshot,
                "taken_at": entry.taken_at.isoformat(),
                "registered_path": entry.registered_path,
                "live": entry.removed_at is None,
                "removed_at": None if entry.removed_at is None else entry.removed_at.isoformat(),
                "removed_because": entry.removed_because,
            }
            for entry in entries
        ],
        "quarantine": None if rejected is None else quarantine_json([rejected])["files"][0],
    }


def why_verdict(
    *,
    listed: SourceFile | None,
    entries: Sequence[LedgerEntry],
    rejected: QuarantineEntry | None,
    too_late: bool,
    transformed_snapshot: int,
    stays: bool = False,
) -> str:
    """One sentence: where the file is in its life.

    Args:
        stays: clean-up takes its rows out of landing and leaves the object.
    """
    last = entries[-1] if entries else None
    if last is not None and last.removed_at is not None and listed is not None and _differs(listed, last):
        last = None  # the key is used again: for another file
    if last is not None and last.removed_at is not None:
        there = "kept" if last.removed_because == Removal.KEPT else "still there"
        return (
            f"taken in {last.taken_at:%Y-%m-%d %H:%M} UTC, left the landing table {last.removed_at:%Y-%m-%d %H:%M} UTC "
            f"({last.removed_because}); the object is {there if listed else 'gone'}"
        )
    if last is not None:
        merged = "and merged" if last.snapshot <= transformed_snapshot else "but not merged yet"
        changed = listed is not None and _differs(listed, last)
        state = "; the object has changed since" if changed else "" if listed else "; the object has vanished since"
        kept = "; its object is never deleted" if stays and not state else ""
        return f"taken in as snapshot {last.snapshot} {merged}{state}{kept}"
    if rejected is not None and rejected.status == QuarantineStatus.WAITS:
        return f"changed: {rejected.detail}" + ("" if listed else "; the new one has vanished since")
    if rejected is not None:
        changed = listed is not None and rejected.etag != listed.etag
        todo = "; it changed since and is taken in by the next feed" if changed else ""
        return f"{rejected.status}: {rejected.reason}: {rejected.detail}{todo}"
    if listed is None:
        return "unknown: not in storage, never taken in"
    if too_late:
        return "too late: its day is older than the horizon; `replay` takes it in"
    return "pending: the next feed takes it in"


def _differs(listed: SourceFile, entry: LedgerEntry) -> bool:
    return (listed.etag, listed.size_bytes) != (entry.etag, entry.size_bytes)


def changed_files(plan: Plan) -> int:
    """Registered files whose objects changed, those whose new objects wait with them."""
    return len(plan.changed) + len(plan.waiting)


def count_or_unknown(value: int | None) -> str:
    """``1,500``, or a dash where nobody counted."""
    return "-" if value is None else f"{value:,}"


def _report_json(item: StreamReport) -> dict[str, Any]:
    return {
        "source": item.stream.source,
        "stream": item.stream.stream,
        "status": str(item.status),
        "batches": item.batches,
        "files": item.files,
        "bytes": item.size_bytes,
        "rows": item.rows,
        "quarantined": item.quarantined,
        "too_late": item.too_late,
        "changed": item.changed,
        "vanished": item.vanished,
        "replaced": item.replaced,
        "left_out": item.left_out,
        "reregistered": item.reregistered,
        "cleaned": item.cleaned,
        "kept": item.kept,
        "seconds": round(item.seconds, 3),
        "error": None if item.error is None else dict(item.error),
    }


def _plan_json(foreseen: Foreseen) -> dict[str, Any]:
    item, leaving = foreseen.plan, foreseen.leaving
    return {
        "source": item.stream.source,
        "stream": item.stream.stream,
        "files": item.files,
        "bytes": item.size_bytes,
        "batches": [
            {
                "id": batch.id,
                "files": len(batch.files),
                "bytes": batch.size_bytes,
                "projected_bytes": batch.projected_bytes,
            }
            for batch in item.batches
        ],
        "oversize": [
            {
                "path": big.file.key,
                "bytes": big.file.size_bytes,
                "projected_bytes": big.projected_bytes,
                "allowed_bytes": big.allowed_bytes,
            }
            for big in item.oversize
        ],
        "too_late": [file.key for file in item.too_late],
        "quarantined": [file.key for file in item.skipped],
        "changed": [change.file.key for change in item.changed] + [file.key for file in item.waiting],
        "vanished": list(item.vanished),
        "replaced": sorted(foreseen.replaced),
        "replaces_generations_below": foreseen.replaces_below,
        "replacement_waits_for": foreseen.held_back,
        "reregister": [file.key for batch in item.reregister for file in batch.files],
        "listed_files": item.listed_files,
        "leaves_landing": leaving.files,
        "deletes_objects": leaving.deleted,
        "memory_factor": {
            "value": round(item.factor.value, 3),
            "source": "adapted" if item.factor.batches else "default",
            "batches": item.factor.batches,
        },
    }


def _attention(foreseen: Foreseen) -> list[tuple[str, str, str]]:
    item, replaced = foreseen.plan, foreseen.replaced
    stream = str(item.stream)
    return (
        [(stream, "too late", shown(file.key)) for file in item.too_late]
        + [(stream, "quarantined", shown(file.key)) for file in item.skipped]
        + [(stream, "changed since it was taken in", shown(change.file.key)) for change in item.changed]
        + [(stream, "changed: waits for `quarantine retry`", shown(file.key)) for file in item.waiting]
        + [(stream, "vanished", shown(key)) for key in item.vanished if key not in replaced]
        + [(stream, "vanished: of an older generation", shown(key)) for key in item.vanished if key in replaced]
        + [
            (stream, "left-out fields come in, registered anew", shown(file.key))
            for batch in item.reregister
            for file in batch.files
        ]
        + [
            (stream, f"oversize, {human_bytes(big.projected_bytes)} projected", shown(big.file.key))
            for big in item.oversize
        ]
    )
