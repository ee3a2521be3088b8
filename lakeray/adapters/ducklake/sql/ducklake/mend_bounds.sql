-- After a file without bounds nothing is known of the whole column's, whatever DuckLake's call takes from the next file.
UPDATE __ducklake_metadata_lakehouse.ducklake_table_column_stats SET min_value = NULL, max_value = NULL
WHERE (min_value IS NOT NULL OR max_value IS NOT NULL) AND (table_id, column_id) IN (
    SELECT c.table_id, c.column_id
    FROM __ducklake_metadata_lakehouse.ducklake_file_column_stats AS c
    JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = c.table_id AND t.end_snapshot IS NULL
    WHERE t.table_name = $table AND (c.min_value IS NULL OR c.max_value IS NULL)
      AND (c.value_count IS NULL OR c.value_count > 0))
