-- The name mappings of the files that DuckLake took.
SELECT mapping_id, column_id, source_name, target_field_id, parent_column
FROM __ducklake_metadata_scratch.ducklake_name_mapping
WHERE mapping_id IN (SELECT unnest(?)) ORDER BY mapping_id, column_id
