-- A FLOAT with an exponent is written into a query as a DOUBLE, which lies beside the bound that is read as FLOAT.
UPDATE __ducklake_metadata_lakehouse.ducklake_file_column_stats SET min_value = NULL, max_value = NULL
WHERE (min_value LIKE '%e%' OR max_value LIKE '%e%') AND (table_id, column_id) IN (
    SELECT c.table_id, c.column_id
    FROM __ducklake_metadata_lakehouse.ducklake_column AS c
    JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = c.table_id AND t.end_snapshot IS NULL
    WHERE t.table_name = $table AND c.column_type = 'float32' AND c.end_snapshot IS NULL)
