-- The oldest DuckLake snapshot that a transform still has to read; null when none is pending.
SELECT min(l.snapshot_id)
FROM (SELECT *, snapshot_id FROM lakehouse.meta.ledger) AS l
JOIN lakehouse.meta.feeder_cursors AS c ON c.source = l.source AND c.stream = l.stream
WHERE l.snapshot_id > c.transformed_snapshot
