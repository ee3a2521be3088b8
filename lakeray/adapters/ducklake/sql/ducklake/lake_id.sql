-- The lake's id: DuckLake gives each schema one when it is made, and meta is made once.
SELECT CAST(schema_uuid AS VARCHAR) FROM __ducklake_metadata_lakehouse.ducklake_schema
WHERE schema_name = 'meta' AND end_snapshot IS NULL
