-- The data files of a landing table with these paths, in every snapshot, and the rows of those that are live.
SELECT d.data_file_id, CASE WHEN d.end_snapshot IS NULL THEN d.record_count ELSE 0 END
FROM __ducklake_metadata_lakehouse.ducklake_data_file AS d
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = d.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'staging' AND t.table_name = $table AND d.path IN (SELECT unnest($paths))
