-- The live files of every table that DuckLake keeps below DATA_PATH, delete files too: by their names, or by a path below $place.
WITH f AS (
    SELECT table_id, path, path_is_relative, end_snapshot FROM __ducklake_metadata_lakehouse.ducklake_data_file
    UNION ALL
    SELECT table_id, path, path_is_relative, end_snapshot FROM __ducklake_metadata_lakehouse.ducklake_delete_file
)
SELECT s.schema_name, t.table_name, f.path
FROM f
JOIN __ducklake_metadata_lakehouse.ducklake_table AS t ON t.table_id = f.table_id AND t.end_snapshot IS NULL
JOIN __ducklake_metadata_lakehouse.ducklake_schema AS s ON s.schema_id = t.schema_id AND s.end_snapshot IS NULL
WHERE f.end_snapshot IS NULL AND (f.path_is_relative OR starts_with(f.path, $place))
