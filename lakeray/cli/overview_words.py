"""The overview and the record of runs in words and as JSON: what ``status``, ``demo`` and ``runs`` say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lakeray.cli.words import Table, changed_files, count_or_unknown, human_bytes, human_seconds
from lakeray.steps.overview import Overview, StreamOverview
from lakeray.values.model import LastBatch, RunRecord, TableHealth


def status_json(found: Overview) -> dict[str, Any]:
    """``status`` as one JSON document."""
    return {
        "lake": found.lake,
        "catalog": found.catalog,
        "storage": found.storage,
        "env": found.env,
        "totals": found.totals,
        "streams": [_state_json(item) for item in found.streams],
        "enriched": dict(found.enriched),
    }


def place_line(found: Overview) -> str:
    """Which lake it is about, of which storage."""
    return (
        f"env={found.env}, catalog {found.catalog or '-'}, lake {found.lake or 'not made yet'}, storage {found.storage}"
    )


def status_tables(found: Overview) -> list[Table]:
    """``status`` as tables."""
    streams = Table(
        title="Streams",
        columns=(
            "stream",
            "state",
            "pending",
            "taken in",
            "landing rows",
            "processed rows",
            "kept",
            "replaced",
            "lag",
            "newest file",
            "last run",
            "quarantined",
            "too late",
            "changed",
            "vanished",
            "registered by",
        ),
        rows=tuple(_status_row(item) for item in found.streams),
    )
    models = Table(
        title="Enriched",
        columns=("model", "rows"),
        rows=tuple((name, count_or_unknown(rows)) for name, rows in found.enriched.items()),
    )
    return [streams, models] if found.enriched else [streams]


def row_warning_lines(state: StreamOverview) -> list[str]:
    """What merges had to say of a stream's rows; nothing when there is nothing to say."""
    told: list[str] = []
    if state.rows_without_key:
        told.append(
            f"{state.stream}: {state.rows_without_key:,} row(s) without a key were left out of the processed table"
        )
    if state.cursor_breaks:
        told.append(
            f"{state.stream}: {state.cursor_breaks:,} row(s) have a cursor that does not parse as its type; they count "
            "as older than all others. → If the type is wrong, set the stream's cursor_type"
        )
    return told


def runs_json(records: Sequence[RunRecord]) -> dict[str, Any]:
    """``runs`` as one JSON document."""
    return {
        "runs": [
            {
                "source": record.stream.source,
                "stream": record.stream.stream,
                **_run_json(record),
                "batches": record.batches,
                "files": record.files,
                "bytes": record.size_bytes,
                "rows": record.rows,
                "quarantined": record.quarantined,
                "seconds": record.seconds,
            }
            for record in records
        ]
    }


def runs_table(records: Sequence[RunRecord]) -> Table:
    """``runs`` as a table."""
    return Table(
        title="Runs",
        columns=("ended, UTC", "stream", "outcome", "batches", "files", "size", "rows", "quarantined", "time", "error"),
        rows=tuple(
            (
                f"{record.at:%Y-%m-%d %H:%M:%S}",
                str(record.stream),
                str(record.outcome),
                str(record.batches),
                f"{record.files:,}",
                human_bytes(record.size_bytes),
                f"{record.rows:,}",
                str(record.quarantined),
                human_seconds(record.seconds),
                "" if record.error is None else f"{record.error['about']}: {record.error['found']}",
            )
            for record in records
        ),
    )


def _state_json(state: StreamOverview) -> dict[str, Any]:
    """The interface's fields, and a few more."""
    plan, within = state.plan, state.expected_within
    return {
        "source": state.stream.source,
        "stream": state.stream.stream,
        "state": str(state.state),
        "cursor_path": state.cursor.path,
        "pending_files": None if plan is None else plan.files,
        "pending_bytes": None if plan is None else plan.size_bytes,
        "registered_files": state.registered_files,
        "registered_snapshot": state.registered_snapshot,
        "transformed_snapshot": state.cursor.transformed_snapshot or None,
        "lag_seconds": state.lag_seconds,
        "newest_file_at": None if state.newest_file_at is None else state.newest_file_at.isoformat(),
        "expected_within_seconds": None if within is None else within.total_seconds(),
        "quarantined": state.quarantined,
        "too_late": None if plan is None else len(plan.too_late),
        "changed": None if plan is None else changed_files(plan),
        "vanished": None if plan is None else len(plan.vanished),
        "left_out": state.left_out,
        "landing_rows": None if state.landing is None else state.landing.rows,
        "processed_rows": None if state.processed is None else state.processed.rows,
        "table_health": None if state.processed is None else _health(state.processed),
        "kept_files": state.kept_files,
        "replaced_files": state.replaced[0],
        "replaced_rows": state.replaced[1],
        "rows_without_key": state.rows_without_key,
        "cursor_breaks": state.cursor_breaks,
        "last_batch": None if state.last_batch is None else _last_batch(state.last_batch),
        "last_run": None if state.last_run is None else _run_json(state.last_run),
        "error": state.error,
    }


def _run_json(record: RunRecord) -> dict[str, Any]:
    error = None if record.error is None else dict(record.error)
    return {"at": record.at.isoformat(), "outcome": str(record.outcome), "error": error}


def _health(table: TableHealth) -> dict[str, int]:
    """Of a processed table."""
    return {"data_files": table.data_files, "delete_files": table.delete_files, "dead_rows": table.dead_rows}


def _last_batch(batch: LastBatch) -> dict[str, Any]:
    return {
        "batch_id": batch.batch_id,
        "commit_id": batch.commit_id,
        "snapshot": batch.snapshot,
        "files": batch.files,
        "rows": batch.rows,
        "bytes": batch.size_bytes,
        "committed_at": batch.committed_at.isoformat(),
        "registered_by": batch.registered_by,
    }


def _status_row(state: StreamOverview) -> tuple[str, ...]:
    plan, lag, newest, last = state.plan, state.lag_seconds, state.newest_file_at, state.last_run
    return (
        str(state.stream),
        str(state.state),
        "?" if plan is None else f"{plan.files:,} ({human_bytes(plan.size_bytes)})" if plan.files else "0",
        f"{state.registered_files:,}",
        count_or_unknown(None if state.landing is None else state.landing.rows),
        count_or_unknown(None if state.processed is None else state.processed.rows),
        f"{state.kept_files:,}",
        f"{state.replaced[0]:,}",
        "?" if lag is None else human_seconds(lag),
        "-" if newest is None else f"{_ago(state.now - newest)} ago",
        "-" if last is None else f"{last.outcome} {_ago(state.now - last.at)} ago",
        str(state.quarantined),
        "?" if plan is None else str(len(plan.too_late)),
        "?" if plan is None else str(changed_files(plan)),
        "?" if plan is None else str(len(plan.vanished)),
        "" if state.last_batch is None else state.last_batch.registered_by or "?",
    )


def _ago(span: timedelta) -> str:
    return human_seconds(max(0.0, span.total_seconds()))
