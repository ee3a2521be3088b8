-- quarantined.sql by Postgres itself.
SELECT convert_from(source, 'UTF8'), convert_from(stream, 'UTF8'), convert_from(file_key, 'UTF8'),
       convert_from(etag, 'UTF8'), size_bytes, convert_from(reason, 'UTF8'), convert_from(detail, 'UTF8'),
       convert_from(status, 'UTF8'), seen_at::timestamptz
FROM {quarantine}
WHERE end_snapshot IS NULL
  AND (%(source)s::text IS NULL OR source = convert_to(%(source)s, 'UTF8'))
  AND (%(stream)s::text IS NULL OR stream = convert_to(%(stream)s, 'UTF8'))
ORDER BY file_key
