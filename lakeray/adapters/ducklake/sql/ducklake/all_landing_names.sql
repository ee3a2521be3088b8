-- The names of the columns of every landing table.
SELECT t.table_name, c.column_name
FROM __ducklake_metadata_lakehouse.ducklake_table AS t
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_column AS c ON c.table_id = t.table_id AND c.end_snapshot IS NULL
WHERE s.schema_name = 'staging' AND t.end_snapshot IS NULL AND c.parent_column IS NULL
