-- The data files of a landing table, in every snapshot.
SELECT d.data_file_id, d.path
FROM __ducklake_metadata_lakehouse.ducklake_data_file AS d
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = d.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'staging' AND t.table_name = $table
