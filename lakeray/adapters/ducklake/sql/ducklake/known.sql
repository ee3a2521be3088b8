-- The newest ledger row of every key of a stream from a day on, and whether its rows are live.
-- An entry whose key may return counts as never taken in.
SELECT l.file_key, l.etag, l.size_bytes, r.file_key IS NULL AS live
FROM (
    SELECT file_key, etag, size_bytes, snapshot_id
    FROM lakehouse.meta.ledger
    WHERE source = $source AND stream = $stream AND (file_day >= $since OR $since IS NULL)
    QUALIFY row_number() OVER (PARTITION BY file_key ORDER BY snapshot_id DESC) = 1
) AS l
LEFT JOIN lakehouse.meta.removals AS r
    ON r.source = $source AND r.stream = $stream AND r.file_key = l.file_key AND r.registered_snapshot = l.snapshot_id
WHERE NOT coalesce(r.key_may_return, false)
