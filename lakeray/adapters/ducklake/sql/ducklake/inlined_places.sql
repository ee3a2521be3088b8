-- Each table of meta that is there, its id, whether it has the column in question, and where its inlined rows are, the newest
-- place first.
SELECT t.table_name, t.table_id,
       (SELECT max(c.column_id) FROM __ducklake_metadata_lakehouse.ducklake_column AS c
        WHERE c.table_id = t.table_id AND c.end_snapshot IS NULL AND c.column_name = $column),
       (SELECT list(i.table_name ORDER BY i.schema_version DESC)
        FROM __ducklake_metadata_lakehouse.ducklake_inlined_data_tables AS i WHERE i.table_id = t.table_id),
       EXISTS (SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_data_file AS d
               WHERE d.table_id = t.table_id AND d.end_snapshot IS NULL)
FROM __ducklake_metadata_lakehouse.ducklake_table AS t
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE s.schema_name = 'meta' AND t.end_snapshot IS NULL AND t.table_name IN (SELECT unnest($tables))
