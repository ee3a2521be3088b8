-- The newest DuckLake snapshot: what a commit builds on, and by whose successor it is locked.
SELECT snapshot_id, schema_version, next_catalog_id, next_file_id FROM ducklake_snapshot
WHERE snapshot_id = (SELECT max(snapshot_id) FROM ducklake_snapshot)
