-- The tables of the bookkeeping that are there.
SELECT table_name FROM duckdb_tables() WHERE database_name = 'lakehouse' AND schema_name = 'meta'
