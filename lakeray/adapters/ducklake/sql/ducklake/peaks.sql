-- What the newest merges of a stream needed.
SELECT from_snapshot, to_snapshot, file_count, row_count, size_bytes, projected_bytes, peak_bytes, fixed_bytes, limit_bytes,
       outcome, spill
FROM lakehouse.meta.peaks WHERE source = ? AND stream = ? ORDER BY measured_at DESC, to_snapshot DESC LIMIT 20
