-- The names of the columns of every landing table, by Postgres itself.
SELECT t.table_name, c.column_name
FROM {catalog}.ducklake_column AS c
JOIN {catalog}.ducklake_table AS t ON t.table_id = c.table_id AND t.end_snapshot IS NULL
JOIN {catalog}.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'staging' AND c.end_snapshot IS NULL AND c.parent_column IS NULL
