-- The columns of every landing table, in order.
SELECT table_name, column_name, data_type FROM duckdb_columns()
WHERE database_name = 'lakehouse' AND schema_name = 'staging' ORDER BY table_name, column_index
