-- The names of the columns of every landing table.
SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'lakehouse' AND schema_name = 'staging'
