-- The files that DuckLake took.
SELECT data_file_id, path, record_count, file_size_bytes, footer_size, mapping_id
FROM __ducklake_metadata_scratch.ducklake_data_file ORDER BY data_file_id
