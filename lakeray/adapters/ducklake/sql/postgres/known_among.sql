-- known_among.sql by Postgres itself; key by key, by an index of the key. Source and stream are compared outside, OFFSET 0
-- keeps them there: before its first ANALYZE the planner thinks that they say more than the key, and reads all of a stream.
SELECT convert_from(l.file_key, 'UTF8'), convert_from(l.etag, 'UTF8'), l.size_bytes, r.file_key IS NULL AS live
FROM (
    SELECT DISTINCT ON (b.file_key) b.source, b.stream, b.file_key, b.etag, b.size_bytes, b.begin_snapshot
    FROM unnest(%(keys)s::text[]) AS w (file_key)
    CROSS JOIN LATERAL (
        SELECT * FROM {ledger} AS a
        WHERE a.end_snapshot IS NULL AND a.file_key = convert_to(w.file_key, 'UTF8') OFFSET 0
    ) AS b
    WHERE b.source = convert_to(%(source)s, 'UTF8') AND b.stream = convert_to(%(stream)s, 'UTF8')
    ORDER BY b.file_key, b.begin_snapshot DESC
) AS l
LEFT JOIN LATERAL (
    SELECT * FROM {removals} AS m WHERE m.end_snapshot IS NULL AND m.file_key = l.file_key OFFSET 0
) AS r ON r.source = l.source AND r.stream = l.stream AND r.registered_snapshot = l.begin_snapshot
WHERE NOT coalesce(r.key_may_return, false)
