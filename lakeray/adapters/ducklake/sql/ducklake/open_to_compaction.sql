-- Schemas of ours, and tables in them, that compaction by others may touch. What is said of a table counts before what is said
-- of its schema.
SELECT s.schema_name, CAST(NULL AS VARCHAR) AS table_name
FROM __ducklake_metadata_lakehouse.ducklake_schema AS s
WHERE s.end_snapshot IS NULL AND s.schema_name IN ('meta', 'staging') AND NOT EXISTS (
    SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_metadata AS m
    WHERE m.key = 'auto_compact' AND m.scope = 'schema' AND m.scope_id = s.schema_id AND m.value = 'false')
UNION ALL
SELECT s.schema_name, t.table_name
FROM __ducklake_metadata_lakehouse.ducklake_metadata AS m
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = m.scope_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE m.key = 'auto_compact' AND m.scope = 'table' AND m.value <> 'false' AND s.schema_name IN ('meta', 'staging')
