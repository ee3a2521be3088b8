"""What DuckDB's messages mean: the one place that reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def first_line(error: BaseException) -> str:
    """The first line of an error's text: what went wrong, without the SQL and its values."""
    return str(error).split("\n", 1)[0]
