-- known_among.sql by Postgres itself; key by key, by an index, for else the planner reads the whole ledger.
SELECT convert_from(l.file_key, 'UTF8'), convert_from(l.etag, 'UTF8'), l.size_bytes, r.file_key IS NULL AS live
FROM unnest(%(keys)s::text[]) AS w (file_key)
CROSS JOIN LATERAL (
    SELECT b.source, b.stream, b.file_key, b.etag, b.size_bytes, b.begin_snapshot FROM {ledger} AS b
    WHERE b.end_snapshot IS NULL AND b.file_key = convert_to(w.file_key, 'UTF8')
      AND b.source = convert_to(%(source)s, 'UTF8') AND b.stream = convert_to(%(stream)s, 'UTF8')
    ORDER BY b.begin_snapshot DESC LIMIT 1
) AS l
LEFT JOIN LATERAL (
    SELECT m.file_key, m.reason FROM {removals} AS m
    WHERE m.end_snapshot IS NULL AND m.file_key = l.file_key AND m.source = l.source AND m.stream = l.stream
      AND m.registered_snapshot = l.begin_snapshot LIMIT 1
) AS r ON true
WHERE r.reason IS NULL OR r.reason = 'retention'::bytea
