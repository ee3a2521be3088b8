"""The one total order of a stream's records (P12), as SQL for a merge of our own: as the macro ``lakeray_age``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lakeray.values.column_types import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordOrder:
    """By what the records of a key are judged."""

    newest_first: Sequence[str] = ()
    """The cursor's columns: the first that is not null counts."""
    cursor_type: str | None = None
    """The type that a text cursor is compared as; None compares it as it is."""
    origin: bool = True
    """Whether the rows have the column ``_lakeray_origin``."""

    def ages(self, prefix: str = "", *, number: bool = False) -> list[str]:
        """The expressions, most important first: the greatest is the newest, a missing value the oldest.

        Args:
            prefix: of every column, with its dot.
            number: whether the rows have ``_lakeray_number``, their place in their object.
        """
        terms = [f"{prefix}_airbyte_extracted_at"]
        columns = [prefix + quoted(name) for name in self.newest_first]
        if columns:
            cursor = columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"
            terms.insert(0, cursor if self.cursor_type is None else f"try_cast({cursor} AS {self.cursor_type})")
        if self.origin:
            terms += [natural(f"{prefix}_lakeray_origin"), f"{prefix}_lakeray_origin"]
        return [*terms, *([f"{prefix}_lakeray_number"] if number else []), f"{prefix}_airbyte_raw_id"]


def natural(text: str) -> str:
    """A text that sorts as ``text`` does when runs of digits compare as numbers."""
    padded = f"regexp_replace({text}, '([0-9]+)', repeat('0', 64) || '\\1', 'g')"
    return f"regexp_replace({padded}, '[0-9]*([0-9]{{64}})', '\\1', 'g')"


def newer(new: str, there: str) -> str:
    """Whether one value is greater than another one, a null being the least; null when they are level."""
    return f"CASE WHEN {new} IS DISTINCT FROM {there} THEN coalesce({new} > {there}, {there} IS NULL) END"


def newer_of(new: Sequence[str], there: Sequence[str]) -> str:
    """Whether the first list of values is newer than the second; false when all are level."""
    terms = ", ".join(newer(left, right) for left, right in zip(new, there, strict=True))
    return f"coalesce({terms}, false)"
