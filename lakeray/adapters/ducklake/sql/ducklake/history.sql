-- Every time a key was taken in.
SELECT l.file_key, l.etag, l.size_bytes, l.row_count, l.file_day, l.batch_id, l.commit_id, l.snapshot_id,
       l.registered_path, l.taken_at, r.removed_at, r.reason
FROM (SELECT *, snapshot_id FROM lakehouse.meta.ledger) AS l
LEFT JOIN lakehouse.meta.removals AS r
    ON r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.snapshot_id
WHERE l.file_key = ?
ORDER BY l.snapshot_id
