"""A table's statistics after rows were added: bounds that hold for all of it, or none.

DuckLake prunes whole tables by them and answers ``min`` and ``max`` from them, so they may be unknown but never too
narrow. Its own registration makes them too narrow in two cases (measured, ADR 0015), which are kept apart here: a file
that lacks a column has nulls in it, and after a file without bounds nothing is known of the column's bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from lakeray.adapters.ducklake.values.bound_order import Unsure, key_of
from lakeray.adapters.ducklake.values.column_summary import Summary, added_rows, as_duckdb, summed_up


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnStats:
    """One column's row in ducklake_table_column_stats. None: not known."""

    contains_null: bool | None
    min_value: str | None
    max_value: str | None
    contains_nan: bool | None = None
    extra_stats: str | None = None


def joined(
    summaries: Iterable[tuple[int, Summary]], *, types: Mapping[int, str], connection: duckdb.DuckDBPyConnection
) -> dict[int, Summary]:
    """Sum up summaries by column."""
    groups: dict[int, list[Summary]] = {}
    for column_id, summary in summaries:
        groups.setdefault(column_id, []).append(summary)
    found: dict[int, Summary] = {}
    left: list[Sequence[object]] = []
    for column_id, group in groups.items():
        bounds = _joined_bounds(group, as_duckdb(types[column_id]))
        if bounds is None:
            left += [_as_added(column_id, summary) for summary in group]
        else:
            found[column_id] = Summary(
                has_null=_any(*(summary.has_null for summary in group)),
                bounded=all(summary.bounded for summary in group),
                min_value=bounds[0],
                max_value=bounds[1],
            )
    return found | summed_up(added_rows(left), types=types, connection=connection)


def _joined_bounds(group: Sequence[Summary], kind: str) -> tuple[str | None, str | None] | None:
    """The bounds of all; None when only DuckDB can say."""
    lows = dict.fromkeys(summary.min_value for summary in group if summary.min_value is not None)
    highs = dict.fromkeys(summary.max_value for summary in group if summary.max_value is not None)
    if len(lows) < 2 and len(highs) < 2:
        return next(iter(lows), None), next(iter(highs), None)
    key = key_of(kind)
    if key is None:
        return None
    try:
        return min(lows, key=key, default=None), max(highs, key=key, default=None)
    except Unsure:
        return None


def _as_added(column_id: int, summary: Summary) -> Sequence[object]:
    nulls = None if summary.has_null is None else int(summary.has_null)
    has_bounds = summary.min_value is not None and summary.max_value is not None
    values = None if not summary.bounded else int(has_bounds)
    # A row with a bound on one side only, or with unknown values beside known bounds, is as little bounded as without.
    low, high = (summary.min_value, summary.max_value) if summary.bounded else (None, None)
    return column_id, values, nulls, low, high


def in_question(current: Mapping[int, ColumnStats], added: Mapping[int, Summary]) -> list[int]:
    """Columns without bounds that would get some now: whether they had only nulls so far must be looked up."""
    return [
        column_id
        for column_id, summary in added.items()
        if summary.min_value is not None and (stands := current.get(column_id)) is not None and stands.min_value is None
    ]


def merged(
    current: Mapping[int, ColumnStats],
    added: Mapping[int, Summary],
    *,
    unknown: Iterable[int],
    missing: Iterable[int],
    had_rows: bool,
    wider: Mapping[int, tuple[str | None, str | None]],
) -> dict[int, ColumnStats]:
    """The rows of the columns that change.

    Args:
        unknown: columns whose bounds were not known before.
        missing: columns that some of the files lack.
        had_rows: whether the table had rows before.
        wider: of columns with bounds on both sides, the bounds that hold for both.
    """
    lost, lacking = set(unknown), set(missing)
    found: dict[int, ColumnStats] = {}
    for column_id, summary in added.items():
        stands = current.get(column_id)
        low, high = _bounds(stands, summary, wider.get(column_id), lost=column_id in lost)
        found[column_id] = ColumnStats(
            contains_null=_any(_had_null(stands, had_rows=had_rows), summary.has_null, column_id in lacking),
            min_value=low,
            max_value=high,
        )
    for column_id in lacking - added.keys():
        stands = current.get(column_id)
        if stands is not None:
            found[column_id] = ColumnStats(
                contains_null=True,
                min_value=stands.min_value,
                max_value=stands.max_value,
                contains_nan=stands.contains_nan,
                extra_stats=stands.extra_stats,
            )
    return found


def _bounds(
    stands: ColumnStats | None, summary: Summary, wider: tuple[str | None, str | None] | None, *, lost: bool
) -> tuple[str | None, str | None]:
    if lost or not summary.bounded:
        return None, None
    if stands is None or stands.min_value is None:
        return summary.min_value, summary.max_value
    if summary.min_value is None:
        return stands.min_value, stands.max_value
    return (None, None) if wider is None else wider


def _had_null(stands: ColumnStats | None, *, had_rows: bool) -> bool | None:
    # A column without statistics was added after the rows that are there: they are null in it.
    return had_rows if stands is None else stands.contains_null


def _any(*values: bool | None) -> bool | None:
    if True in values:
        return True
    return None if None in values else False


def widened(
    current: Mapping[int, ColumnStats],
    added: Mapping[int, Summary],
    *,
    types: Mapping[int, str],
    connection: duckdb.DuckDBPyConnection,
) -> dict[int, tuple[str | None, str | None]]:
    """The bounds of columns that have bounds before and now, compared as their types are compared."""
    both: list[tuple[int, Summary]] = []
    for column_id, summary in added.items():
        stands = current.get(column_id)
        if stands is None or stands.min_value is None or summary.min_value is None:
            continue
        before = Summary(
            has_null=False,
            bounded=stands.max_value is not None,
            min_value=stands.min_value,
            max_value=stands.max_value,
        )
        both += [(column_id, before), (column_id, summary)]
    found = joined(both, types=types, connection=connection)
    return {
        column_id: (summary.min_value, summary.max_value) if summary.bounded else (None, None)
        for column_id, summary in found.items()
    }
