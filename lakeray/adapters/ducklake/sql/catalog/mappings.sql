-- The name mappings of a table.
SELECT m.mapping_id, n.column_id, n.source_name, n.target_field_id, n.parent_column
FROM ducklake_column_mapping AS m JOIN ducklake_name_mapping AS n ON n.mapping_id = m.mapping_id
WHERE m.table_id = $1 AND m.type = 'map_by_name' AND NOT EXISTS (
    SELECT 1 FROM ducklake_name_mapping AS p WHERE p.mapping_id = m.mapping_id AND p.is_partition)
ORDER BY m.mapping_id, n.column_id
