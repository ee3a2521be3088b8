-- all_known.sql by Postgres itself: each stream's rows from its day on, by an index, and no others.
SELECT w.source, w.stream, convert_from(l.file_key, 'UTF8'), convert_from(l.etag, 'UTF8'), l.size_bytes,
       r.file_key IS NULL AS live
FROM unnest(%(sources)s::text[], %(streams)s::text[], %(days)s::date[]) AS w (source, stream, since)
CROSS JOIN LATERAL (
    SELECT DISTINCT ON (b.file_key) b.source, b.stream, b.file_key, b.etag, b.size_bytes, b.begin_snapshot
    FROM {ledger} AS b
    WHERE b.end_snapshot IS NULL AND b.source = convert_to(w.source, 'UTF8') AND b.stream = convert_to(w.stream, 'UTF8')
      AND b.file_day >= to_char(w.since, 'YYYY-MM-DD')
    ORDER BY b.file_key, b.begin_snapshot DESC
) AS l
LEFT JOIN {removals} AS r
    ON r.end_snapshot IS NULL AND r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.begin_snapshot
WHERE NOT coalesce(r.key_may_return, false)
