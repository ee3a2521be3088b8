-- Every live data file of a landing table, with how often its path is registered.
SELECT d.path, count(*) AS times, sum(d.record_count) AS row_count
FROM __ducklake_metadata_lakehouse.ducklake_data_file AS d
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = d.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'staging' AND t.table_name = ? AND d.end_snapshot IS NULL
GROUP BY d.path
