-- The lake's folder, and a table's below it.
SELECT m.value, s.path, s.path_is_relative, t.path, t.path_is_relative
FROM ducklake_table AS t
JOIN ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
JOIN ducklake_metadata AS m ON m.key = 'data_path'
WHERE t.table_id = $1 AND t.end_snapshot IS NULL
