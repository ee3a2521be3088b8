"""Reading the lake's bookkeeping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from lakeray.values.model import (
    Cursor,
    FileGenerations,
    LastBatch,
    LedgerEntry,
    LeftOut,
    LiveFile,
    MergedBy,
    Peak,
    PendingTransform,
    QuarantineEntry,
    Rebuild,
    RebuildCounts,
    RegisteredPath,
    RowWarning,
    RunRecord,
    StreamName,
    TableHealth,
)
from lakeray.values.type_growth import FieldPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the ledger says of one key, as discovery needs it."""

    etag: str
    size_bytes: int
    live: bool
    """Whether its rows are in the landing table; False after clean-up."""


class KnowsLake(Protocol):
    """What tells one lake from another."""

    def lake_id(self) -> str | None:
        """The lake's id, made once with its catalog and kept wherever that moves to; None before there is a lake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractNotes:
    """What was noted of the contract that a stream's tables were made by."""

    merged_by: MergedBy | None = None
    """What the rows of the processed table were compared by; None when nobody noted it."""
    left_out: Mapping[tuple[FieldPath, ...], int] = field(default_factory=dict)
    """Fields that were left out of live files, and of how many; not those that were refused since."""


class PlanningReader(Protocol):
    """What looking and planning read of the bookkeeping. All calls raise ``CatalogError``."""

    def cursor(self, stream: StreamName) -> Cursor:
        """The stream's cursor and marks; an empty one before the first batch."""

    def known(self, stream: StreamName, *, since: date | None) -> Mapping[str, Known]:
        """The ledger of the stream from day ``since`` (inclusive) on, by key; None for all of it."""

    def known_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, Known]:
        """The same of these keys, whatever their day; keys that the ledger does not know are left out."""

    def quarantined(self, stream: StreamName | None) -> Sequence[QuarantineEntry]:
        """The record of rejected files, of one stream or of all."""

    def peaks(self, stream: StreamName) -> Sequence[Peak]:
        """What the newest merges of the stream needed, the newest first; at most 20."""

    def generations(self, stream: StreamName) -> Mapping[str, FileGenerations]:
        """Of which generations the rows of the stream's live files are, by key, as it is known now (P16)."""

    def contract_notes(self, stream: StreamName) -> ContractNotes:
        """What was noted of the contract that the stream's tables were made by."""

    def left_out_files(self, stream: StreamName) -> Sequence[LeftOut]:
        """The live files of which fields were left out."""


class CatalogReader(PlanningReader, KnowsLake, Protocol):
    """Reading the lake's bookkeeping. Never needs the lease. All calls raise ``CatalogError``."""

    def landing_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The landing table's columns and types; None when there is no table."""

    def processed_columns(self, stream: StreamName) -> Mapping[str, str] | None:
        """The processed table's columns and types; None when there is no table."""

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet (P12)."""

    def cleanable(self, stream: StreamName, *, before: date) -> Sequence[LedgerEntry]:
        """Live, transformed files of days before ``before`` (exclusive) (P13)."""

    def registered(self, stream: StreamName, *, first: date, last: date) -> Sequence[LedgerEntry]:
        """Live ledger entries of days ``first`` to ``last``, both inclusive."""

    def existing_among(self, stream: StreamName, keys: Sequence[str]) -> Mapping[str, str]:
        """What the stream's first plan listed of these keys, and under which ETags (P13)."""

    def kept_files(self, stream: StreamName) -> int:
        """How many files left landing whose objects stay."""

    def replaced_files(self, stream: StreamName) -> tuple[int, int]:
        """How many files newer generations have replaced, and how many rows these files brought (P16)."""

    def totals(self, stream: StreamName) -> tuple[int, int | None]:
        """How many files were ever taken in, and the newest DuckLake snapshot that registered one."""

    def last_batch(self, stream: StreamName) -> LastBatch | None:
        """The newest batch."""

    def history(self, key: str) -> Sequence[LedgerEntry]:
        """Every time the key was taken in, oldest first."""

    def enriched_is_stale(self, *, project: str = "") -> bool:
        """Whether a processed table moved since the enriched models were last built, or the dbt project is another one.

        Args:
            project: the fingerprint of its files; empty when nobody looked.
        """


class PlanningSnapshot(PlanningReader, KnowsLake, Protocol):
    """The bookkeeping of several streams as it stood at one moment: what a run looks at before it takes the lease."""

    def landing_names(self, stream: StreamName) -> frozenset[str] | None:
        """The names of the landing table's columns; None when there is no table."""

    def pending_transform(self, stream: StreamName) -> PendingTransform | None:
        """What dbt has not merged yet (P12)."""

    def oldest_waiting(self) -> int | None:
        """The oldest DuckLake snapshot that a transform of any stream of the lake still has to read."""

    def oldest_merged_day(self, stream: StreamName) -> date | None:
        """The oldest day whose rows are live and merged: what clean-up looks at first."""


class RunReader(CatalogReader, Protocol):
    """What runs over all streams, and the commands, read besides."""

    def planning_snapshot(
        self, streams: Sequence[StreamName], *, since_of: Callable[[Cursor], date | None]
    ) -> PlanningSnapshot:
        """The bookkeeping of these streams at this moment, each from the day that ``since_of`` its cursor says."""

    def releasable(self, *, older_than: datetime, keep_from: int | None) -> bool:
        """Whether clean-up has something to release (P13, P15).

        Args:
            older_than: DuckLake snapshots from then on are kept.
            keep_from: DuckLake snapshots from this one on are kept; None when nobody waits for any.
        """

    def all_peaks(self) -> Sequence[tuple[str, Peak]]:
        """Every merge that is on record, the oldest first, with its stream's name."""

    def row_warnings(self) -> Sequence[RowWarning]:
        """What merges had to say of rows, of all processed tables; of each file what its last merge said."""

    def streams(self) -> Sequence[StreamName]:
        """The streams of which files were taken in, configured or not."""

    def landing_paths(self, stream: StreamName) -> Sequence[RegisteredPath]:
        """The live data files of the landing table, as the catalog has them."""

    def data_file_paths(self) -> Sequence[str]:
        """Every path that the catalog knows of a file, absolute or relative to its table."""

    def live_files_below(self, place: str) -> Sequence[LiveFile]:
        """The live files of every table that are kept below DATA_PATH.

        Args:
            place: DATA_PATH's address: converted copies are registered by their whole address.
        """

    def catalog_version(self) -> str | None:
        """DuckLake's catalog format; None when there is no lake yet."""

    def rebuild_counts(self, change: Rebuild, *, merged_through: int) -> RebuildCounts:
        """What a rebuild would do to the rows that are there; reads the key and the columns that change.

        Args:
            merged_through: rows of landing up to this DuckLake snapshot count as merged (inclusive).
        """

    def runs(self, *, each: int) -> Sequence[RunRecord]:
        """What is on record of runs, the newest first; of each stream at most so many."""

    def arrivals(self) -> Mapping[StreamName, Sequence[datetime]]:
        """When the files of each stream that were taken in had come, to the minute; the 200 newest minutes of each."""

    def tables(self) -> Mapping[tuple[str, str], TableHealth]:
        """Every table and view of ``staging`` and ``main``, by schema and name."""
