-- The bounds of one column of a table, and how many of its rows have none, of each live data file.
SELECT d.path, c.min_value, c.max_value, c.null_count
FROM __ducklake_metadata_lakehouse.ducklake_file_column_stats AS c
JOIN __ducklake_metadata_lakehouse.ducklake_data_file AS d ON d.data_file_id = c.data_file_id
WHERE c.table_id = $1 AND c.column_id = $2 AND d.table_id = $1 AND d.end_snapshot IS NULL
