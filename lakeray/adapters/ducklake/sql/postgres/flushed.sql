-- Whether rows of a table of meta were flushed into files.
SELECT 1 FROM {catalog}.ducklake_table_stats AS b
JOIN {catalog}.ducklake_table AS t ON t.table_id = b.table_id AND t.end_snapshot IS NULL
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'meta' AND b.file_size_bytes > 0
LIMIT 1
