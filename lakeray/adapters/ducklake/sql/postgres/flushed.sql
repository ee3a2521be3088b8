-- Whether rows of one of these tables of meta were flushed into files. What was there before a stream's first feed is a file
-- as soon as it is many objects.
SELECT 1 FROM {catalog}.ducklake_table_stats AS b
JOIN {catalog}.ducklake_table AS t ON t.table_id = b.table_id AND t.end_snapshot IS NULL
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'meta' AND t.table_name = ANY(%s) AND b.file_size_bytes > 0
LIMIT 1
