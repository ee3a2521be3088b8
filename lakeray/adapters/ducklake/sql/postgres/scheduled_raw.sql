-- scheduled_raw.sql by Postgres itself.
SELECT convert_from(l.registered_path, 'UTF8'), convert_from(l.file_key, 'UTF8'), convert_from(l.etag, 'UTF8'),
       l.size_bytes, convert_from(r.reason, 'UTF8'), convert_from(l.source, 'UTF8'), convert_from(l.stream, 'UTF8')
FROM (
    SELECT DISTINCT ON (a.registered_path) a.*
    FROM {ledger} AS a
    JOIN (SELECT convert_to(unnest(%s::text[]), 'UTF8') AS path) AS w ON w.path = a.registered_path
    WHERE a.end_snapshot IS NULL
    ORDER BY a.registered_path, a.begin_snapshot DESC
) AS l
LEFT JOIN {removals} AS r
    ON r.end_snapshot IS NULL AND r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.begin_snapshot
