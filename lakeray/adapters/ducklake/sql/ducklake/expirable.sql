-- DuckLake snapshots that may go: older than a time, not the newest, and below every snapshot a consumer waits for.
SELECT snapshot_id FROM lakehouse.snapshots()
WHERE snapshot_time < $older_than AND snapshot_id < $keep_from
  AND snapshot_id < (SELECT max(snapshot_id) FROM lakehouse.snapshots())
ORDER BY snapshot_id
