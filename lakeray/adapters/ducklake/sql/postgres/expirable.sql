-- expirable.sql by Postgres itself.
SELECT snapshot_id FROM {catalog}.ducklake_snapshot
WHERE snapshot_time < %(older_than)s AND snapshot_id < %(keep_from)s
  AND snapshot_id < (SELECT max(snapshot_id) FROM {catalog}.ducklake_snapshot)
ORDER BY snapshot_id
