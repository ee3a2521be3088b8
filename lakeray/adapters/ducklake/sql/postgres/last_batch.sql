-- last_batch.sql by Postgres itself.
SELECT convert_from(batch_id, 'UTF8'), convert_from(commit_id, 'UTF8'), begin_snapshot, file_count, row_count, size_bytes,
       committed_at::timestamptz
FROM {batches}
WHERE end_snapshot IS NULL AND source = convert_to(%s, 'UTF8') AND stream = convert_to(%s, 'UTF8')
ORDER BY begin_snapshot DESC LIMIT 1
