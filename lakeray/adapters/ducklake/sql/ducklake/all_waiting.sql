-- Per stream: the registered snapshots above its mark, and the oldest day that is live and merged.
WITH l AS MATERIALIZED (
    SELECT source, stream, file_key, file_day, snapshot_id FROM lakehouse.meta.ledger
)
SELECT l.source, l.stream,
       min(l.snapshot_id) FILTER (WHERE l.snapshot_id > c.transformed_snapshot),
       max(l.snapshot_id) FILTER (WHERE l.snapshot_id > c.transformed_snapshot),
       min(l.file_day) FILTER (WHERE r.file_key IS NULL AND l.snapshot_id <= c.transformed_snapshot)
FROM l
JOIN lakehouse.meta.feeder_cursors AS c ON c.source = l.source AND c.stream = l.stream
LEFT JOIN lakehouse.meta.removals AS r
    ON r.source = l.source AND r.stream = l.stream AND r.file_key = l.file_key
    AND r.registered_snapshot = l.snapshot_id
GROUP BY l.source, l.stream
