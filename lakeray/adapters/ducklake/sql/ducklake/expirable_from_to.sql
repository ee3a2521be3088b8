-- Whether files are scheduled for deletion, the oldest DuckLake snapshot, and the oldest that an expiry would keep.
WITH s AS MATERIALIZED (SELECT snapshot_id, snapshot_time FROM lakehouse.snapshots())
SELECT EXISTS (SELECT 1 FROM __ducklake_metadata_lakehouse.ducklake_files_scheduled_for_deletion),
       min(snapshot_id),
       min(snapshot_id) FILTER (
           snapshot_time >= $older_than OR snapshot_id >= $keep_from OR snapshot_id = (SELECT max(snapshot_id) FROM s))
FROM s
