-- The newest batch of a stream.
SELECT batch_id, commit_id, snapshot_id, file_count, row_count, size_bytes, committed_at
FROM lakehouse.meta.batches WHERE source = ? AND stream = ? ORDER BY snapshot_id DESC LIMIT 1
