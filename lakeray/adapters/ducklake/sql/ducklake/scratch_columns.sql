-- The columns and fields of a table of the scratch lake.
SELECT c.column_id, c.column_name, c.parent_column, c.column_type
FROM __ducklake_metadata_scratch.ducklake_column AS c
JOIN __ducklake_metadata_scratch.ducklake_table AS t USING (table_id)
WHERE t.table_name = ? AND t.end_snapshot IS NULL AND c.end_snapshot IS NULL
ORDER BY c.column_id
