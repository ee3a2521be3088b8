-- What was said of a DuckLake snapshot when it was committed.
SELECT commit_extra_info FROM __ducklake_metadata_lakehouse.ducklake_snapshot_changes WHERE snapshot_id = ?
