"""The bookkeeping of all streams at one moment, read with a query per subject instead of several per stream.

A DuckLake query costs 15–80 ms whatever it returns; a feed with nothing new asks about every stream and must end in
a second.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date
from typing import Any

from lakeray.adapters.ducklake.reading.file_generations import file_generations
from lakeray.adapters.ducklake.values.merge_notes import CursorType, merged_by, with_cursor_type
from lakeray.ports.catalog import ContractNotes, Known
from lakeray.values.model import (
    Cursor,
    FileGenerations,
    LeftOut,
    MergedBy,
    MergeEnd,
    Peak,
    PendingTransform,
    QuarantineEntry,
    RunRecord,
    StreamName,
    StreamStatus,
)
from lakeray.values.type_growth import FieldPath

Rows = list[tuple[Any, ...]]
Fetch = Callable[[str, list[Any] | dict[str, Any]], Rows]


class BookkeepingSnapshot:
    """What looking and planning read, as it stood when the books were opened."""

    def __init__(
        self, streams: Sequence[StreamName], *, fetch: Fetch, since_of: Callable[[Cursor], date | None]
    ) -> None:
        self._cursors = {stream: Cursor(stream=stream) for stream in streams} | _cursors(fetch)
        since = {stream: since_of(self._cursors[stream]) for stream in streams}
        self._since = since
        self._known = _known(fetch, since)
        self._waiting = _waiting(fetch)
        self._names = _names(fetch)
        self._quarantine = _quarantine(fetch)
        self._lake = fetch("lake_id", [])
        self._notes = contract_notes(fetch)
        self._fetch = fetch

    def lake_id(self) -> str | None:
        """The lake's id."""
        return str(self._lake[0][0]) if self._lake else None

    def cursor(self, stream: StreamName) -> Cursor:
        """The stream's cursor and marks."""
        return self._cursors.get(stream, Cursor(stream=stream))

    def known(self, stream: StreamName, *, since: date | None) -> Mapping[str, Known]:
        """The ledger of the stream from its horizon on: that of ``since_of``, and no other.

        Raises:
            ValueError: another day is asked for, which would be a programming error.
        """
        if since != self._since[stream]:
            raise ValueError(f"{stream}: the books are open from {self._since[stream]}, not from {since}")
        return self._known.get(stream, {})

    def known_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, Known]:
        """The ledger of these keys, as it stands now."""
        wanted = {"source": stream.source, "stream": stream.stream, "keys": list(keys)}
        return {
            row[0]: Known(etag=row[1], size_bytes=row[2], live=row[3]) for row in self._fetch("known_among", wanted)
        }

    def quarantined(self, stream: StreamName | None) -> Sequence[QuarantineEntry]:
        """The record of rejected files, of one stream or of all."""
        if stream is not None:
            return self._quarantine.get(stream, [])
        return [entry for entries in self._quarantine.values() for entry in entries]

    def peaks(self, stream: StreamName) -> Sequence[Peak]:
        """What the newest merges needed; read when it is asked for, which is when there are files to pack."""
        return [peak_of(row) for row in self._fetch("peaks", [stream.source, stream.stream])]

    def generations(self, stream: StreamName) -> Mapping[str, FileGenerations]:
        """Of which generations the live files are; read when it is asked for, which is when some of them are gone."""
        return file_generations(self._fetch, stream)

    def contract_notes(self, stream: StreamName) -> ContractNotes:
        """What was noted of the contract that the stream's tables were made by."""
        return self._notes.get(stream, ContractNotes())

    def left_out_files(self, stream: StreamName) -> Sequence[LeftOut]:
        """The live files of which fields were left out; read when it is asked for."""
        return [left_out_of(row) for row in self._fetch("left_out", {"source": stream.source, "stream": stream.stream})]

    def landing_names(self, stream: StreamName) -> frozenset[str] | None:
        """The names of the landing table's columns; None when there is no table."""
        return self._names.get(stream.landing_table)

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet (P12)."""
        first, last, _ = self._waiting.get(stream, (None, None, None))
        if first is None:
            return None
        return PendingTransform(stream=stream, from_snapshot=first, to_snapshot=last)

    def oldest_waiting(self) -> int | None:
        """The oldest DuckLake snapshot that a transform of any stream of the lake still has to read."""
        return min((first for first, _, _ in self._waiting.values() if first is not None), default=None)

    def oldest_merged_day(self, stream: StreamName) -> date | None:
        """The oldest day whose rows are live and merged: what clean-up looks at first."""
        oldest: date | None = self._waiting.get(stream, (None, None, None))[2]
        return oldest


def contract_notes(fetch: Fetch) -> dict[StreamName, ContractNotes]:
    """What was noted of the contracts of all streams."""
    merged: dict[StreamName, MergedBy] = {}
    left_out: dict[StreamName, dict[tuple[FieldPath, ...], int]] = {}
    cursors: dict[str, CursorType] = {}
    for source, stream, note, text, more, files in fetch("all_contract_notes", []):
        if note == "cursor_type":
            cursors[source] = (text, more)
        elif note == "merged_by":
            merged[StreamName(source, stream)] = merged_by(text, more)
        else:
            left_out.setdefault(StreamName(source, stream), {})[_paths(text)] = files
    return {
        name: ContractNotes(
            merged_by=with_cursor_type(merged[name], cursors.get(name.processed_table)) if name in merged else None,
            left_out=left_out.get(name, {}),
        )
        for name in merged.keys() | left_out.keys()
    }


def left_out_of(row: Sequence[Any]) -> LeftOut:
    """One row of the record of left-out fields."""
    key, etag, fields, refused = row
    return LeftOut(key=key, etag=etag, fields=_paths(fields), refused=refused)


def _paths(text: str) -> tuple[FieldPath, ...]:
    return tuple(tuple(path) for path in json.loads(text))


def _cursors(fetch: Fetch) -> dict[StreamName, Cursor]:
    return {
        StreamName(source, stream): Cursor(
            stream=StreamName(source, stream),
            path=path,
            transformed_snapshot=mark or 0,
            updated_at=at.astimezone(UTC),
        )
        for source, stream, path, mark, at in fetch("all_cursors", [])
    }


def _known(fetch: Fetch, since: Mapping[StreamName, date | None]) -> dict[StreamName, dict[str, Known]]:
    wanted = {
        "sources": [stream.source for stream in since],
        "streams": [stream.stream for stream in since],
        "days": [day or date.min for day in since.values()],
        "oldest": min((day or date.min for day in since.values()), default=date.min),
    }
    found: dict[StreamName, dict[str, Known]] = {}
    for source, stream, key, etag, size, live in fetch("all_known", wanted):
        found.setdefault(StreamName(source, stream), {})[key] = Known(etag=etag, size_bytes=size, live=live)
    return found


def _waiting(fetch: Fetch) -> dict[StreamName, tuple[Any, ...]]:
    return {StreamName(row[0], row[1]): row[2:] for row in fetch("all_waiting", [])}


def _names(fetch: Fetch) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for table, name in fetch("all_landing_names", []):
        found.setdefault(table, set()).add(name)
    return {table: frozenset(names) for table, names in found.items()}


def _quarantine(fetch: Fetch) -> dict[StreamName, list[QuarantineEntry]]:
    found: dict[StreamName, list[QuarantineEntry]] = {}
    for row in fetch("quarantined", {"source": None, "stream": None}):
        source, stream, *rest = row
        found.setdefault(StreamName(source, stream), []).append(quarantine_entry(rest))
    return found


def quarantine_entry(row: Sequence[Any]) -> QuarantineEntry:
    """One row of the record of rejected files."""
    key, etag, size, reason, detail, status, seen_at = row
    return QuarantineEntry(
        key=key,
        etag=etag,
        size_bytes=size,
        reason=reason,
        detail=detail,
        status=status,
        seen_at=seen_at.astimezone(UTC),
    )


def run_of(row: Sequence[Any]) -> RunRecord:
    """One row of the record of runs."""
    source, stream, at, outcome, batches, files, rows, size, quarantined, took_ms, error = row
    return RunRecord(
        stream=StreamName(source, stream),
        at=at.astimezone(UTC),
        outcome=StreamStatus(outcome),
        batches=batches,
        files=files,
        rows=rows,
        size_bytes=size,
        quarantined=quarantined,
        seconds=took_ms / 1000,
        error=None if error is None else json.loads(error),
    )


def peak_of(row: Sequence[Any]) -> Peak:
    """One row of the record of merges."""
    first, last, files, rows, size, projected, peak, fixed, limit, end, spill = row
    return Peak(
        from_snapshot=first,
        to_snapshot=last,
        files=files,
        rows=rows,
        size_bytes=size,
        projected_bytes=projected,
        peak_bytes=peak,
        fixed_bytes=fixed,
        limit_bytes=limit,
        end=MergeEnd(end),
        spill=spill,
    )
