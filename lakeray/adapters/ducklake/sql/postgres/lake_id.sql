-- lake_id.sql by Postgres itself.
SELECT schema_uuid::text FROM {catalog}.ducklake_schema WHERE schema_name = 'meta' AND end_snapshot IS NULL
