-- known.sql by Postgres itself.
SELECT convert_from(l.file_key, 'UTF8'), convert_from(l.etag, 'UTF8'), l.size_bytes, r.file_key IS NULL AS live
FROM (
    SELECT DISTINCT ON (file_key) source, stream, file_key, etag, size_bytes, begin_snapshot
    FROM {ledger}
    WHERE end_snapshot IS NULL
      AND source = convert_to(%(source)s, 'UTF8') AND stream = convert_to(%(stream)s, 'UTF8')
      AND file_day >= coalesce(to_char(%(since)s::date, 'YYYY-MM-DD'), '')
    ORDER BY file_key, begin_snapshot DESC
) AS l
LEFT JOIN {removals} AS r
    ON r.end_snapshot IS NULL AND r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.begin_snapshot
WHERE NOT coalesce(r.key_may_return, false)
