-- The bookkeeping's tables and one other table.
SELECT s.schema_name, t.table_name, t.table_id
FROM ducklake_table AS t JOIN ducklake_schema AS s ON s.schema_id = t.schema_id
WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL
  AND (s.schema_name = 'meta' OR (s.schema_name = $1 AND t.table_name = $2))
