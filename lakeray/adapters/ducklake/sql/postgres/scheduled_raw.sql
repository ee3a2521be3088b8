-- scheduled_raw.sql by Postgres itself.
SELECT DISTINCT ON (l.registered_path) convert_from(l.registered_path, 'UTF8'), convert_from(l.file_key, 'UTF8'),
       convert_from(l.etag, 'UTF8'), l.size_bytes
FROM {ledger} AS l
JOIN (SELECT convert_to(unnest(%s::text[]), 'UTF8') AS path) AS w ON w.path = l.registered_path
WHERE l.end_snapshot IS NULL
ORDER BY l.registered_path, l.begin_snapshot DESC
