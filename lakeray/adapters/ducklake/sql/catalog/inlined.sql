-- Where inlined rows are kept.
SELECT table_id, table_name FROM ducklake_inlined_data_tables
