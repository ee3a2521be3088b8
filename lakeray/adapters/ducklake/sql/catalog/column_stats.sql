-- The bounds of some tables' columns.
SELECT table_id, column_id, contains_null, contains_nan, min_value, max_value, extra_stats
FROM ducklake_table_column_stats WHERE table_id = ANY($1)
