-- The columns and fields of some tables, as they are now.
SELECT table_id, column_id, parent_column, column_name, column_type FROM ducklake_column
WHERE end_snapshot IS NULL AND table_id = ANY($1)
