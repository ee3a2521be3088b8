"""Audit: do storage, ledger and catalog agree (P2, P13, P14)? Pure: three lists in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lakeray.values.errors import LakerayError
from lakeray.values.model import LedgerEntry, LiveFile, RegisteredPath, RowWarning, SourceFile, StreamName


class FindingKind(StrEnum):
    """Stable kinds of disagreement."""

    GONE = "registered_but_gone"
    CHANGED = "registered_but_changed"
    NOT_REGISTERED = "in_ledger_not_registered"
    NOT_IN_LEDGER = "registered_not_in_ledger"
    TWICE = "registered_twice"
    ROWS_DIFFER = "row_counts_differ"
    NOT_TRANSFORMED = "not_transformed"
    LEFTOVER = "left_by_a_killed_run"
    DATA_FILE_GONE = "data_file_gone"
    OWNED_BY_ANOTHER = "owned_by_another_lake"
    WITHOUT_KEY = "rows_without_key"
    CURSOR_BREAKS = "cursor_breaks"
    WITHOUT_STREAM = "tables_without_a_stream"
    CONFIG_REFUSED = "config_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One disagreement."""

    kind: FindingKind
    stream: StreamName | None
    """None when it belongs to no stream."""
    path: str
    detail: str


def audit(
    stream: StreamName,
    *,
    ledger: Sequence[LedgerEntry],
    registered: Sequence[RegisteredPath],
    objects: Mapping[str, SourceFile],
    transformed_snapshot: int,
) -> tuple[Finding, ...]:
    """Compare one stream's live ledger entries with the catalog's live files and the storage's objects.

    Args:
        ledger: live entries only.
        objects: what storage lists for the stream, by key; all of it.
    """
    return tuple(_findings(stream, ledger, registered, objects, transformed_snapshot))


def refused_config(stream: StreamName, error: LakerayError) -> Finding:
    """A stream that is neither fed nor looked at, for its config cannot be taken."""
    path = f"conf/stream/{stream}.yaml"
    return Finding(kind=FindingKind.CONFIG_REFUSED, stream=stream, path=path, detail=str(error))


def leftovers(
    files: Iterable[SourceFile], *, known_paths: Iterable[str], before: datetime, url: Callable[[str], str]
) -> tuple[Finding, ...]:
    """Files that are old enough to belong to no command that runs, and that the catalog does not know.

    Told by their names alone: DuckLake's and those of converted copies are made so that there is no second one.

    Args:
        files: below the lake's DATA_PATH, or of the folder for temporary files.
        known_paths: all paths of the catalog, absolute or relative.
        before: the last change of a leftover is earlier.
        url: the address of a key.
    """
    known = {path.rpartition("/")[2] for path in known_paths}
    return tuple(
        Finding(kind=FindingKind.LEFTOVER, stream=None, path=url(file.key), detail=f"{file.size_bytes:,} bytes")
        for file in files
        if file.last_modified < before and file.key.rpartition("/")[2] not in known
    )


def gone_files(live: Iterable[LiveFile], *, there: Iterable[str], streams: Iterable[StreamName]) -> tuple[Finding, ...]:
    """Files below the lake's DATA_PATH that a table needs and that storage no longer has.

    Somebody deleted them: by hand, or as orphaned files, before they were committed or from another lake that works in
    the same place. Of a landing table they are converted copies, which can be made again.

    Args:
        there: the keys below DATA_PATH.
    """
    names = {key.rpartition("/")[2] for key in there}
    landing = {stream.landing_table: stream for stream in streams}
    return tuple(
        Finding(
            kind=FindingKind.DATA_FILE_GONE,
            stream=landing.get(file.table) if file.schema == "staging" else None,
            path=file.path,
            detail=f"{file.schema}.{file.table} needs it; scans of the table fail",
        )
        for file in live
        if file.path.rpartition("/")[2] not in names
    )


def without_config(taken_in: Iterable[StreamName], *, configured: Iterable[StreamName]) -> tuple[Finding, ...]:
    """Streams that the lake has tables of and that no config names: nothing feeds them, nothing cleans them up."""
    return tuple(
        Finding(
            kind=FindingKind.WITHOUT_STREAM,
            stream=None,
            path=f"staging.{name.landing_table}",
            detail=f"no config of {name} is there; `lakeray drop-stream {name}` removes its tables",
        )
        for name in sorted(set(taken_in) - set(configured))
    )


def row_findings(stream: StreamName, warned: Iterable[RowWarning]) -> tuple[Finding, ...]:
    """What merges of the stream had to say of rows: nothing to repair, something to know (P12)."""
    told = {
        "without_key": (FindingKind.WITHOUT_KEY, "row(s) have no key and are not in the processed table"),
        "cursor_breaks": (FindingKind.CURSOR_BREAKS, "row(s) have a cursor that does not parse; it counts as none"),
    }
    return tuple(
        Finding(kind=told[item.kind][0], stream=stream, path=item.path, detail=f"{item.rows:,} {told[item.kind][1]}")
        for item in warned
        if item.table == stream.processed_table and item.kind in told
    )


def _findings(
    stream: StreamName,
    ledger: Sequence[LedgerEntry],
    registered: Sequence[RegisteredPath],
    objects: Mapping[str, SourceFile],
    transformed_snapshot: int,
) -> Iterator[Finding]:
    catalog = {item.path: item for item in registered}
    for entry in ledger:
        yield from _entry_findings(stream, entry, catalog.get(entry.registered_path), objects.get(entry.key))
        if entry.snapshot > transformed_snapshot:
            yield _finding(FindingKind.NOT_TRANSFORMED, stream, entry.key, f"snapshot {entry.snapshot} is not merged")
    known = {entry.registered_path for entry in ledger}
    for item in registered:
        if item.times > 1:
            yield _finding(FindingKind.TWICE, stream, item.path, f"registered {item.times} times")
        if item.path not in known:
            yield _finding(FindingKind.NOT_IN_LEDGER, stream, item.path, "the ledger does not know it")


def _entry_findings(
    stream: StreamName, entry: LedgerEntry, registered: RegisteredPath | None, listed: SourceFile | None
) -> Iterator[Finding]:
    if registered is None:
        if entry.rows:  # a file without rows is taken in, and there is nothing to register
            yield _finding(FindingKind.NOT_REGISTERED, stream, entry.key, "the landing table has no such file")
    elif registered.rows != entry.rows * registered.times:
        detail = f"the ledger has {entry.rows} rows, the catalog {registered.rows}"
        yield _finding(FindingKind.ROWS_DIFFER, stream, entry.key, detail)
    if listed is None:
        yield _finding(FindingKind.GONE, stream, entry.key, "the object is gone; scans of the landing table fail")
    elif (listed.etag, listed.size_bytes) != (entry.etag, entry.size_bytes):
        detail = f"ETag {entry.etag} was taken in, the object has {listed.etag}"
        yield _finding(FindingKind.CHANGED, stream, entry.key, detail)


def _finding(kind: FindingKind, stream: StreamName, path: str, detail: str) -> Finding:
    return Finding(kind=kind, stream=stream, path=path, detail=detail)
