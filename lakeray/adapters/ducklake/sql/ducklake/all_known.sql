-- The newest ledger row of every key of the given streams, each from a day on, and whether its rows are live.
-- An entry whose key may return counts as never taken in.
-- The ledger comes first and by itself: with its virtual snapshot_id in a join, DuckDB 1.5.5 fails internally.
WITH b AS MATERIALIZED (
    SELECT source, stream, file_key, etag, size_bytes, file_day, snapshot_id FROM lakehouse.meta.ledger
    WHERE file_day >= $oldest
),
w AS (SELECT unnest($sources) AS source, unnest($streams) AS stream, unnest($days) AS since),
l AS (
    SELECT b.* FROM b JOIN w ON w.source = b.source AND w.stream = b.stream AND b.file_day >= w.since
    QUALIFY row_number() OVER (PARTITION BY b.source, b.stream, b.file_key ORDER BY b.snapshot_id DESC) = 1
)
SELECT l.source, l.stream, l.file_key, l.etag, l.size_bytes, r.file_key IS NULL AS live
FROM l
LEFT JOIN lakehouse.meta.removals AS r
    ON r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.snapshot_id
WHERE NOT coalesce(r.key_may_return, false)
