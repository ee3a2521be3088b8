-- How many rows and bytes some tables have.
SELECT table_id, record_count, next_row_id, file_size_bytes FROM ducklake_table_stats WHERE table_id = ANY($1)
