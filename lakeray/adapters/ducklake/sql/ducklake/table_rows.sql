-- How many rows a table has by its live files, and whether these are all: none inlined, no deletion inlined, no view.
SELECT CAST(coalesce(sum(f.record_count), 0) - coalesce(sum(d.delete_count), 0) AS BIGINT),
       NOT EXISTS (SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_inlined_data_tables WHERE table_id = t.table_id)
       AND NOT EXISTS (SELECT 1 FROM duckdb_tables() WHERE database_name = '__ducklake_metadata_lakehouse'
                       AND table_name = 'ducklake_inlined_delete_' || t.table_id)
FROM __ducklake_metadata_lakehouse.ducklake_table AS t
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_lakehouse.ducklake_data_file AS f ON f.table_id = t.table_id AND f.end_snapshot IS NULL
LEFT JOIN __ducklake_metadata_lakehouse.ducklake_delete_file AS d
    ON d.data_file_id = f.data_file_id AND d.end_snapshot IS NULL
WHERE s.schema_name = $schema AND t.table_name = $name AND t.end_snapshot IS NULL
GROUP BY t.table_id
UNION ALL
SELECT 0, false FROM __ducklake_metadata_lakehouse.ducklake_view AS v
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = v.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = $schema AND v.view_name = $name AND v.end_snapshot IS NULL
