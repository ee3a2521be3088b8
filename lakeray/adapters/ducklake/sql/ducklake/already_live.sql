-- Which of these keys the ledger holds with live rows (P3, P8).
SELECT l.file_key FROM (SELECT *, snapshot_id FROM lakehouse.meta.ledger) AS l
WHERE l.source = $source AND l.stream = $stream AND l.file_key IN (SELECT unnest($keys))
  AND NOT EXISTS (
      SELECT 1 FROM lakehouse.meta.removals AS r
      WHERE r.source = $source AND r.stream = $stream AND r.file_key = l.file_key
        AND r.registered_snapshot = l.snapshot_id)
