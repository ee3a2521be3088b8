-- A column's bounds for the whole table.
UPDATE ducklake_table_column_stats
SET contains_null = $3, contains_nan = $4, min_value = $5, max_value = $6, extra_stats = $7
WHERE table_id = $1 AND column_id = $2
