-- Columns of which a file has values but no bounds: nothing is known of the whole table's bounds then.
SELECT DISTINCT column_id FROM ducklake_file_column_stats
WHERE table_id = $1 AND column_id = ANY($2) AND (min_value IS NULL OR max_value IS NULL) AND (value_count IS NULL OR value_count > 0)
