"""Asking a lake in SQL. Reads, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol


class Answer(Protocol):
    """What one statement answers. It is read once, from the front: what was read is not kept."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns' names, in order. Two may have the same."""

    def pages(self) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows, a thousand at a time, as Python values.

        Raises:
            UsageError: DuckDB refuses a value of them.
            StorageError: a data file cannot be read.
        """

    def write_parquet(self, target: BinaryIO) -> None:
        """Write the rows as one Parquet file.

        Raises:
            UsageError: a type of them cannot be in Parquet, or DuckDB refuses a value.
            StorageError: a data file cannot be read.
        """


class QuerySession(Protocol):
    """A lake that is open for questions. Ctrl-C ends a question at once, and no more than that."""

    def statements(self, text: str) -> Sequence[str]:
        """The statements of a text; none of them was run.

        Raises:
            UsageError: it is no SQL, or one of them does not only read.
        """

    def ask(self, statement: str) -> Answer:
        """Run one of ``statements``.

        Raises:
            UsageError: DuckDB refuses it.
            StorageError: a data file cannot be read.
        """

    def close(self) -> None:
        """Let the lake go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """How DuckDB reaches object storage, without its keys."""

    shown: Mapping[str, str]
    """Parameters of DuckDB's secret by name: the endpoint, the region."""
    has_token: bool
    """Whether the keys come with a session token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeAddress:
    """All that a DuckDB of somebody else's needs to read a lake, but no secret."""

    extensions: Sequence[str]
    """DuckDB's extensions, in the order in which they are loaded."""
    extension_directory: str
    """Where lakeray's own are, for the DuckDB version that it uses."""
    duckdb_version: str
    settings: Mapping[str, str]
    """What a reader does well to SET."""
    attach: str
    """The statement that attaches the lake as ``lakehouse``, read-only."""
    asks_password: bool
    """Whether the catalog's database wants a password, which libpq reads from PGPASSWORD."""
    s3: S3Address | None
    """None when the files are in folders."""
