-- Every table and view of staging and main: rows by its live files, whether these are all (none inlined, no deletion inlined, no
-- view), its live data files, its live delete files, and the rows that these take out.
WITH f AS (
    SELECT table_id, count(*) AS files, sum(record_count) AS row_count FROM __ducklake_metadata_lakehouse.ducklake_data_file
    WHERE end_snapshot IS NULL GROUP BY table_id
),
d AS (
    SELECT d.table_id, count(*) AS files, sum(d.delete_count) AS row_count
    FROM __ducklake_metadata_lakehouse.ducklake_delete_file AS d
    JOIN __ducklake_metadata_lakehouse.ducklake_data_file AS f ON f.data_file_id = d.data_file_id AND f.end_snapshot IS NULL
    WHERE d.end_snapshot IS NULL GROUP BY d.table_id
),
beside AS (
    SELECT table_id FROM __ducklake_metadata_lakehouse.ducklake_inlined_data_tables
    UNION
    SELECT TRY_CAST(replace(table_name, 'ducklake_inlined_delete_', '') AS BIGINT) FROM duckdb_tables()
    WHERE database_name = '__ducklake_metadata_lakehouse' AND starts_with(table_name, 'ducklake_inlined_delete_')
)
SELECT s.schema_name, t.table_name, CAST(coalesce(f.row_count, 0) - coalesce(d.row_count, 0) AS BIGINT),
       b.table_id IS NULL, coalesce(f.files, 0), coalesce(d.files, 0), CAST(coalesce(d.row_count, 0) AS BIGINT)
FROM __ducklake_metadata_lakehouse.ducklake_table AS t
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN f ON f.table_id = t.table_id
LEFT JOIN d ON d.table_id = t.table_id
LEFT JOIN beside AS b ON b.table_id = t.table_id
WHERE s.schema_name IN ('staging', 'main') AND t.end_snapshot IS NULL
UNION ALL
SELECT s.schema_name, v.view_name, 0, false, 0, 0, 0 FROM __ducklake_metadata_lakehouse.ducklake_view AS v
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = v.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name IN ('staging', 'main') AND v.end_snapshot IS NULL
