-- Live, merged ledger rows of a stream before a day: what clean-up takes out.
SELECT l.file_key, l.etag, l.size_bytes, l.row_count, l.file_day, l.batch_id, l.commit_id, l.snapshot_id,
       l.registered_path, l.taken_at, r.removed_at, r.reason
FROM (SELECT *, snapshot_id FROM lakehouse.meta.ledger) AS l
LEFT JOIN lakehouse.meta.removals AS r
    ON r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.snapshot_id
WHERE l.source = ? AND l.stream = ? AND r.removed_at IS NULL AND l.file_day < ? AND l.snapshot_id <= ?
ORDER BY l.snapshot_id
