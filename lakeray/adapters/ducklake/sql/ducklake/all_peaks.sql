-- Every merge on record, the oldest first.
SELECT source || '/' || stream, from_snapshot, to_snapshot, file_count, row_count, size_bytes, projected_bytes, peak_bytes,
       fixed_bytes, limit_bytes, outcome, spill
FROM lakehouse.meta.peaks ORDER BY measured_at, to_snapshot
