-- What the snapshots after one changed.
SELECT snapshot_id, changes_made FROM ducklake_snapshot_changes WHERE snapshot_id > $1
