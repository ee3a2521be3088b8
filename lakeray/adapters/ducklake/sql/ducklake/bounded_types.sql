-- The types of a landing table's columns and fields that have bounds.
SELECT DISTINCT l.column_type
FROM __ducklake_metadata_lakehouse.ducklake_table_column_stats AS s
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = s.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_column AS l
  ON l.table_id = s.table_id AND l.column_id = s.column_id AND l.end_snapshot IS NULL
WHERE t.table_name = $table AND s.min_value IS NOT NULL AND s.max_value IS NOT NULL
