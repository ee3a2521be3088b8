-- expirable_from_to.sql by Postgres itself.
SELECT EXISTS (SELECT FROM {catalog}.ducklake_files_scheduled_for_deletion),
       min(snapshot_id),
       min(snapshot_id) FILTER (
           WHERE snapshot_time >= %(older_than)s OR snapshot_id >= %(keep_from)s
              OR snapshot_id = (SELECT max(snapshot_id) FROM {catalog}.ducklake_snapshot))
FROM {catalog}.ducklake_snapshot
