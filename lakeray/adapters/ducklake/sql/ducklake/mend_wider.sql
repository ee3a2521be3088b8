-- A column's bounds that hold for all files.
UPDATE __ducklake_metadata_lakehouse.ducklake_table_column_stats SET min_value = $low, max_value = $high
WHERE table_id = $table AND column_id = $column
