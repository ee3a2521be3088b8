-- The first and the last DuckLake snapshot that registered files of a stream above its mark.
SELECT min(snapshot_id), max(snapshot_id)
FROM lakehouse.meta.ledger WHERE source = ? AND stream = ? AND snapshot_id > ?
