-- registered.sql by Postgres itself.
SELECT convert_from(l.file_key, 'UTF8'), convert_from(l.etag, 'UTF8'), l.size_bytes, l.row_count, l.file_day::date,
       convert_from(l.batch_id, 'UTF8'), convert_from(l.commit_id, 'UTF8'), l.begin_snapshot,
       convert_from(l.registered_path, 'UTF8'), l.taken_at::timestamptz, r.removed_at::timestamptz,
       convert_from(r.reason, 'UTF8')
FROM {ledger} AS l
LEFT JOIN {removals} AS r
    ON r.end_snapshot IS NULL AND r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.begin_snapshot
WHERE l.end_snapshot IS NULL AND l.source = convert_to(%s, 'UTF8') AND l.stream = convert_to(%s, 'UTF8')
  AND r.removed_at IS NULL AND l.file_day BETWEEN to_char(%s::date, 'YYYY-MM-DD') AND to_char(%s::date, 'YYYY-MM-DD')
ORDER BY l.begin_snapshot
