-- The statistics of one file.
SELECT column_id, column_size_bytes AS size_bytes, value_count, null_count, min_value, max_value, contains_nan, extra_stats
FROM __ducklake_metadata_scratch.ducklake_file_column_stats WHERE data_file_id = ? ORDER BY column_id
