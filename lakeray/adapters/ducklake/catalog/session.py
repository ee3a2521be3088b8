"""One transaction of the catalog database itself, below DuckLake: what the writer needs of Postgres and SQLite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

Statement = tuple[str, Sequence[Any]]
"""SQL with ``$1`` placeholders, and their values."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows to append, whose columns are named like the table's."""

    table: str
    rows: pa.Table


Step = Statement | Rows


class CatalogSession(Protocol):
    """A connection to the catalog database. All calls raise ``Conflict`` or ``CatalogFailed``."""

    def begin(self) -> None:
        """Begin a transaction."""

    def fetch(self, statements: Sequence[Statement]) -> list[list[tuple[Any, ...]]]:
        """The rows of each statement, in as few round trips as can be."""

    def write(self, steps: Sequence[Step]) -> None:
        """Run statements and append rows, in order, in as few round trips as can be."""

    def text(self, value: str | None) -> Any:
        """A text as the catalog stores it in an inlined table."""

    def texts(self, values: Sequence[str]) -> Any:
        """Texts as the catalog stores them in an inlined table, as the value of an array."""

    def names(self, values: Sequence[str]) -> Any:
        """Texts as DuckLake's own tables have them, as the value of an array."""

    def commit(self) -> None:
        """Commit.

        Raises:
            AnswerLost: it may have landed.
        """

    def rollback(self) -> None:
        """Give the transaction up. Never raises."""

    def close(self) -> None:
        """Let the connection go."""


@contextmanager
def looking(session: CatalogSession) -> Iterator[None]:
    """A transaction that writes nothing: it is rolled back, however it ends."""
    session.begin()
    try:
        yield
    finally:
        session.rollback()


@contextmanager
def committing(session: CatalogSession) -> Iterator[None]:
    """A transaction that is committed at the end, and rolled back when anything is raised before."""
    session.begin()
    try:
        yield
    except BaseException:
        session.rollback()
        raise
    session.commit()
