"""What both lakes must agree on, and with the raw files: the catalog's rows, and the answers to queries."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

from lakeray.adapters.ducklake.values.column_summary import as_duckdb
from lakeray.airbyte.columns import AIRBYTE_COLUMNS
from lakeray.values.model import StreamName
from tests.differential.lakes import Row, Twins, WrittenLake, quoted, truth

_FILE = (
    "path, path_is_relative, file_format, record_count, file_size_bytes, footer_size, row_id_start, partition_id, "
    "encryption_key, partial_max, end_snapshot, file_order"
)
_STATS = "column_size_bytes, value_count, null_count, min_value, max_value, contains_nan, extra_stats"
_MAX_SHOWN = 6
_AIRBYTE = frozenset(column.name for column in AIRBYTE_COLUMNS[1:])
_NESTED = ("STRUCT", "MAP", "[]", "UNION", "VARIANT")


def table_id(lake: WrittenLake, stream: StreamName) -> int:
    """The landing table's."""
    ((found,),) = lake.stored("ducklake_table", f"table_name = '{stream.landing_table}'", "DISTINCT table_id")
    return int(found)


_WITHIN = "regexp_replace(f.path, '^.*/lake/converted/', '')"


def catalog_rows(lake: WrittenLake, stream: StreamName) -> dict[str, list[Row]]:
    """The catalog's rows of a landing table's files, with paths and mappings in the ids' places."""
    own = f"table_id = {table_id(lake, stream)}"
    catalog = "__ducklake_metadata_lakehouse"
    return {
        "files": [(_within(path), *rest) for path, *rest in lake.stored("ducklake_data_file", own, _FILE)],
        "statistics": lake.rows(
            f"SELECT {_WITHIN}, c.column_id, {_STATS} FROM {catalog}.ducklake_file_column_stats AS c "
            f"JOIN {catalog}.ducklake_data_file AS f USING (data_file_id) WHERE c.{own} ORDER BY ALL"
        ),
        "mappings": _without_numbers(
            lake.rows(
                f"SELECT {_WITHIN}, m.type, n.column_id, n.source_name, n.target_field_id, n.parent_column, "
                "n.is_partition "
                f"FROM {catalog}.ducklake_data_file AS f "
                f"JOIN {catalog}.ducklake_column_mapping AS m USING (mapping_id) "
                f"JOIN {catalog}.ducklake_name_mapping AS n ON n.mapping_id = m.mapping_id WHERE m.{own} ORDER BY ALL"
            )
        ),
        "table": lake.stored("ducklake_table_stats", own, "record_count, next_row_id, file_size_bytes"),
        "order": [
            (_within(row[0]),)
            for row in lake.rows(
                f"SELECT path FROM {catalog}.ducklake_data_file WHERE {own} ORDER BY begin_snapshot, row_id_start"
            )
        ],
    }


def _within(path: str) -> str:
    """A copy's path without the folder of its lake, which the twins do not share; a raw file's as it is."""
    _, copied, rest = path.partition("/lake/converted/")
    return rest if copied else path


def same_catalogs(pair: Twins, stream: StreamName) -> None:
    """Both catalogs say the same of a landing table, but for ids."""
    mine, theirs = catalog_rows(pair.catalog, stream), catalog_rows(pair.extension, stream)
    for name, rows in theirs.items():
        if name == "statistics":
            rows = [_without_zeros(row) for row in rows]
        assert mine[name] == rows, (
            name,
            [item for item in mine[name] if item not in rows][:_MAX_SHOWN],
            [item for item in rows if item not in mine[name]][:_MAX_SHOWN],
        )


def _without_numbers(mappings: list[Row]) -> list[Row]:
    """Names below their parents' names: a mapping's numbers only say what is below what, in whichever file's order."""
    found: list[Row] = []
    for path, rows in itertools.groupby(mappings, key=lambda row: row[0]):
        names: dict[int, tuple[str, ...]] = {}
        for _, kind, number, name, target, parent, is_partition in rows:
            assert number == len(names)
            names[number] = (*(names[parent] if parent is not None else ()), name)
            found.append((path, kind, names[number], target, bool(is_partition)))
    return sorted(found)


def _without_zeros(row: Row) -> Row:
    """Postgres cannot hold a text with a zero; the writer stores no such bound in any catalog."""
    low, high = (None if value is not None and "\0" in value else value for value in row[5:7])
    return (*row[:5], low, high, *row[7:])


def table_statistics(lake: WrittenLake, stream: StreamName) -> dict[int, Row]:
    """By column: whether nulls are there, whether not-a-numbers are, the bounds."""
    columns = "column_id, contains_null, contains_nan, min_value, max_value"
    rows = lake.stored("ducklake_table_column_stats", f"table_id = {table_id(lake, stream)}", columns)
    return {row[0]: row[1:] for row in rows}


def never_too_narrow(lake: WrittenLake, judged: WrittenLake, stream: StreamName) -> None:
    """A landing table's statistics hold for the ``truth`` that ``lake`` has, those of nested fields included."""
    known = table_statistics(judged, stream)
    for leaf in _leaves(lake, stream):
        if leaf.column_id not in known:
            continue
        has_null, _, low, high = known[leaf.column_id]
        if leaf.flat:
            ((nulls,),) = lake.rows(f"SELECT count(*) FROM truth WHERE {leaf.values}[1] IS NULL")
            assert has_null is not False or has_null is None or not nulls, (leaf, "nulls", nulls)
        if leaf.kind == "blob":
            continue
        typed = as_duckdb(leaf.kind)
        bounded = f"CAST(v AS {typed})"
        if typed in ("FLOAT", "DOUBLE"):
            bounded = f"CASE WHEN isnan({bounded}) THEN NULL ELSE {bounded} END"
        for bound, sign in ((low, "<"), (high, ">")):
            if bound is not None:
                rows = lake.rows(
                    f"SELECT v FROM (SELECT unnest({leaf.values}) AS v FROM truth) "
                    f"WHERE {bounded} {sign} CAST(? AS {typed})",
                    [bound],
                )
                assert not rows, (leaf, bound, sign, rows[:_MAX_SHOWN])


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A column or a field without parts."""

    column_id: int
    kind: str
    values: str
    """An expression: the list of a row's values."""
    flat: bool
    """Whether it is a column, so that the list has one value."""


def _leaves(lake: WrittenLake, stream: StreamName) -> Iterator[Leaf]:
    rows = lake.stored(
        "ducklake_column",
        f"table_id = {table_id(lake, stream)} AND end_snapshot IS NULL",
        "parent_column, column_id, column_name, column_type",
    )
    below: dict[int | None, list[Row]] = {}
    for parent, *column in rows:
        below.setdefault(parent, []).append(tuple(column))

    def visit(column: Row, values: str, *, flat: bool) -> Iterator[Leaf]:
        column_id, _, kind = column
        fields = below.get(column_id, [])
        if not fields:
            yield Leaf(column_id=column_id, kind=kind, values=values, flat=flat)
        for field in fields:
            if kind == "list":
                inside = f"flatten({values})"
            elif kind == "map":
                inside = f"flatten(list_transform({values}, lambda m: map_{field[1]}s(m)))"
            else:
                inside = f'list_transform({values}, lambda s: s."{quoted(field[1])}")'
            yield from visit(field, inside, flat=False)

    for column in below.get(None, []):
        yield from visit(column, f'["{quoted(column[1])}"]', flat=True)


def same_table_statistics(pair: Twins, stream: StreamName) -> None:
    """The writer's statistics of a table are those of DuckLake's call, or one of both says less."""
    mine, theirs = table_statistics(pair.catalog, stream), table_statistics(pair.extension, stream)
    # Either may know nothing, of a column that is added with a file for example; `never_too_narrow` judges the rest.
    for column_id in mine.keys() & theirs.keys():
        for known, other in zip(mine[column_id], theirs[column_id], strict=True):
            assert other is None or known in (other, None, True), (column_id, mine[column_id], theirs[column_id])


def same_answers(pair: Twins, stream: StreamName, landed: Sequence[dict[str, int]], paths: Sequence[str]) -> None:
    """Queries of both lakes and of the raw files have the same answers, with filters on every column."""
    truth(pair.extension, stream, paths)
    samples = _samples(pair.extension)
    expected = list(_answers(pair.extension, "truth", samples))
    for name, lake in pair.lakes.items():
        never_too_narrow(pair.extension, lake, stream)
        found = list(_answers(lake, f"lakehouse.staging.{stream.landing_table}", samples))
        for right, wrong in zip(expected, found, strict=True):
            assert wrong == right, (name, wrong, right)
        if landed:
            first, last = landed[0][name], landed[-1][name]
            rows = f"ducklake_table_insertions('lakehouse', 'staging', '{stream.landing_table}', {first}, {last})"
            assert _sorted(lake, rows, list(samples.names)) == expected[0][1], name


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What is asked of each column."""

    names: tuple[str, ...]
    columns: tuple[tuple[str, str, tuple[Any, ...]], ...]
    """An expression, its type when it can be compared, else nothing, and values to compare it with."""


def _samples(lake: WrittenLake) -> Samples:
    types = lake.rows("SELECT column_name, column_type FROM (DESCRIBE truth)")
    columns = []
    for name, kind in (item for item in types if item[0] not in _AIRBYTE):
        for expression, flat in _parts(f'"{quoted(name)}"', kind):
            values = (
                [
                    value
                    for (value,) in lake.rows(
                        f"SELECT DISTINCT {expression} AS v FROM truth WHERE v IS NOT NULL ORDER BY v"
                    )
                ]
                if flat
                else []
            )
            # DuckLake looks for a filter's files by SQL that ends at a zero in the filter's text: whoever wrote them.
            values = [value for value in values if not (isinstance(value, str) and "\0" in value)]
            values = [value for value in values if not (isinstance(value, float) and isnan(value))]
            chosen = values[:1] + values[len(values) // 2 : len(values) // 2 + 1] + values[-1:]
            columns.append((expression, kind if flat else "", tuple(chosen)))
    return Samples(names=tuple(name for name, _ in types), columns=tuple(columns))


def _sorted(lake: WrittenLake, table: str, names: Sequence[str]) -> list[str]:
    wanted = ", ".join(f'"{quoted(name)}"' for name in names)
    return sorted(repr(row) for row in lake.rows(f"SELECT {wanted} FROM {table}"))


def _parts(column: str, kind: str) -> Iterator[tuple[str, bool]]:
    yield column, not any(word in kind for word in _NESTED)
    if kind.startswith("STRUCT(a VARCHAR") and not kind.endswith("]"):
        yield f"{column}.a", True


def _answers(lake: WrittenLake, table: str, samples: Samples) -> Iterator[tuple[str, Any]]:
    yield "rows", _sorted(lake, table, samples.names)
    for value, kind, chosen in samples.columns:
        if kind:
            yield value, repr(lake.rows(f"SELECT min({value}), max({value}), count({value}), count(*) FROM {table}"))
        filters = [f"{value} IS NULL", f"{value} IS NOT NULL"]
        # DuckDB compares a not-a-number as the largest, and passes over row groups by bounds that leave it out.
        number_only = f" AND NOT isnan({value})" if kind in ("FLOAT", "DOUBLE") else ""
        filters += [f"{value} {sign} ${at}{number_only}" for at in range(1, len(chosen) + 1) for sign in "=<>"]
        filters += [f"isnan({value})"] if number_only else []
        counted = " UNION ALL ".join(f"SELECT {at}, count(*) FROM {table} WHERE {f}" for at, f in enumerate(filters))
        yield f"{value} {repr(chosen)[:200]}", sorted(lake.rows(counted, list(chosen)))
