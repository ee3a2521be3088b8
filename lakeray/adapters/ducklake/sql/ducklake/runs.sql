-- The newest runs of each stream on record, the newest first.
SELECT source, stream, ended_at, outcome, batch_count, file_count, row_count, size_bytes, quarantined, took_ms, error
FROM lakehouse.meta.runs
QUALIFY row_number() OVER (PARTITION BY source, stream ORDER BY ended_at DESC, snapshot_id DESC) <= $each
ORDER BY ended_at DESC, snapshot_id DESC, source, stream
