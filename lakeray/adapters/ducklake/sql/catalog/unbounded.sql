-- Columns of which a file has values: the table has no bounds for them, so nothing is known of those values.
SELECT DISTINCT column_id FROM ducklake_file_column_stats
WHERE table_id = $1 AND column_id = ANY($2) AND (value_count IS NULL OR value_count > 0)
