-- Each table of meta all of whose rows are in one table of the catalog: which, and its columns. None in another format.
SELECT t.table_name, i.place, list({'name': c.column_name, 'type': c.column_type} ORDER BY c.column_order)
FROM __ducklake_metadata_lakehouse.ducklake_table AS t
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
JOIN (
    SELECT table_id, min(table_name) AS place FROM __ducklake_metadata_lakehouse.ducklake_inlined_data_tables
    GROUP BY table_id HAVING count(*) = 1
) AS i ON i.table_id = t.table_id
JOIN __ducklake_metadata_lakehouse.ducklake_column AS c ON c.table_id = t.table_id AND c.end_snapshot IS NULL
WHERE s.schema_name = 'meta' AND t.end_snapshot IS NULL
  AND t.table_id NOT IN (
      SELECT table_id FROM __ducklake_metadata_lakehouse.ducklake_table_stats WHERE file_size_bytes > 0
  )
  AND EXISTS (
      SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_metadata
      WHERE key = 'version' AND scope IS NULL AND value = '1.0'
  )
GROUP BY t.table_name, i.place
