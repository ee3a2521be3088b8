"""Filling a lake's catalog with registered files in bulk, as if thousands of batches had been taken in before.

The rows are copies of those that a real commit of the same lake wrote, under other names and older days: a batch of
1,000 files per DuckLake snapshot, ``FILES_PER_DAY`` files in a day, going back from the oldest day that is there. Their
objects do not exist. Only for catalogs of format 1.0 in Postgres.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import psycopg

from benchmarks.stack import Place
from lakeray import wiring

FILES_PER_DAY = 125
_BATCH = 1000
_EXTRACTED_AT = 2
"""The column id of ``_airbyte_extracted_at``: its statistics follow the file's day, so that filters can prune."""

_TEMPLATES = """
CREATE TABLE fill_template AS
SELECT row_number() OVER (ORDER BY f.data_file_id) - 1 AS turn, f.data_file_id AS template_id, f.record_count,
       f.file_size_bytes, f.footer_size, f.mapping_id, f.table_id,
       sum(f.record_count) OVER (ORDER BY f.data_file_id) - f.record_count AS rows_before,
       sum(f.record_count) OVER () AS round_rows, sum(f.file_size_bytes) OVER () AS round_bytes,
       l.etag, l.source, l.stream
FROM ducklake_data_file AS f JOIN {ledger} AS l ON l.registered_path = convert_to(f.path, 'UTF8')
WHERE f.end_snapshot IS NULL"""

_TEMPLATE_STATISTICS = """
CREATE TABLE fill_statistics AS
SELECT s.* FROM ducklake_file_column_stats AS s JOIN fill_template AS t ON t.template_id = s.data_file_id"""
"""Kept apart: the files that are copied may be cleaned up before the next filling."""

_NEW_FILES = """
CREATE TABLE fill_file AS
SELECT i, %(first_file)s + i AS data_file_id, %(first_snapshot)s + i / {batch} AS begin_snapshot, t.*,
       %(first_row)s + (i / %(turns)s) * t.round_rows + t.rows_before AS row_id_start,
       (%(newest)s::date - 1 - ((%(had)s + i) / {per_day})::int) AS file_day,
       convert_from(t.source, 'UTF8') || '/' || convert_from(t.stream, 'UTF8')
       || to_char((%(newest)s::date - 1 - ((%(had)s + i) / {per_day})::int), '"/year="YYYY"/month="MM"/day="DD')
       || '/filled_' || (%(had)s + i) || '.parquet' AS file_key
FROM generate_series(0::bigint, %(files)s - 1) AS i JOIN fill_template AS t ON t.turn = i %% %(turns)s
"""

_LANDED = (
    """
INSERT INTO ducklake_data_file
SELECT data_file_id, table_id, begin_snapshot, NULL, NULL, %(base)s || '/' || file_key, false, 'parquet', record_count,
       file_size_bytes, footer_size, row_id_start, NULL, NULL, mapping_id, NULL
FROM fill_file ORDER BY i""",
    """
INSERT INTO ducklake_file_column_stats
SELECT f.data_file_id, s.table_id, s.column_id, s.column_size_bytes, s.value_count, s.null_count,
       CASE s.column_id WHEN {extracted_at} THEN f.file_day || substr(s.min_value, 11) ELSE s.min_value END,
       CASE s.column_id WHEN {extracted_at} THEN f.file_day || substr(s.max_value, 11) ELSE s.max_value END,
       s.contains_nan, s.extra_stats
FROM fill_file AS f JOIN fill_statistics AS s ON s.data_file_id = f.template_id ORDER BY f.i""",
    """
UPDATE ducklake_table_stats AS s SET record_count = s.record_count + n.rows, next_row_id = s.next_row_id + n.rows,
       file_size_bytes = s.file_size_bytes + n.bytes
FROM (SELECT table_id, sum(record_count) AS rows, sum(file_size_bytes) AS bytes FROM fill_file GROUP BY table_id) AS n
WHERE s.table_id = n.table_id""",
    """
UPDATE ducklake_table_column_stats SET min_value = (SELECT min(file_day) FROM fill_file) || substr(min_value, 11)
WHERE table_id = (SELECT min(table_id) FROM fill_file) AND column_id = {extracted_at}""",
)

_CLEANED = (
    """
INSERT INTO {removals}
SELECT (SELECT coalesce(max(row_id) + 1, 0) FROM {removals}) + i, begin_snapshot, NULL, source, stream,
       convert_to(file_key, 'UTF8'), etag, begin_snapshot, 'retention'::bytea, now()::text, false
FROM fill_file ORDER BY i""",
    """
INSERT INTO ducklake_table_stats
SELECT {removals_id}, 0, 0, 0 WHERE NOT EXISTS (SELECT FROM ducklake_table_stats WHERE table_id = {removals_id})""",
    """
UPDATE ducklake_table_stats SET record_count = record_count + %(files)s, next_row_id = next_row_id + %(files)s
WHERE table_id = {removals_id}""",
)

_BOOKKEEPING = (
    """
INSERT INTO {ledger}
SELECT %(first_ledger)s + i, begin_snapshot, NULL, source, stream, convert_to(file_key, 'UTF8'), etag, file_size_bytes,
       record_count, file_day::text, convert_to('batch-' || begin_snapshot, 'UTF8'),
       convert_to('commit-' || begin_snapshot, 'UTF8'), convert_to(%(base)s || '/' || file_key, 'UTF8'), now()::text
FROM fill_file ORDER BY i""",
    """
INSERT INTO {batches}
SELECT %(first_batch)s + row_number() OVER (ORDER BY begin_snapshot) - 1, begin_snapshot, NULL,
       convert_to('commit-' || begin_snapshot, 'UTF8'), convert_to('batch-' || begin_snapshot, 'UTF8'),
       min(source), min(stream), count(*), sum(record_count), sum(file_size_bytes), now()::text
FROM fill_file GROUP BY begin_snapshot""",
    """
INSERT INTO ducklake_snapshot
SELECT f.begin_snapshot, clock_timestamp(), s.schema_version, s.next_catalog_id, max(f.data_file_id) + 1
FROM fill_file AS f, ducklake_snapshot AS s WHERE s.snapshot_id = %(first_snapshot)s - 1
GROUP BY f.begin_snapshot, s.schema_version, s.next_catalog_id ORDER BY 1""",
    """
INSERT INTO ducklake_snapshot_changes
SELECT DISTINCT begin_snapshot,
       'inserted_into_table:' || table_id || ',inlined_insert:{ledger_id},inlined_insert:{batches_id}', 'lakeray',
       'filled', NULL
FROM fill_file ORDER BY 1""",
    """
UPDATE ducklake_table_stats SET record_count = record_count + %(files)s, next_row_id = next_row_id + %(files)s
WHERE table_id = {ledger_id}""",
    """
UPDATE ducklake_table_stats SET record_count = record_count + n.batches, next_row_id = next_row_id + n.batches
FROM (SELECT count(DISTINCT begin_snapshot) AS batches FROM fill_file) AS n WHERE table_id = {batches_id}""",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inlined:
    """A DuckLake table whose rows are in the catalog."""

    table_id: int
    name: str
    """Of the catalog's table that holds the rows."""


def fill(place: Place, *, files: int, had: int, newest: date, cleaned: bool = False) -> None:
    """Add ``files`` registered files to the lake at ``place``, which some real commits have gone into.

    Args:
        had: how many files earlier calls have added.
        newest: the files' days go back from the day before this one.
        cleaned: the retention has taken them out again: they are in the ledger and in its removals, not in landing.
    """
    with place.stack.sql() as connection:
        connection.execute(f'SET search_path TO "{place.schema}"')
        connection.execute("SET synchronous_commit = off")
        connection.cursor_factory = psycopg.ClientCursor  # CREATE TABLE AS takes no bound values
        _drop_indexes(connection, place.schema)
        names = _names(connection)
        if connection.execute("SELECT to_regclass('fill_template')").fetchone() == (None,):
            connection.execute(_TEMPLATES.format(**names))
            connection.execute(_TEMPLATE_STATISTICS)
        with connection.transaction():
            values = _values(connection, place, names, files=files, had=had, newest=newest)
            connection.execute(_NEW_FILES.format(batch=_BATCH, per_day=FILES_PER_DAY), values)
            for statement in (*(_CLEANED if cleaned else _LANDED), *_BOOKKEEPING):
                connection.execute(statement.format(**names, extracted_at=_EXTRACTED_AT), values)
            connection.execute("DROP TABLE fill_file")
            for table in ("ledger", "batches", "removals"):
                _describe(connection, table_id=names[f"{table}_id"], rows=names[table])


def settle(place: Place) -> None:
    """Make lakeray's indexes, and do what autovacuum would: neither may run while something is measured."""
    wiring.backend(place.settings()).add_indexes()
    with place.stack.sql() as connection:
        connection.execute(f'SET search_path TO "{place.schema}"')
        names = _names(connection)
        for name in ("ducklake_data_file", "ducklake_file_column_stats", names["ledger"], names["removals"]):
            connection.execute(f'VACUUM (ANALYZE) "{name}"')


def mark_transformed(place: Place) -> None:
    """Let everything that is registered count as merged, and the enriched models as built from it."""
    with place.stack.sql() as connection:
        connection.execute(f'SET search_path TO "{place.schema}"')
        names = _names(connection)
        connection.execute(
            f"UPDATE {names['cursors']} SET transformed_snapshot = "
            "(SELECT max(snapshot_id) FROM ducklake_snapshot) WHERE end_snapshot IS NULL"
        )
        connection.execute(
            f"UPDATE {names['marks']} SET built_from = (SELECT convert_to(json_object_agg(convert_from(source, 'UTF8') "
            f"|| '/' || convert_from(stream, 'UTF8'), transformed_snapshot)::text, 'UTF8') FROM {names['cursors']} "
            "WHERE end_snapshot IS NULL) WHERE end_snapshot IS NULL"
        )
        _describe(connection, table_id=names["cursors_id"], rows=names["cursors"])


def _describe(connection: psycopg.Connection, *, table_id: object, rows: object) -> None:
    """Make the statistics of an inlined table true again: too narrow, they make DuckDB answer wrongly."""
    columns = connection.execute(
        "SELECT column_id, column_name, column_type FROM ducklake_column WHERE table_id = %s", [table_id]
    ).fetchall()
    for column_id, name, kind in columns:
        text = f"convert_from({name}, 'UTF8')" if kind == "varchar" else name
        collated = text if kind == "int64" else f'{text} COLLATE "C"'
        connection.execute(
            "UPDATE ducklake_table_column_stats AS s SET min_value = n.low, max_value = n.high "
            f"FROM (SELECT min({collated})::text AS low, max({collated})::text AS high FROM {rows}) AS n "
            "WHERE s.table_id = %s AND s.column_id = %s",
            [table_id, column_id],
        )


def _drop_indexes(connection: psycopg.Connection, schema: str) -> None:
    """lakeray's own indexes go while rows come in bulk; ``settle`` makes them again."""
    found = connection.execute(
        "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND indexname LIKE 'lakeray%%'", [schema]
    )
    for (name,) in found.fetchall():
        connection.execute(f'DROP INDEX "{name}"')


def _names(connection: psycopg.Connection) -> dict[str, object]:
    rows = connection.execute(
        "SELECT t.table_name, t.table_id, i.table_name FROM ducklake_inlined_data_tables AS i "
        "JOIN ducklake_table AS t ON t.table_id = i.table_id JOIN ducklake_schema AS s ON s.schema_id = t.schema_id "
        "WHERE s.schema_name = 'meta'"
    ).fetchall()
    found = {name: Inlined(table_id=table_id, name=inlined) for name, table_id, inlined in rows}
    return {
        "ledger": found["ledger"].name,
        "ledger_id": found["ledger"].table_id,
        "batches": found["batches"].name,
        "batches_id": found["batches"].table_id,
        "removals": found["removals"].name,
        "removals_id": found["removals"].table_id,
        "marks": found["enriched_marks"].name,
        "cursors": found["feeder_cursors"].name,
        "cursors_id": found["feeder_cursors"].table_id,
    }


def _values(
    connection: psycopg.Connection, place: Place, names: dict[str, object], *, files: int, had: int, newest: date
) -> dict[str, object]:
    first = connection.execute(
        f"SELECT (SELECT max(snapshot_id) + 1 FROM ducklake_snapshot), "
        f"(SELECT next_file_id FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1), "
        f"(SELECT next_row_id FROM ducklake_table_stats WHERE table_id = (SELECT min(table_id) FROM fill_template)), "
        f"(SELECT next_row_id FROM ducklake_table_stats WHERE table_id = {names['ledger_id']}), "
        f"(SELECT next_row_id FROM ducklake_table_stats WHERE table_id = {names['batches_id']}), "
        f"(SELECT count(*) FROM fill_template)"
    ).fetchone()
    assert first is not None
    keys = ("first_snapshot", "first_file", "first_row", "first_ledger", "first_batch", "turns")
    return {
        **dict(zip(keys, first, strict=True)),
        "files": files,
        "had": had,
        "newest": newest,
        "base": place.url("").rstrip("/"),
    }
